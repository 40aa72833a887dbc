"""The verbs of the product, the same for every front."""
