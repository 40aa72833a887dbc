"""What all tasks over pictures share: files, decoded pictures, training loop, saved models."""
