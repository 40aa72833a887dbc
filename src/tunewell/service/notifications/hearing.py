"""Whether somebody may still hear what a message tells: what was everybody's may have become private meanwhile."""

from __future__ import annotations

from tunewell.service.rights import Rights
from tunewell.store.rows import JsonObject


def may_hear(rights: Rights, facts: JsonObject) -> bool:
    """Whether the caller may hear facts of a search: its owner, and whoever sees it, as long as it is there."""
    name, caller = facts.get("search"), rights.caller
    if name is None or facts.get("owner") == caller.name or caller.role == "administrator":
        return True
    return rights.sees(str(name), even_deleted=True)
