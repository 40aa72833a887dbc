"""What can be written in a transaction: a module for each thing it is about, over what they share (`writer.py`)."""
