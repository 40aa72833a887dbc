"""Notifications: where they may go, what they say, and how they get there."""
