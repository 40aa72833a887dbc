"""Receivers of notifications that do as they are told: of webhooks, and of mail."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

CERTIFICATES = Path(__file__).with_name("certificates")


@dataclass(frozen=True)
class Received:
    """What was received."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A receiver of webhooks on loopback."""

    port: int = 0
    #: Status and headers of its answers, by path; else 204.
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    #: Paths to which it gives no answer before it is told to go on.
    hanging: set[str] = field(default_factory=set)
    go_on: threading.Event = field(default_factory=threading.Event)
    received: list[Received] = field(default_factory=list)

    def url(self, path: str = "/", scheme: str = "http") -> str:
        """Return an address of it."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        """Return what was received at a path."""
        return [one for one in self.received if one.path == path]


def server_context() -> ssl.SSLContext:
    """Return the TLS of a server that is `receiver.example.org` and `localhost`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "certificate.pem", CERTIFICATES / "key.pem")
    return context


def client_context() -> ssl.SSLContext:
    """Return the TLS of a client that trusts that server alone."""
    return ssl.create_default_context(cafile=str(CERTIFICATES / "certificate.pem"))


@contextmanager
def receiving(tls: bool = False) -> Iterator[Receiver]:
    """Give a receiver of webhooks."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            receiver.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if self.path in receiver.hanging:
                receiver.go_on.wait(60)
            status, headers = receiver.answers.get(self.path, (204, {}))
            with suppress(OSError):
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that go, or do not trust us."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    if tls:
        server.socket = server_context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class MailBox:
    """A mail server on loopback, and what it has taken."""

    port: int = 0
    #: Whether TLS can be, and was, begun.
    offers_tls: bool = False
    #: User and password that it wants; None: none.
    login: tuple[str, str] | None = None
    #: Recipients whom it refuses, and with what.
    refused: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    #: How it was talked to: `tls`, `login`.
    done: list[str] = field(default_factory=list)


@contextmanager
def taking_mail(offers_tls: bool = False, login: tuple[str, str] | None = None) -> Iterator[MailBox]:
    """Give a mail server that speaks as much SMTP as is needed."""
    box = MailBox(offers_tls=offers_tls, login=login)
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 test")
        recipients: list[str] = []
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while line := (await reader.readline()).decode().rstrip("\r\n"):
                verb, _, rest = line.partition(" ")
                verb = verb.upper()
                if verb == "EHLO":
                    features = ["STARTTLS"] if box.offers_tls and "tls" not in box.done else []
                    features += ["AUTH PLAIN"] if box.login else []
                    lines = ["test", *features]
                    for number, one in enumerate(lines):
                        say(f"250{' ' if number == len(lines) - 1 else '-'}{one}")
                elif verb == "STARTTLS":
                    say("220 go on")
                    await writer.drain()
                    await writer.start_tls(server_context())
                    box.done.append("tls")
                elif verb == "AUTH":
                    _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
                    is_right = (user, password) == box.login
                    box.done.append("login" if is_right else "wrong login")
                    say("235 welcome" if is_right else "535 no")
                elif verb == "RCPT":
                    to = rest.partition("<")[2].partition(">")[0]
                    recipients.append(to)
                    say(box.refused.get(to, "250 ok"))
                elif verb == "DATA":
                    say("354 go on")
                    await writer.drain()
                    data = await reader.readuntil(b"\r\n.\r\n")
                    made = email.message_from_bytes(data[:-5], policy=email.policy.default)
                    assert isinstance(made, EmailMessage)
                    box.mails.append(made)
                    box.recipients += recipients
                    say("250 taken")
                elif verb == "QUIT":
                    say("221 bye")
                    await writer.drain()
                    break
                else:
                    say("250 ok")
                await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        box.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(30)
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
