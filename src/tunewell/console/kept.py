"""What the form of a new search keeps of what it does not show just now, so that it is there when one comes back.

A field belongs to a place: the network to its task, a range to its network, an option to its algorithm; all others are
the same everywhere. What was filled in at a place that is left, and what another mode or kind has no use for, travels
along in one hidden field, `kept`, as JSON; it counts for nothing until it is shown again.

Fields are texts by name, as in `tunewell.console.forms`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tunewell.console.forms import Fields

#: Name of the hidden field.
KEPT = "kept"
#: What places are of.
TASK, NETWORK, ALGORITHM = "task", "network", "algorithm"
_OF_TASKS = ("network", "weights", "metric", "goal")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept, and which places the fields that are shown belong to."""

    #: Task, network, algorithm → the one that is shown.
    at: Mapping[str, str] = field(default_factory=dict)
    #: Place → field → text. A place that was never left is not in it.
    texts: Mapping[str, Fields] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Kept:
        """Return what a hidden field says; nothing if that makes no sense."""
        try:
            data = json.loads(text)
            at, texts = data["at"], data["texts"]
            return cls(_texts(at), {str(place): _texts(fields) for place, fields in texts.items()})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()

    def __str__(self) -> str:
        return json.dumps({"at": self.at, "texts": self.texts}, ensure_ascii=False, sort_keys=True)

    def place(self, name: str) -> str:
        """Return the place of a field: `network resnet18`; empty: it is the same everywhere."""
        kind = _kind(name)
        return f"{kind} {self.at.get(kind, '')}" if kind else ""

    def of(self, beginning: str) -> dict[str, str]:
        """Return what is kept of fields that begin so, at the places that are shown."""
        fields = self.texts.get(self.place(beginning), {})
        return {name: text for name, text in fields.items() if name.startswith(beginning)}

    def without(self, beginning: str) -> Kept:
        """Return the same without fields that begin so, at the places that are shown."""
        place = self.place(beginning)
        rest = {name: text for name, text in self.texts.get(place, {}).items() if not name.startswith(beginning)}
        return Kept(self.at, {**self.texts, place: rest} if place in self.texts else self.texts)


def turn(
    fields: Fields, kept: Kept, kind: str, now: str, carried: Callable[[str, str], bool]
) -> tuple[dict[str, str], Kept]:
    """Return fields and what is kept when another task, network or algorithm is shown.

    Args:
        fields: those that are shown.
        kept: what is kept.
        kind: task, network or algorithm.
        now: the one that is shown from now on.
        carried: whether a field (name, text) is taken along to where nobody has been before.
    """
    before, at = kept.at.get(kind, now), {**kept.at, kind: now}
    if before == now:
        return dict(fields), Kept(at, kept.texts)
    left = {name: text for name, text in fields.items() if _kind(name) == kind}
    rest = {name: text for name, text in fields.items() if name not in left}
    texts = {**kept.texts, f"{kind} {before}": {**kept.texts.get(f"{kind} {before}", {}), **_filled(left)}}
    back = texts.pop(f"{kind} {now}", None)
    if back is None:
        back = {name: text for name, text in texts[f"{kind} {before}"].items() if carried(name, text)}
    return {**rest, **back}, Kept(at, texts)


def show(
    fields: Fields, kept: Kept, is_shown: Callable[[str, Fields], bool], first: Callable[[str], bool]
) -> tuple[dict[str, str], Kept]:
    """Return the fields that are shown, and what is kept.

    Args:
        fields: those that may be shown.
        kept: what is kept.
        is_shown: whether a field is shown, among these fields.
        first: whether others may depend on a field of this name.
    """
    shown, texts = dict(fields), {place: dict(known) for place, known in kept.texts.items()}
    for is_turn in (True, False):
        names: Iterable[str] = [name for place in texts for name in texts[place] if kept.place(name) == place]
        for name in names:
            if first(name) is is_turn and is_shown(name, shown):
                text = texts[kept.place(name)].pop(name)
                shown.setdefault(name, text)
        for name in list(shown):
            if first(name) is is_turn and not is_shown(name, shown):
                text = shown.pop(name)
                if text.strip():
                    texts.setdefault(kept.place(name), {})[name] = text
    return shown, Kept(kept.at, texts)


def _kind(name: str) -> str:
    if name in _OF_TASKS:
        return TASK
    beginning = name.partition(".")[0] if "." in name else ""
    return {"range": NETWORK, "option": ALGORITHM}.get(beginning, "")


def _filled(fields: Fields) -> dict[str, str]:
    return {name: text for name, text in fields.items() if text.strip()}


def _texts(data: Mapping[str, str]) -> dict[str, str]:
    return {str(name): str(text) for name, text in data.items()}
