"""Users and tokens from the command line, on the home itself."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tunewell.service.gate import Gate
from tunewell.service.service import Service


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home in the folder in which commands run."""
    Service(tmp_path / ".tunewell").close()
    return tmp_path / ".tunewell"


def test_users_are_added_changed_and_shut_out(run: Run, home: Path) -> None:
    """The link alone stands on standard output; what is wrong is said in one sentence."""
    made = run("users", "add", "ada", "--role", "viewer", "--quota", "gpus=2", "--url", "https://tune.example/")
    assert made.code == 0, made.err
    assert made.out.startswith("https://tune.example/sign-in?link=twl_")
    assert made.out.count("\n") == 1
    assert "Good once, until" in made.err
    with Service(home) as service:
        session = Gate(service.store).sign_in(made.out.strip().partition("=")[2])
        assert session is not None
        assert session.caller.role == "viewer"
    assert run("users", "set", "ada", "--run-code", "--weight", "2").code == 0
    row = run("users", "list", "--json").json["users"][0]
    assert (row["name"], row["role"], row["run_code"], row["weight"], row["quota"]) == (
        "ada",
        "viewer",
        True,
        2,
        {"gpus": 2},
    )
    with Service(home) as service:
        service.store.set_user("ada", {"disk_bytes": 3 << 30})
    limited = run("users", "set", "ada", "--quota", "disk_bytes=1.5G", "--quota", "cpu_hours=40")
    assert limited.code == 0 and "ada has 3 GiB now (disk_bytes) and may have 1.5 GiB" in limited.err
    listed = run("users", "list").out
    assert "cpu_hours 40 h" in listed and "disk_bytes 1.5 GiB" in listed
    assert (
        "quota.gpu: there is no such field. Did you mean 'gpus'" in run("users", "set", "ada", "--quota", "gpu=1").err
    )
    assert run("users", "set", "ada", "--quota", "none").code == 0
    assert run("users", "disable", "ada").code == 0
    assert run("users", "list").out.splitlines()[1].split() == ["ada", "viewer", "yes", "2", "disabled"]
    refused = run("users", "link", "ada")
    assert (refused.code, refused.out) == (2, "")
    assert "ada is shut out" in refused.err
    assert run("users", "enable", "ada").code == 0
    link = run("users", "link", "ada")
    assert link.out.startswith("http://127.0.0.1:8700/sign-in?link=twl_") and "No service" in link.err
    for wrong, said in (
        (("disable", "owner"), "last administrator"),
        (("add", "Eve"), "can't be called 'Eve'"),
        (("set", "ada"), "nothing is to be changed"),
        (("set", "ada", "--quota", "gpus"), "'gpus' is no limit"),
    ):
        answer = run("users", *wrong)
        assert answer.code == 2
        assert said in answer.err


def test_tokens_are_made_listed_and_revoked(run: Run, home: Path) -> None:
    """The token alone stands on standard output, this once."""
    made = run("tokens", "add", "nightly", "--days", "30")
    assert made.out.startswith("tw_")
    (row,) = run("tokens", "list", "--json").json["tokens"]
    assert (row["owner"], row["label"], row["kind"], row["used_at"]) == ("owner", "nightly", "token", None)
    listed = run("tokens", "list")
    assert "nightly" in listed.out
    assert made.out.strip() not in listed.out
    assert run("tokens", "revoke", row["id"]).code == 0
    assert run("tokens", "list", "--json").json["tokens"] == []
    file = home.parent / "laptop.token"
    kept = run("tokens", "add", "laptop", "--token-file", file)
    assert (kept.code, kept.out) == (0, "") and file.read_text().startswith("tw_")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lost = run("tokens", "add", "lost", "--token-file", home / "none" / "token")
    assert lost.code == 2 and "can't be written" in lost.err and "--token-file" in lost.err
    assert [one["label"] for one in run("tokens", "list", "--json").json["tokens"]] == ["laptop"]
    assert "There is no token 99" in run("tokens", "revoke", 99).err
