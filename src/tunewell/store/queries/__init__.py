"""What can be read: a module for each thing it is about, over what they share (`reader.py`)."""
