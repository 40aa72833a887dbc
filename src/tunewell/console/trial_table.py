"""The table of trials on a page: what of it is shown, and the addresses that show something else of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tunewell.service.types import Experiment, Range, TrialFilter
from tunewell.service.types.selection import WITHIN
from tunewell.spec.format import number, scalar
from tunewell.spec.states import TrialState

#: Trials on a page, and most parameters that have a column where nobody has chosen.
ROWS, MOST_COLUMNS = 50, 10
#: What trials can be sorted by beside parameters; a parameter of such a name has `parameter:` before it.
FACTS = ("number", "value", "start", "end", "duration")

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TrialTable:
    """What is shown of the trials of an experiment, by the parameters of an address."""

    one: Experiment
    #: Names and values, in their order.
    query: Query
    #: Names of parameters, in the order in which they are shown.
    names: tuple[str, ...]

    # What is shown ----------------------------------------------------------------------------------------

    @property
    def filter(self) -> TrialFilter:
        """Which trials are wanted; raises `ArgumentError`."""
        return TrialFilter.from_query(self.query)

    @property
    def order(self) -> str:
        """What they are sorted by, as verbs take it: the latest first where nobody has chosen."""
        return dict(self.query).get("sort") or "-number"

    @property
    def sort(self) -> str:
        """The same without its direction."""
        return self.order.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return self.order.startswith("-")

    @property
    def cursor(self) -> str | None:
        """Where the page begins; None: with the first."""
        return dict(self.query).get("cursor")

    @property
    def rows(self) -> int:
        """Trials on a page."""
        return ROWS

    @property
    def total(self) -> int:
        """How many trials there are."""
        return sum(self.one.trials.values())

    @property
    def is_narrowed(self) -> bool:
        """Whether only some trials are wanted."""
        return any(_narrows(name) for name, _ in self.query)

    @property
    def states(self) -> tuple[TrialState, ...]:
        """States that are wanted; none: all."""
        return self.filter.states

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Parameters that could have a column."""
        return self.names

    @property
    def columns(self) -> tuple[str, ...]:
        """Parameters that have a column."""
        chosen = [text for name, text in self.query if name == "column"]
        return tuple(name for name in self.names if name in chosen) if chosen else self.names[:MOST_COLUMNS]

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """What has to hold, each in words and with the address without it."""
        found = [(f"cause {text.replace('_', ' ')}", self._without(("cause", text))) for text in self._all("cause")]
        found += [(f"origin {text}", self._without(("origin", text))) for text in self._all("origin")]
        for name, condition in self.filter.within.items():
            called = self.one.objective.metric if name == "value" else name.removeprefix("parameter:")
            found.append((f"{called} {_words(condition)}", self._address(drop=(f"{WITHIN}{name}",))))
        return found

    def pair(self, order: Sequence[str]) -> tuple[str, str] | None:
        """Return the two parameters that are drawn against each other: the chosen ones, or the first of an order."""
        chosen = [text for name, text in self.query if name == "of" and text in order][:2]
        both = [*chosen, *(name for name in order if name not in chosen)][:2]
        return (both[0], both[1]) if len(both) == 2 else None

    # Other addresses --------------------------------------------------------------------------------------

    def toggle(self, name: str, text: str) -> str:
        """Return the address with or without a value of a parameter that may be there several times."""
        if text in self._all(name):
            return self._without((name, text))
        return self._address(add=((name, text),))

    def sorted_by(self, key: str) -> str:
        """Return the address sorted by something: first the way that people want, then the other way round."""
        best_first = self.one.objective.goal == "maximize" if key == "value" else key in ("number", "end", "start")
        wanted = f"-{key}" if best_first else key
        if self.order == wanted:
            wanted = key if best_first else f"-{key}"
        return self._address(drop=("sort",), add=(("sort", wanted),))

    def key_of(self, parameter: str) -> str:
        """Return what a parameter is called where it is sorted or filtered by."""
        return f"parameter:{parameter}" if parameter in FACTS else parameter

    def next(self, cursor: str) -> str:
        """Return the address of the page that begins behind a cursor."""
        return self._address(add=(("cursor", cursor),))

    def export(self, format: str) -> str:
        """Return the parameters of an address that exports what is wanted."""
        return "?" + urlencode([("format", format), *((name, text) for name, text in self.query if _narrows(name))])

    def with_choice(self, name: str, text: str) -> str:
        """Return the address with another choice of what is drawn; empty: the usual one."""
        return self._address(drop=(name,), add=((name, text),))

    def kept_beside(self, name: str) -> list[tuple[str, str]]:
        """Return what a form that chooses something keeps of the address."""
        return [one for one in self.query if one[0] != name]

    @property
    def first(self) -> str:
        """The address of the first page."""
        return self._address()

    @property
    def everything(self) -> str:
        """The address at which every trial is wanted."""
        return self._address(drop=tuple(name for name, _ in self.query if _narrows(name)))

    @property
    def hidden_fields(self) -> list[tuple[str, str]]:
        """What a form that chooses columns keeps of the address."""
        return [(name, text) for name, text in self.query if name not in ("column", "cursor")]

    def _all(self, name: str) -> list[str]:
        return [text for known, text in self.query if known == name]

    def _without(self, gone: tuple[str, str]) -> str:
        return _joined([one for one in self.query if one not in (gone, ("cursor", self.cursor))])

    def _address(self, drop: tuple[str, ...] = (), add: Query = ()) -> str:
        kept = [(name, text) for name, text in self.query if name not in ("cursor", *drop)]
        return _joined([*kept, *add])


def _joined(query: Query) -> str:
    return "?" + urlencode([(name, text) for name, text in query if text])


def _narrows(name: str) -> bool:
    return name in ("state", "cause", "origin") or name.startswith(WITHIN)


def _words(condition: Range | Sequence[object]) -> str:
    if isinstance(condition, Range):
        if condition.low is None:
            return "has a value" if condition.high is None else f"≤ {number(condition.high)}"
        if condition.high is None:
            return f"≥ {number(condition.low)}"
        return f"{number(condition.low)} … {number(condition.high)}"
    return " or ".join(map(scalar, condition))
