"""`tunewell notify`: where notifications go, on the home itself and over a server."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.conftest import Run
from tests.client.serving import serving
from tests.service.notifications.receiving import receiving, taking_mail


def test_a_webhook(run: Run) -> None:
    """The secret alone stands on standard output; what is in the way is told with the command that helps."""
    with receiving() as receiver:
        url, host = receiver.url("/hook"), f"127.0.0.1:{receiver.port}"
        refused = run("notify", "add", url)
        assert refused.code == 2 and f"An administrator allows it: tunewell notify allow {host}" in refused.err
        allowed = run("notify", "allow", host, "--plain-http", "--private")
        assert f"  {host} (plain http, private addresses)\n" in allowed.out
        made = run("notify", "add", url, "--event", "failed", "--project", "p", "--label", "robot")
        assert made.code == 0 and re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", made.out)
        assert "notify test 1" in made.err
        tested = run("notify", "test", 1)
        assert (tested.code, tested.out) == (0, "Delivered (204).\n")
        receiver.answers["/hook"] = (500, {})
        failed = run("notify", "test", 1)
        assert (failed.code, failed.err) == (1, "Not delivered. 127.0.0.1 answers 500.\n")
        (one,) = run("notify", "list", "--json").json["channels"]
        assert (one["events"], one["searches"], one["project"], one["label"]) == (["failed"], "project", "p", "robot")
        assert run("notify", "set", 1, "--searches", "own", "--event", "ended", "--off").code == 0
        (one,) = run("notify", "list", "--json").json["channels"]
        assert (one["events"], one["searches"], one["project"], one["active"]) == (["ended"], "own", "", False)
        assert "Switch it on first" in run("notify", "redeliver", 1, 2).err
        assert run("notify", "set", 1, "--on").code == 0
        assert run("notify", "redeliver", 1, 2).out == "It will be sent again.\n"
        latest, first = run("notify", "deliveries", 1, "--json").json["deliveries"]
        assert (latest["state"], first["state"]) == ("waiting", "delivered")
        assert run("notify", "allow", host, "--withdraw").out == "No host is allowed.\n"
        assert f"tunewell notify allow {host}" in run("notify", "list").out
        assert run("notify", "remove", 1).code == 0
    for wrong, said in (
        (("set", 1), "nothing is to be changed"),
        (("allow", "--withdraw"), "it is missing"),
        (("add", "https://x.org", "--event", "sunrise"), "Give ended, target_reached, failed, disk_low"),
    ):
        answer = run("notify", *wrong)
        assert answer.code == 2 and said in answer.err and "Traceback" not in answer.err, answer.err


def test_an_address(run: Run) -> None:
    """On the machine itself the mail server is that of the environment, as a controller has it."""
    with taking_mail(login=("me", "sesame")) as box:
        given = {"TUNEWELL_SMTP": f"smtp://me@127.0.0.1:{box.port}", "TUNEWELL_MAIL_FROM": "tunewell@example.org"}
        made = run("notify", "add", "ada@example.org", **given)
        assert made.code == 0 and "tunewell notify confirm 1 CODE" in made.err
        assert "user name or password" in run("notify", "test", 1, **given).err
        given["TUNEWELL_SMTP_PASSWORD"] = "sesame"
        assert run("notify", "test", 1, **given).code == 0
        body = box.mails[0].get_body(("plain",))
        found = re.search(r"Code: (\d+)", body.get_content()) if body is not None else None
        assert found is not None and run("notify", "confirm", 1, "000").code == 2
        assert run("notify", "confirm", 1, found[1]).code == 0
        assert run("notify", "list", "--json").json["channels"][0]["confirmed"] is True


def test_over_a_server(run: Run, tmp_path: Path) -> None:
    """The same commands ask a server."""
    with serving(tmp_path / "home") as served, receiving() as receiver:
        there = {"TUNEWELL_SERVER": served.address, "TUNEWELL_TOKEN": served.token()}
        run("notify", "allow", f"127.0.0.1:{receiver.port}", "--plain-http", "--private", **there)
        assert run("notify", "add", receiver.url("/x"), **there).out.startswith("whsec_")
        assert run("notify", "test", 1, **there).out == "Delivered (204).\n"
        assert "http://127.0.0.1" in run("notify", "list", "--everyone", **there).out
        assert "this service sends no mail" in run("notify", "add", "ada@example.org", **there).err
        assert len(receiver.at("/x")) == 1
