"""What the audit log calls what was done."""

from __future__ import annotations

from fastapi.routing import APIRoute

from tunewell.api.routes import ROUTERS
from tunewell.console.pages import ROUTERS as PAGES
from tunewell.display.deeds import in_words
from tunewell.spec.format import spoken

#: What is told in the same words as it is called.
_AS_CALLED = {"sign_in", "sign_out"}


def test_whatever_can_be_logged_has_words() -> None:
    """No route that changes something is told by its name alone."""
    routes = [route for router in (*ROUTERS, *PAGES) for route in router.routes if isinstance(route, APIRoute)]
    verbs = {one.endpoint.__name__ for one in routes if (one.methods or set()) - {"GET", "HEAD"}}
    verbs -= {"look_at", "choose_theme"}  # nothing that the log has
    assert len(verbs) > 60
    assert {verb for verb in verbs - _AS_CALLED if in_words(verb) == spoken(verb)} <= {"check_data"}
