"""What notifications say."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tunewell.service.notifications import wording
from tunewell.service.notifications.wording import Telling

FACTS: dict[str, Any] = {
    "search": "ada/signs",
    "owner": "ada",
    "project": "",
    "state": "completed",
    "stop_rule": "max_trials",
    "metric": "<b>&accuracy</b>*",
    "goal": "maximize",
    "best": {"trial": 7, "value": 0.943},
    "default": {"trial": 1, "value": 0.921},
    "trials": {"waiting": 0, "running": 0, "succeeded": 11, "stopped": 0, "pruned": 3, "failed": 1},
    "started_at": 1.0,
    "ended_at": 3601.0,
    "elapsed_seconds": 3600.0,
}
ENDED = Telling("ended", FACTS, 3601.0, "https://tune.example.org")


def test_facts_for_programs() -> None:
    """They hold the search, its figures, the gain in the direction of its goal, and a link if the address is known."""
    body = json.loads(wording.json_of(ENDED))
    assert (body["type"], body["timestamp"]) == ("ended", "1970-01-01T01:00:01.000+00:00")
    data = body["data"]
    assert data["link"] == "https://tune.example.org/experiments/ada~signs"
    assert data["gain"] == pytest.approx(0.022) and data["best"] == {"trial": 7, "value": 0.943}
    assert (data["started_at"], data["state"]) == ("1970-01-01T00:00:01.000+00:00", "completed")
    less = replace(ENDED, facts={**FACTS, "goal": "minimize"}, address="")
    data = json.loads(wording.json_of(less))["data"]
    assert data["gain"] == pytest.approx(-0.022) and data["link"] is None
    none = replace(ENDED, facts={**FACTS, "default": None})
    assert json.loads(wording.json_of(none))["data"]["gain"] is None


def test_messages_for_slack() -> None:
    """Words of users are in blocks of plain text; what Slack takes for markup is escaped."""
    hostile = replace(ENDED, facts={**FACTS, "search": "ada/<!channel>&x"})
    body = json.loads(wording.slack_of(hostile))
    assert body["text"] == ("Search ada/&lt;!channel&gt;&amp;x has ended (completed): all its trials have ended")
    texts = [block["text"] for block in body["blocks"] if block["type"] == "section"]
    assert all(text["type"] == "plain_text" for text in texts)
    assert "Best <b>&accuracy</b>*: 0.943 (trial 7)" in texts[1]["text"]
    (button,) = body["blocks"][-1]["elements"]
    assert button["url"].startswith("https://tune.example.org/experiments/")
    long = replace(ENDED, facts={**FACTS, "metric": 5000 * "m"}, address="")
    assert all(len(block["text"]["text"]) <= 3000 for block in json.loads(wording.slack_of(long))["blocks"])


def test_a_training_that_was_cut_off_is_told() -> None:
    """A value of a training that a limit ended is no value of one in full."""
    came = "epoch 7 of 10, stopped by the time limit of the search"
    cut = replace(ENDED, facts={**FACTS, "best": {**FACTS["best"], "training": came}})
    assert f"0.943 (trial 7, {came})" in wording.text_of(cut)


def test_mails() -> None:
    """The text has all; the same as HTML holds no markup of users."""
    text, page = wording.text_of(ENDED), wording.html_of(ENDED)
    assert text.startswith("Search ada/signs has ended (completed): all its trials have ended.\n")
    for line in ("Gain over the default configuration: +0.022", "15 trials: 11 succeeded, 3 pruned, 1 failed", "1h"):
        assert line in text
    assert "https://tune.example.org/experiments/ada~signs" in text
    assert "<b>" not in page and "&lt;b&gt;&amp;accuracy" in page
    assert len(wording.subject_of(replace(ENDED, facts={**FACTS, "search": 500 * "x"}))) < 200


@pytest.mark.parametrize(
    ("kind", "facts", "subject"),
    [
        ("target_reached", {"stop_rule": "target"}, "Search ada/signs has reached its target"),
        ("failed", {"stop_rule": "max_failed_trials"}, "Search ada/signs has failed: too many trials failed"),
        ("ended", {"state": "timed_out", "stop_rule": "x"}, "Search ada/signs has ended (timed out)"),
        ("ended", {"stop_rule": "something new"}, "Search ada/signs has ended (completed)"),
        ("disk_low", {"free_bytes": 1 << 29, "reserve_bytes": 1 << 30}, "The disk of Tunewell is nearly full"),
        ("test", {}, "A test message of Tunewell"),
        ("confirmation", {"user": "ada", "channel": 3, "code": "12345678"}, "Is this address yours?"),
    ],
)  # fmt: skip
def test_every_kind(kind: Any, facts: dict[str, Any], subject: str) -> None:
    """Each has a headline, and can be told in every form; where nothing was reached, that is no error."""
    known = {**FACTS, "best": None, "default": None} if "state" in facts or "stop_rule" in facts else {}
    telling = Telling(kind, {**known, **facts}, 1.0, "")
    assert wording.subject_of(telling) == subject
    for told in (
        wording.text_of(telling),
        wording.html_of(telling),
        wording.slack_of(telling),
        wording.json_of(telling),
    ):
        assert told
