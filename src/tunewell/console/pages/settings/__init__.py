"""The settings, a module a section."""

from __future__ import annotations

from tunewell.console.pages.settings import about, audit, folders, people, tokens, you

ROUTERS = (you.router, tokens.router, people.router, folders.router, audit.router, about.router)
