"""Tests of the documentation: what it shows works."""
