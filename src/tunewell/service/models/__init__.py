"""Models that are published: what they come from, their versions, and asking them."""
