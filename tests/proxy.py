"""A proxy before a PostgreSQL server, whose connections break in all the ways that connections over a network do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import make_url

from tests.postgres import Server, free_port

#: Takes what one side has sent, and returns what the other one gets.
Look = Callable[[bytes], Coroutine[None, None, bytes]]

#: Most bytes that are passed on at once, and longest wait for the proxy's thread.
CHUNK, PATIENCE_SECONDS = 1 << 16, 60.0
#: Makes closing a socket reset its connection.
_RESET = struct.pack("ii", 1, 0)
#: What the server says of a commit that is done, and the head of what it says when it is ready for the next statement.
_COMMITTED, _READY = b"C\x00\x00\x00\x0bCOMMIT\x00", b"Z\x00\x00\x00\x05"
#: Kinds of messages that bring a statement: to be executed at once, or to be prepared (after a name).
_QUERY, _PARSE = b"Q", b"P"


class Proxy:
    """Passes on what clients and server send each other, until it is told otherwise. Listens on loopback alone."""

    def __init__(self, server: Server) -> None:
        """Listen before `server`, in a thread of its own; `close` ends it."""
        self.server, self.port = server, free_port()
        #: How many of the commits that were watched for are done.
        self.commits = 0
        self._watches: list[_Watch] = []
        #: How many connections were made, and on how many of these, the first ones, answers are held back.
        self._made = self._held = 0
        self._links: set[asyncio.Task[None] | None] = set()
        self._listener: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.accept()

    def url(self, database: str) -> str:
        """Return the URL that leads to a database by way of the proxy; `database` is its own URL."""
        return make_url(database).set(port=self.port).render_as_string(hide_password=False)

    def close(self) -> None:
        """Cut all connections and end."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._links)

    # What happens to connections --------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset all connections, on both sides; new ones are accepted."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Reset all connections, and accept no new ones until `accept`."""
        self._do(self._refuse())

    def accept(self) -> None:
        """Accept connections."""
        self._do(self._accept())

    def stall(self) -> None:
        """Let nothing through in either direction, and nobody know, as where a network has been cut on the way.

        Connections are made, but nothing comes over them either.
        """
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def hold(self) -> None:
        """Let no answer through any more on the connections that there are; all is well on new ones."""
        self._held = self._made

    def flow(self) -> None:
        """End a stall: what was sent meanwhile arrives now, even if its sender has given up."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def switch(self, server: Server) -> None:
        """Reset all connections, and lead new ones to another server."""
        self.server = server
        self.cut()

    def lose_answer(self, about: bytes = b"") -> None:
        """Reset the connection by which the next commit comes once it is done, instead of giving the answer.

        Only transactions count in which the client has sent the bytes `about`.
        """
        self._loop.call_soon_threadsafe(self._watches.append, _Watch(about))

    def at_commit(self, act: Callable[[], None], about: bytes = b"") -> None:
        """Call `act`, in a thread of the proxy's, once the next commit is done and before its answer is given.

        Only transactions count in which the client has sent the bytes `about`.
        """
        self._loop.call_soon_threadsafe(self._watches.append, _Watch(about, act))

    # In the thread of the proxy ---------------------------------------------------------------------------

    def _do(self, what: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE_SECONDS)

    async def _accept(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._cut()

    async def _cut(self) -> None:
        links = [link for link in self._links if link is not None]
        for link in links:
            link.cancel()
        if links:
            await asyncio.wait(links)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        link = _Link(self, client, to_client)
        self._links.add(asyncio.current_task())
        try:
            await self.flowing()
            self._made += 1
            await link.run(self.server.port, self._made)
        except* (OSError, asyncio.CancelledError):  # what one side does to a connection, the other side feels
            link.reset()
        finally:
            link.watch_no_more()
            self._links.discard(asyncio.current_task())

    async def flowing(self) -> None:
        """Wait for the end of a stall, if there is one."""
        await self._flowing.wait()

    async def answering(self, number: int) -> None:
        """Wait for ever if the answers of this connection, the how-manieth it is, are held back."""
        if number <= self._held:
            await asyncio.Event().wait()

    def watch_for(self, said: bytes) -> _Watch | None:
        """Take the watch for a transaction in which `said` was sent, if there is one."""
        watch = next((watch for watch in self._watches if watch.about in said), None)
        if watch is not None:
            self._watches.remove(watch)
        return watch

    def watch_again(self, watch: _Watch) -> None:
        """Go on watching for what did not come."""
        self._watches.append(watch)


@dataclass(frozen=True, eq=False)
class _Watch:
    """A commit that is watched for, and what is to be done when it is; None: its answer is to be lost."""

    about: bytes
    act: Callable[[], None] | None = None


class _Link:
    """One connection of a client, and that to the server which belongs to it."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._proxy, self._client, self._to_client = proxy, client, to_client
        self._to_server: asyncio.StreamWriter | None = None
        self._messages = _Messages()
        self._number = 0
        #: What the client has sent in this transaction.
        self._said = b""
        #: Who watches for its commit, and the answer as far as it has come.
        self._watch: _Watch | None = None
        self._answer = b""

    async def run(self, port: int, number: int) -> None:
        """Pass on until both sides have said all."""
        self._number = number
        server, self._to_server = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass_on(self._client, self._to_server, self._of_client))
            group.create_task(self._pass_on(server, self._to_client, self._of_server))
        for writer in (self._to_client, self._to_server):
            writer.close()

    def reset(self) -> None:
        """Reset both connections."""
        for writer in (self._to_client, self._to_server):
            if writer is not None:
                with suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()

    def watch_no_more(self) -> None:
        """Leave to others what was watched for."""
        if self._watch is not None:
            self._proxy.watch_again(self._watch)
        self._watch, self._answer = None, b""

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Look) -> None:
        while data := await reader.read(CHUNK):
            await self._proxy.flowing()
            writer.write(await look(data))
            await writer.drain()
        await self._proxy.flowing()
        writer.write_eof()

    async def _of_client(self, data: bytes) -> bytes:
        """Look for commits in what the client sends; return what the server gets."""
        self._said += data
        for statement in self._messages.statements(data):
            if statement.upper().startswith(b"COMMIT"):
                self._watch = self._proxy.watch_for(self._said)
            if statement.upper().startswith((b"COMMIT", b"ROLLBACK")):
                self._said = b""
        return data

    async def _of_server(self, data: bytes) -> bytes:
        """Keep the answer to a commit that is watched for until it is whole; return what the client gets."""
        await self._proxy.answering(self._number)
        if self._watch is None:
            return data
        self._answer += data
        if not self._answer[:-1].endswith(_READY):
            return b""
        watch, answer = self._watch, self._answer
        if _COMMITTED not in answer:
            self.watch_no_more()
            return answer
        self._watch, self._answer = None, b""
        self._proxy.commits += 1
        if watch.act is None:
            raise ConnectionResetError
        await asyncio.to_thread(watch.act)
        return answer


class _Messages:
    """The messages of a client, cut out of the bytes that come from it."""

    def __init__(self) -> None:
        self._rest, self._typed = b"", False

    def statements(self, data: bytes) -> Iterator[bytes]:
        """Yield the statements in the messages that are complete now."""
        self._rest += data
        while (message := self._next()) is not None:
            kind, content = message
            if kind == _QUERY:
                yield content
            elif kind == _PARSE:
                yield content.partition(b"\0")[2]

    def _next(self) -> tuple[bytes, bytes] | None:
        """Return the next message's kind and content; before the one that starts the session, they have no kind."""
        head = 5 if self._typed else 4
        if len(self._rest) < head:
            return None
        (length,) = struct.unpack_from("!i", self._rest, head - 4)
        end = head - 4 + length
        if len(self._rest) < end:
            return None
        kind, content = self._rest[: head - 4], self._rest[head:end]
        self._rest = self._rest[end:]
        # Others ask whether there is encryption, or have a statement cancelled.
        self._typed = self._typed or content[:2] == b"\x00\x03"
        return kind, content


@contextmanager
def proxy_before(server: Server) -> Iterator[Proxy]:
    """Give a proxy before a server."""
    proxy = Proxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
