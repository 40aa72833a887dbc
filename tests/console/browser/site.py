"""A service on loopback for a browser in the same test: it can be stopped, and started again at the same address."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import Receive, Scope, Send

from tests.console.serving import whole
from tests.listening import listening
from tunewell.service.service import Service


class Site:
    """A server over a service, in a thread."""

    def __init__(self, service: Service) -> None:
        """Begin to serve."""
        self.service = service
        #: Path of each request, in the order in which they came.
        self.asked: list[str] = []
        self._port = 0
        self.start()

    @property
    def address(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    def link(self, name: str = "owner") -> str:
        """Return an address that signs a user in, once."""
        return f"{self.address}/sign-in?link={self.service.sign_in_link(name).secret}"

    def start(self) -> None:
        """Serve, at the address of before if there was one."""
        self._app, self._guard = whole(self.service)
        place = listening(self._port)
        self._port = place.getsockname()[1]
        config = uvicorn.Config(
            self._noted, interface="asgi3", log_level="warning", lifespan="off", ws="none", proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, args=(place,))
        self._thread.start()

    def stop(self) -> None:
        """Serve no more: streams end, and nobody listens."""
        self._app.state.watcher.close()
        self._server.should_exit = True
        self._thread.join()

    def _serve(self, place: socket.socket) -> None:
        with place:
            self._server.run(sockets=[place])

    async def _noted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked.append(scope["path"])
        await self._guard(scope, receive, send)
