"""What is trained: the built-in tasks, commands, Python functions."""
