"""Built-in task: one label a picture."""
