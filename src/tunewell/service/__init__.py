"""The verbs of the product, the same for every front, and a controller in this process."""
