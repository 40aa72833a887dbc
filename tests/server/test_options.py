"""How a service is started."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tunewell.server.logs import without_secrets
from tunewell.server.options import Options
from tunewell.spec.errors import ArgumentError
from tunewell.spec.secrets import passwords


def test_options_reach_another_process_as_they_are() -> None:
    """What the launcher was given is what its children get."""
    given = Options(home=Path("h"), token_file=Path("t"), allowed_hosts=("a", "b"), trusted_proxies=("127.0.0.1",))
    given = replace(given, smtp="smtp://mail.example.org", mail_from="a@example.org", smtp_password_file=Path("p"))
    assert Options.from_json(json.loads(json.dumps(given.to_json()))) == given


@pytest.mark.parametrize(
    ("host", "allowed", "names"),
    [
        ("127.0.0.1", (), ("localhost", "127.0.0.1", "[::1]")),
        ("::", ("x.org",), ("localhost", "127.0.0.1", "[::1]", "x.org")),
        ("fd00::1", (), ("localhost", "127.0.0.1", "[::1]", "[fd00::1]")),
        ("10.0.0.1", ("x.org",), ("localhost", "127.0.0.1", "[::1]", "10.0.0.1", "x.org")),
    ],
)
def test_names_of_a_service(host: str, allowed: tuple[str, ...], names: tuple[str, ...]) -> None:
    """It is addressed by the names of this machine, its own address, and those that it is given."""
    assert Options(home=Path("h"), host=host, allowed_hosts=allowed).hosts == names


def test_a_public_address_says_name_and_path() -> None:
    """Who gives it needs neither `--allowed-host` nor `--root-path`, and may listen anywhere."""
    options = Options(home=Path("h"), host="0.0.0.0", url="https://Example.org:8443/tunewell/")
    options.check()
    assert options.address == "https://Example.org:8443/tunewell" and options.path == "/tunewell"
    assert options.hosts[-1] == "example.org"


@pytest.mark.parametrize(
    ("host", "proxies", "warns"),
    [
        ("127.0.0.1", (), False),
        ("localhost", (), False),
        ("::1", (), False),
        ("10.0.0.1", (), True),
        ("0.0.0.0", (), True),
        ("10.0.0.1", ("10.0.0.2",), False),
    ],
)
def test_it_warns_where_others_can_listen(host: str, proxies: tuple[str, ...], warns: bool) -> None:
    """Beyond this machine, and without a proxy that has TLS, there is a loud word."""
    assert bool(Options(home=Path("h"), host=host, trusted_proxies=proxies).warning) is warns


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8700"),
        ("::1", "http://[::1]:8700"),
        ("0.0.0.0", "http://127.0.0.1:8700"),
        ("::", "http://[::1]:8700"),
        ("", "http://127.0.0.1:8700"),
        ("10.0.0.7", "http://10.0.0.7:8700"),
    ],
)
def test_programs_here_reach_it_past_every_proxy(host: str, address: str) -> None:
    """Their address has neither the path nor the name of a proxy, and is one of those that the service takes."""
    options = Options(
        Path("h"), host=host, root_path="/tunewell", allowed_hosts=("t.example",), trusted_proxies=("::1",)
    )
    assert options.direct_address == address
    assert address.removeprefix("http://").removesuffix(":8700") in options.hosts


def test_no_secret_is_left_in_a_line() -> None:
    """Passwords of the database and what somebody proves themselves by are taken out; numbers of requests stay."""
    secrets = passwords("postgresql://me:canary-of-mine@db/tunewell")
    number = "8c05a7522bd140129d962de192dc8e15"
    line = f"canary-of-mine, tw_pGvYYb2YckeZJ75FuMADGm6zpUx_t8P7PJBqlXxL5k0, {number}"
    assert without_secrets(line, secrets) == f"[not shown], [not shown], {number}"


@pytest.mark.parametrize(("cores", "most"), [(1, 4), (2, 8), (None, 4), (16, 64), (256, 64)])
def test_there_are_a_few_workers_a_core(monkeypatch: pytest.MonkeyPatch, cores: int | None, most: int) -> None:
    """Nobody starts more processes than the machine can use, and the error says how many these are."""
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    for workers in (1, most):
        Options(home=Path("h"), workers=workers).check()
    for workers in (-1, 0, most + 1, 100_000):
        with pytest.raises(ArgumentError, match=f"1 to {most} processes can answer requests.*and not {workers}"):
            Options(home=Path("h"), workers=workers).check()


def test_a_mail_server_is_checked_at_the_start(tmp_path: Path) -> None:
    """What is wrong with it, its sender or its password is told before anything is begun."""
    good = Options(home=Path("h"), smtp="smtp://me@mail.example.org", mail_from="tunewell@example.org")
    good.check()
    for field, value in (("smtp", "mail"), ("smtp", ""), ("mail_from", ""), ("smtp_password_file", tmp_path)):
        with pytest.raises(ArgumentError):
            replace(good, **{field: value}).check()


@pytest.mark.parametrize("address", ["10.0.0.1:6379", "localhost:1", "[::1]:6379", "head.example.org:65535", "auto"])
def test_addresses_of_clusters(address: str) -> None:
    """Names, addresses of both kinds, and that of the cluster that this machine is a node of."""
    Options(home=Path("h"), ray=address).check()


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "ray://10.0.0.1:10001", "http://a:1", ":6379", "a:", "a:0", "a:65536", "a:6379/x", "a b:1", "local"],
)
def test_what_is_no_address_of_a_cluster(address: str) -> None:
    """It is told before anything is begun, with the forms that there are."""
    with pytest.raises(ArgumentError, match=f"'{address}' is no address of a Ray cluster. Give HOST:PORT"):
        Options(home=Path("h"), ray=address).check()
