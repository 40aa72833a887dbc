"""Models that are asked at once: a warm process for each, a server that owns these, and its client."""
