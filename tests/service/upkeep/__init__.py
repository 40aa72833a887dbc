"""Backups, and what is removed when nobody needs it any more."""
