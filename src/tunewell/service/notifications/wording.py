"""What notifications say: facts for programs, messages for Slack, mails for people.

Names and metrics are words of users. In Slack's messages they are plain text, or escaped; in the HTML of mails, too.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tunewell.spec.errors import count, shortened
from tunewell.spec.format import size
from tunewell.spec.names import in_address
from tunewell.spec.notifications import MessageKind
from tunewell.spec.quantities import format_duration
from tunewell.store.rows import JsonObject

#: Where the console has what a message is about, below the address of the service.
SETTINGS = "/settings/notifications"
#: Stop rule → why a search has ended, in words that follow its state.
_RULES: Final[Mapping[str, str]] = {
    "max_trials": "all its trials have ended",
    "exhausted": "there was nothing left to try",
    "max_duration": "its time was over",
    "target": "a trial reached the target",
    "no_improvement": "the last trials brought no better value",
    "converged": "more trials promised no gain",
    "max_failed_trials": "too many trials failed",
    "by_hand": "it was stopped by hand",
    "error": "it could not go on",
}
#: Longest text of a block of Slack's, and of a subject, in characters.
_LONGEST_BLOCK, _LONGEST_SUBJECT = 2900, 180


@dataclass(frozen=True, slots=True)
class Telling:
    """One message, and what it is told with."""

    kind: MessageKind
    facts: JsonObject
    #: When that was of which it tells, in seconds since the epoch.
    moment: float
    #: Where people find the service, without a slash at its end; empty: that is not known.
    address: str

    @property
    def link(self) -> str | None:
        """Where more about it is to be seen; None: that is not known."""
        if not self.address:
            return None
        name = self.facts.get("search")
        return f"{self.address}/experiments/{in_address(name)}" if name else f"{self.address}{SETTINGS}"

    @property
    def headline(self) -> str:
        """The message in a line."""
        if self.kind == "test":
            return "A test message of Tunewell"
        if self.kind == "confirmation":
            return "Is this address yours?"
        if self.kind == "disk_low":
            return "The disk of Tunewell is nearly full"
        name, state = self.facts["search"], str(self.facts["state"]).replace("_", " ")
        why = _RULES.get(self.facts["stop_rule"], "")
        if self.kind == "failed":
            return f"Search {name} has failed" + (f": {why}" if why else "")
        if self.kind == "target_reached":
            return f"Search {name} has reached its target"
        return f"Search {name} has ended ({state})" + (f": {why}" if why else "")

    @property
    def lines(self) -> Sequence[str]:
        """What else there is to say, a line each."""
        if self.kind == "test":
            return ("If you can read this, notifications arrive here.",)
        if self.kind == "disk_low":
            free, kept = self.facts["free_bytes"], self.facts["reserve_bytes"]
            remedy = "Nothing new starts until there is room: `tunewell gc` removes files no longer needed."
            return (f"{size(free)} are free, {size(kept)} are kept free.", remedy)
        if self.kind == "confirmation":
            return _question(self.facts, self.address)
        return _figures(self.facts)


def json_of(telling: Telling) -> bytes:
    """Return the message as programs are sent it."""
    moment = datetime.fromtimestamp(telling.moment, UTC).isoformat(timespec="milliseconds")
    data = {**telling.facts, "gain": _gain(telling.facts)} if "search" in telling.facts else dict(telling.facts)
    for name in ("started_at", "ended_at"):
        if data.get(name) is not None:
            data[name] = datetime.fromtimestamp(data[name], UTC).isoformat(timespec="milliseconds")
    body = {"type": telling.kind, "timestamp": moment, "data": {**data, "link": telling.link}}
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def slack_of(telling: Telling) -> bytes:
    """Return the message as Slack takes it: users' words are in blocks of plain text, or escaped."""
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": _plain(telling.headline)},
        {"type": "section", "text": _plain("\n".join(telling.lines))},
    ]
    if telling.link is not None:
        button = {"type": "button", "text": _plain("Open in Tunewell"), "url": telling.link}
        blocks.append({"type": "actions", "elements": [button]})
    body = {"text": _escaped(telling.headline), "blocks": blocks}
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def subject_of(telling: Telling) -> str:
    """Return the subject of a mail."""
    return shortened(telling.headline, _LONGEST_SUBJECT)


def text_of(telling: Telling) -> str:
    """Return the text of a mail."""
    parts = [f"{telling.headline}{'' if telling.headline.endswith('?') else '.'}", "", *telling.lines]
    if telling.link is not None:
        parts += ["", telling.link]
    return "\n".join([*parts, "", _why_sent(telling), ""])


def html_of(telling: Telling) -> str:
    """Return the same for programs that show HTML."""
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in telling.lines)
    link = html.escape(telling.link or "")
    more = f'<p><a href="{link}">Open in Tunewell</a></p>' if link else ""
    why = html.escape(_why_sent(telling))
    return f"<!doctype html><h3>{html.escape(telling.headline)}</h3>{lines}{more}<p><small>{why}</small></p>"


def _why_sent(telling: Telling) -> str:
    if telling.kind == "confirmation":
        return "If you did not ask for this, do nothing: no further mail is sent to you."
    return "You are sent this since you asked for notifications by mail; your settings in Tunewell end that."


def _question(facts: JsonObject, address: str) -> Sequence[str]:
    where = f"at {address}{SETTINGS}, " if address else ""
    return (
        f"{facts['user']} wants to be sent notifications of Tunewell at this address.",
        f"Code: {facts['code']}",
        f"To confirm it, give this code {where}or by: tunewell notify confirm {facts['channel']} {facts['code']}",
    )


def _figures(facts: JsonObject) -> Sequence[str]:
    lines = []
    best, metric = facts["best"], facts["metric"]
    if best is not None:
        which = ", ".join(part for part in (f"trial {best['trial']}", best.get("training")) if part)
        lines.append(f"Best {metric}: {best['value']:.6g} ({which})")
        gain = _gain(facts)
        if gain is not None:
            lines.append(f"Gain over the default configuration: {gain:+.6g}")
    trials = {state: amount for state, amount in facts["trials"].items() if amount}
    counted = ", ".join(f"{amount} {state}" for state, amount in trials.items())
    lines.append(f"{count(sum(trials.values()), 'trial')}{f': {counted}' if counted else ''}")
    lines.append(f"It ran for {format_duration(facts['elapsed_seconds'])}.")
    return lines


def _gain(facts: JsonObject) -> float | None:
    """Return how much better the best trial is than the default configuration; None: there is not one of both."""
    best, default = facts["best"], facts["default"]
    if best is None or default is None:
        return None
    gain: float = best["value"] - default["value"]
    return gain if facts["goal"] == "maximize" else -gain


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": shortened(text, _LONGEST_BLOCK), "emoji": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
