"""What nobody foresaw: it is logged under a number, and whoever asked is told that number and no more."""

from __future__ import annotations

import logging
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunewell.api import problems

log = logging.getLogger(__name__)


class Bugs:
    """Answers an exception that nothing else has answered, the outermost part of an app."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand around an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            number = scope.get("state", {}).get("request_id") or secrets.token_hex(8)
            log.exception("bug %s: %s %s", number, scope["method"], scope["path"])
            if begun:  # whoever reads must learn that the rest is missing
                raise
            problem = problems.plain(500, "bug", f"It is in the log of the service under {number}")
            await problems.answer(problem, scope)(scope, receive, send)
