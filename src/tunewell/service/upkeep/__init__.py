"""What keeps a service in order: backups, and what is removed when nobody needs it any more."""
