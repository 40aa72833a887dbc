"""A real server in a thread, behind its guard, and clients of it with tokens of their own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import uvicorn

from tests.listening import listening
from tunewell.api.app import make_app
from tunewell.api.guard import Guard
from tunewell.api.settings import Settings
from tunewell.client import Client
from tunewell.client.connection import Connection
from tunewell.service.service import Service
from tunewell.service.types import OWNER, Caller

#: So many requests that no test meets a limit.
OPEN = Settings(
    look_seconds=0.02,
    requests_per_second=1e6,
    requests_at_once=10**6,
    failures_per_minute=6e7,
    failures_at_once=10**6,
)


@contextmanager
def served(service: Service, settings: Settings = OPEN) -> Iterator[str]:
    """Serve a service on loopback, and give the address."""
    app = make_app(service, settings)
    config = uvicorn.Config(Guard(app, service, settings), log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    with listening() as place:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{place.getsockname()[1]}"
        finally:
            app.state.watcher.close()
            server.should_exit = True
            thread.join()


class Served:
    """A server on an address, and clients of whoever is asked for."""

    def __init__(self, service: Service, address: str, stack: ExitStack, patience: float = 0.0) -> None:
        """Have clients closed by the stack; they try again for `patience` seconds."""
        self.service, self.address = service, address
        self._stack, self._patience = stack, patience
        self._clients: dict[str, Client] = {}

    def token(self, caller: Caller = OWNER) -> str:
        """Return a new token of a user, who gets these rights, and is added if there is none of this name."""
        if caller.name != OWNER.name:
            facts = {"role": caller.role, "run_code": caller.run_code}
            known = {user.name for user in self.service.users().items}
            (self.service.change_user if caller.name in known else self.service.add_user)(caller.name, facts)
        return self.service.create_token("a test", owner=caller.name).secret

    def client(self, caller: Caller = OWNER) -> Client:
        """Return the client of a user, who has these rights from now on."""
        token = self.token(caller)
        if caller.name not in self._clients:
            client = Client.over(Connection(self.address, token, self._patience))
            self._clients[caller.name] = self._stack.enter_context(client)
        return self._clients[caller.name]


@contextmanager
def serving(home: Path, database: str | None = None, patience: float = 0.0) -> Iterator[Served]:
    """Serve a home."""
    with Service(home, database) as service, served(service) as address, ExitStack() as stack:
        yield Served(service, address, stack, patience)


class Losing:
    """A proxy before a server that passes requests on, and cuts the connection instead of giving some answers."""

    def __init__(self, address: str) -> None:
        """Listen before the server at an address; `close` ends it."""
        self._server = ("127.0.0.1", int(address.rpartition(":")[2]))
        self._place = listening()
        #: How many answers are still to be lost.
        self.to_lose = 0
        self.address = f"http://127.0.0.1:{self._place.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        self._place.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._place.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            asking = threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True)
            asking.start()
            self._pass_on(server, client, True)
            asking.join()

    def _pass_on(self, receive: socket.socket, give: socket.socket, loses: bool) -> None:
        with suppress(OSError):
            while data := receive.recv(1 << 16):
                if loses and self.to_lose:
                    self.to_lose -= 1
                    break
                give.sendall(data)
        for one in (receive, give):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def losing(address: str) -> Iterator[Losing]:
    """Give a proxy that loses answers before the server at an address."""
    proxy = Losing(address)
    try:
        yield proxy
    finally:
        proxy.close()
