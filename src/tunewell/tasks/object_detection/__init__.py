"""The built-in tasks `object-detection` and `instance-segmentation`: the second is the first with a mask an object."""
