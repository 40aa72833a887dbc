"""What pages show of published models."""
