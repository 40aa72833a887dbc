"""What a client does where the network, the server or its own user goes wrong; the verbs have their contract."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import tunewell
from tests.client.serving import OPEN, Served, losing, served, serving
from tests.contracts.test_verbs_contract import READS, SPEC
from tests.postgres import free_port
from tunewell.client import AsyncClient, Client, connection, servers
from tunewell.client.answers import ServerError, Unavailable
from tunewell.client.connection import Connection
from tunewell.client.shipping import PART, send_file, send_pictures, ship_program, shipped
from tunewell.service.runs import Given
from tunewell.service.service import Service
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError, NotFoundError, SpecError, SpecErrors, UserError


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Served]:
    """A server, with the experiment `e`."""
    with serving(tmp_path / "home") as one:
        one.client().create(SPEC)
        yield one


def patient(served: Served, address: str = "", seconds: float = 20.0) -> Client:
    """Return a client that tries again."""
    return Client.over(Connection(address or served.address, served.token(), seconds))


# Errors ---------------------------------------------------------------------------------------------------


def parts_of(error: UserError) -> object:
    """Return what an error is made of; whether a sentence ends in a full stop is nobody's business."""
    return type(error), json.dumps(error.to_json(), sort_keys=True).replace('."', '"'), str(error)


@pytest.mark.parametrize(
    "call",
    [
        lambda v: v.experiment("ee"),
        lambda v: v.create({**SPEC, "seed": 7}),
        lambda v: v.create({**SPEC, "name": "f", "max_trials": 0}),
        lambda v: v.create({**SPEC, "name": "f", "max_trials": 0, "seed": "x"}),
        lambda v: v.update("e", {"weight": "heavy"}),
        lambda v: v.resume("e"),
        lambda v: v.user("nobody"),
    ],
)
def test_an_error_is_the_same_as_on_the_machine(one: Served, call: object) -> None:
    """Class, parts and words are those that the verb has there."""
    found = []
    for verbs in (one.service, one.client()):
        with pytest.raises(UserError) as caught:
            call(verbs)  # type: ignore[operator]
        found.append(parts_of(caught.value))
    assert found[0] == found[1]
    assert found[0][0] is not SpecErrors or found[0][1].count('"kind"') > 2  # type: ignore[index]


def test_whoever_has_no_good_token_is_told_to_sign_in(one: Served) -> None:
    """Without one, or with one that was revoked."""
    for token in (None, "twt_nothing"):
        with Client.over(Connection(one.address, token, 0.0)) as client:
            with pytest.raises(ServerError, match="tunewell login") as caught:
                client.me()
            assert caught.value.kind == "unauthenticated"


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """It is said where it was looked for, and nothing else is thrown."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        address = f"http://127.0.0.1:{place.getsockname()[1]}"
    with (
        Client.over(Connection(address, "t", 0.0)) as client,
        pytest.raises(Unavailable, match=f"{address}: the server can't be reached"),
    ):
        client.me()


class _Other(BaseHTTPRequestHandler):
    """A server that is none of Tunewell's."""

    def do_GET(self) -> None:
        """Answer with a page, or lead elsewhere."""
        self.send_response(302 if "trials" in self.path else 200)
        self.send_header("Location", "https://elsewhere.example.org/")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def test_a_server_of_somebody_else() -> None:
    """A page instead of an answer, and a redirection, which the token does not follow, are errors."""
    with HTTPServer(("127.0.0.1", 0), _Other) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        with Client.over(Connection(f"http://127.0.0.1:{other.server_port}", "t", 0.0)) as client:
            with pytest.raises(ServerError, match="something else than a Tunewell server"):
                client.me()
            with pytest.raises(ServerError, match=r"leads to another address: https://elsewhere\.example\.org/"):
                client.trials("e")
        other.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "url", ["", "here", "ftp://x", "http://", "http://a:b@c", "http://x:99999", "http://[", "http://x?y"]
)
def test_addresses_that_are_none(url: str) -> None:
    """They are refused before anything is sent, and a password in one is not shown."""
    with pytest.raises(ArgumentError, match=r"^server: ") as caught:
        Connection(url, None)
    assert "a:b" not in str(caught.value)


# Trying again ---------------------------------------------------------------------------------------------


def test_a_command_whose_answer_is_lost_is_done_once(one: Served) -> None:
    """It is sent again under its key, and nothing is done twice; so is a wish for a job, and what only reads."""
    with losing(one.address) as proxy, patient(one, proxy.address) as client:
        for call in (
            lambda: client.create({**SPEC, "name": "f"}, new="always"),
            lambda: client.evaluate("e"),
            lambda: client.experiment("e"),
        ):
            proxy.to_lose = 2
            call()
            assert proxy.to_lose == 0
    assert [line.name for line in one.service.experiments().items] == ["f", "e"]
    assert len(one.service.jobs().items) == 1


def test_a_secret_whose_answer_is_lost_is_not_made_twice(one: Served) -> None:
    """That is an error: whoever wants one asks again."""
    before = len(one.service.tokens().items)
    with losing(one.address) as proxy, patient(one, proxy.address) as client:
        before += 1
        proxy.to_lose = 1
        with pytest.raises(Unavailable):
            client.create_token("lost")
    assert len(one.service.tokens().items) == before + 1


def test_who_comes_too_often_waits(tmp_path: Path) -> None:
    """An answer that says to come later is waited for."""
    settings = replace(OPEN, requests_per_second=2.0, requests_at_once=1)
    with Service(tmp_path) as service, served(service, settings) as address:
        token = service.create_token("t").secret
        with Client.over(Connection(address, token, 20.0)) as client:
            assert {client.me().name for _ in range(3)} == {"owner"}
        with Client.over(Connection(address, token, 0.0)) as hasty, pytest.raises(Unavailable, match="too many"):
            for _ in range(3):
                hasty.me()


def test_an_upload_that_breaks_off_goes_on(one: Served) -> None:
    """What has come is not sent again, and the whole is what it was."""
    data = bytes(range(256)) * (PART // 256) + b"end"
    with losing(one.address) as proxy, patient(one, proxy.address) as client:
        id = client.create_upload("begun", 3).id
        proxy.to_lose = 1
        with pytest.raises(Unavailable):
            client.put_part(id, 0, [b"abc"])
        assert client.upload(id).received_bytes == 3
        proxy.to_lose = 3
        assert client.upload(send_file(client, "whole", io.BytesIO(data))).size_bytes == len(data)


# What lies here -------------------------------------------------------------------------------------------


def test_what_a_spec_needs_is_sent_once(one: Served, tmp_path: Path) -> None:
    """The folder of its command becomes code, that of its data a data set named after it; again, nothing is sent."""
    folder = tmp_path / "my program"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "a.png").write_bytes(b"picture")
    spec = {"name": "e", "command": ["true"], "working_directory": str(folder), "data": str(folder / "pictures")}
    told: list[str] = []
    found = shipped(one.client(), spec, told.append)
    assert (
        told[1].endswith("is seen by everybody.")
        and found["data"].startswith("dataset:pictures-")
        and len(found["code"]) == 64
    )
    assert "working_directory" not in found
    assert shipped(one.client(), spec, told.append) == found and len([line for line in told if "Sending" in line]) == 2
    (folder / "pictures" / "b.png").write_bytes(b"another")
    found = shipped(one.client(), {**spec, "visibility": "private"}, told.append)
    assert one.client().dataset(found["data"].removeprefix("dataset:")).visibility == "private"
    assert any(line.endswith("is seen by its owner and administrators alone.") for line in told)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "spec.yaml").write_text("max_trials: 2")
    found = shipped(one.client(), {"command": ["true"], "working_directory": str(alone)}, spec_file=alone / "spec.yaml")
    assert found == {"command": ["true"]}
    with pytest.raises(SpecError, match="weights"):
        shipped(one.client(), {**spec, "weights": str(folder / "w.pt")})
    with pytest.raises(SpecError, match="data: there is no folder"):
        shipped(one.client(), {**spec, "data": str(folder / "nothing")})


def test_program_for_other_machines(one: Served, tmp_path: Path) -> None:
    """What the command names in its folder is named as from there; of what lies elsewhere it is said."""
    folder = tmp_path / "my program"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)")
    (tmp_path / "my programs").mkdir()
    command = ["python", f"{folder}/train.py", f"--out={folder}", f"{tmp_path}/my programs", "/no/such/thing"]
    told: list[str] = []
    found = ship_program(one.client(), {"command": command, "working_directory": str(folder)}, told.append)
    assert found["command"] == ["python", "./train.py", "--out=.", f"{tmp_path}/my programs", "/no/such/thing"]
    assert len(found["code"]) == 64 and "working_directory" not in found
    assert told[-1] == (
        f"Not sent, as it lies in another folder: {tmp_path}/my programs. It must be there where the command runs."
    )
    assert ship_program(one.client(), found, told.append) == found


def test_pictures_are_sent(one: Served, tmp_path: Path) -> None:
    """One alone, or several with folders of them, whatever they are called; what is not there is said."""
    for name in ("a/1.png", "b/1.png", "b/c/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    client = one.client()
    assert client.upload(send_pictures(client, [tmp_path / "a/1.png"])).name == "1.png"
    several = client.upload(send_pictures(client, [tmp_path / "a/1.png", tmp_path / "b/1.png", tmp_path / "b"]))
    assert several.finished_at is not None and several.name.endswith(".tar")
    with pytest.raises(NotFoundError, match="no such file or folder"):
        send_pictures(client, [tmp_path / "nothing"])


@pytest.mark.parametrize("argument", ["output", "drawn"])
def test_paths_are_refused(one: Served, argument: str) -> None:
    """A path of this machine means nothing to a server, and is not sent to it."""
    with pytest.raises(ArgumentError, match="means nothing to a server"):
        one.client().predict("e", [Path("x.png")], **{argument: Path("out")})  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="means nothing to a server"):
        one.client().retrain("e", output=Path("out"))


# Which server ---------------------------------------------------------------------------------------------


def test_a_token_goes_to_its_own_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That of the environment to the server named there, those of logins to theirs; none to any other."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for variable in (servers.SERVER, servers.TOKEN):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ArgumentError, match="none is named"):
        servers.server_and_token()
    servers.keep("https://a.example.org/", "of a")
    assert servers.server_and_token() == servers.server_and_token("last") == ("https://a.example.org", "of a")
    monkeypatch.setenv(servers.SERVER, "https://b.example.org")
    monkeypatch.setenv(servers.TOKEN, "of b")
    assert servers.server_and_token() == ("https://b.example.org", "of b")
    assert servers.server_and_token("https://a.example.org") == ("https://a.example.org", "of a")
    assert servers.server_and_token("https://c.example.org") == ("https://c.example.org", None)
    assert servers.forget("https://a.example.org") and not servers.forget("https://a.example.org")


def test_the_verbs_can_be_awaited(one: Served) -> None:
    """Several at once; what comes in parts comes whole."""

    async def ask() -> None:
        async with AsyncClient(one.address, one.token()) as client:
            me, known, exported = await asyncio.gather(client.me(), client.experiment("e"), client.export("e"))
            assert (me.name, known.name) == ("owner", "e")
            assert json.loads("".join(exported))["experiment"] == "e"
            with pytest.raises(NotFoundError):
                await client.experiment("ee")

    asyncio.run(ask())
    assert tunewell.AsyncClient is AsyncClient and tunewell.Client is Client


def test_a_search_is_watched_by_programs_that_must_not_wait(one: Served) -> None:
    """Events come one after the other, to the end of the search."""
    assert one.service.run("e", Given(follow_up=False))

    async def kinds() -> list[str]:
        async with AsyncClient(one.address, one.token()) as client:
            return [event.kind async for event in client.watch("e")]

    assert asyncio.run(kinds()) == [event.kind for event in one.service.events("e")]


def test_a_watched_search_outlives_a_cut(one: Served) -> None:
    """The stream goes on where it broke off, and no entry comes twice."""
    with losing(one.address) as proxy, patient(one, proxy.address) as client:
        watched = client.watch("e")
        first = next(watched)
        proxy.to_lose = 1
        assert one.service.run("e", Given(follow_up=False))
        assert [first, *watched] == list(one.service.events("e"))


def test_verbs_are_described_and_check_what_they_are_given(one: Served) -> None:
    """`help` tells what a verb does; what is of another type is an error of its argument, before anything is sent."""
    assert inspect.getdoc(Client.retrain) == f"{inspect.getdoc(Verbs.retrain)}\n\nThe model lies on the server."
    assert AsyncClient.update.__doc__ == inspect.getdoc(Verbs.update)
    assert AsyncClient.watch.__doc__ and list(inspect.signature(AsyncClient.top).parameters) == [
        "self",
        "name",
        "number",
    ]
    client = one.client()
    wrong: list[tuple[str, Callable[[], object]]] = [
        ("changes", lambda: client.update("e", "max_trials=9")),  # type: ignore[arg-type]
        ("spec", lambda: client.create([("name", "e")])),  # type: ignore[arg-type]
        ("name", lambda: client.experiment(5)),  # type: ignore[arg-type]
        ("trials", lambda: client.retry("e", 3)),  # type: ignore[arg-type]
        ("states", lambda: client.experiments(states="running")),  # type: ignore[arg-type]
        ("inputs", lambda: client.predict("e", ["a.png"])),  # type: ignore[list-item]
        ("expires_at", lambda: client.create_token("t", "tomorrow")),  # type: ignore[arg-type]
        ("reports", lambda: client.add_reports("e", 1, 1, [{"metrics": {}}])),  # type: ignore[list-item]
    ]
    for field, ask in wrong:
        with pytest.raises(ArgumentError, match=f"{field}: it is of type") as caught:
            ask()
        assert caught.value.field == field and "Give " in str(caught.value)


class Waiting:
    """The verbs of a client that is awaited, without the waiting."""

    def __init__(self, client: AsyncClient) -> None:
        """Take a client."""
        self._client = client

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        ask = getattr(self._client, verb)
        return lambda *arguments, **named: asyncio.run(ask(*arguments, **named))

    def close(self) -> None:
        """Close all connections."""
        asyncio.run(self._client.__aexit__())


#: What is another thing each time that it is asked for, or is not awaited as a whole.
FRESH = ("watch", "create_token", "sign_in_link", "tokens", "audit", "me")


def test_what_is_awaited_is_what_is_asked_for(one: Served) -> None:
    """Each verb that reads gives the same, whether it is awaited or not, and errors are the same."""
    assert one.service.run("e", Given(follow_up=False))
    asked = one.client()
    with closing(Waiting(AsyncClient(one.address, one.token()))) as awaited:
        for verb, read in READS.items():
            if verb not in FRESH:
                assert read(awaited) == read(asked), verb
        with pytest.raises(NotFoundError, match="There is no experiment 'ee'"):
            awaited.experiment("ee")


def test_who_waits_for_a_server_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Once, with how long it is tried again."""
    with Client.over(Connection(f"http://127.0.0.1:{free_port()}", "twt_any", 1.8)) as client:
        for _ in range(2):
            with pytest.raises(Unavailable):
                client.version()
    assert len(caplog.messages) == 1 and "does not answer; it is tried again for 2 s" in caplog.text


def test_a_wrong_address_is_not_tried_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has never answered is given up sooner than one that has."""
    monkeypatch.setattr(connection, "UNKNOWN_SECONDS", 0.0)
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 1e9)
    with Client(f"http://127.0.0.1:{free_port()}", "twt_any") as client, pytest.raises(Unavailable, match="be reached"):
        client.version()
