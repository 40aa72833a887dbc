"""The settings, a module a section."""

from __future__ import annotations

from tunewell.console.pages.settings import about, audit, disk, folders, notifications, people, tokens, you

ROUTERS = (
    you.router,
    tokens.router,
    notifications.router,
    people.router,
    folders.router,
    disk.router,
    audit.router,
    about.router,
)
