"""Every error that Tunewell raises on purpose.

TunewellError
├── UserError            the input is wrong; shown without a traceback, exit code 2
│   ├── SpecError        a field of a spec or a search space
│   │   └── ArgumentError   an argument of something that the product can do
│   ├── SpecErrors       several of them: all that is wrong with one spec
│   ├── DataError        a data set or a file that the user pointed at
│   ├── NotFoundError    an experiment, trial, network, … that does not exist
│   ├── ForbiddenError   something that the caller has no right to
│   ├── ConflictError    right in itself, but not in the present state (a changed spec, a second controller)
│   ├── BusyError        right in itself, but more than can be done just now
│   └── ModelError       a model that failed while it was asked
├── JobFailed            a job that has ended without its result
├── ServiceFailed        a service that can't run
└── TransitionRefused    a state change whose starting point is no longer true
    └── TermOver         a write of a controller that no longer owns the experiment or job

A user's error is made of parts, and each front words them for its users: the command line names its options, Python its
keywords. Below the fronts, no part names an option or a command. Where the remedy is one of the front's own, `kind`
tells which error it is, and `facts` hold what the remedy needs.
"""

from __future__ import annotations

import datetime
import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tunewell.spec.secrets import is_secret

if TYPE_CHECKING:
    from tunewell.spec.states import Cause

#: Longest value and field in a message, in characters.
_LONGEST_VALUE, _LONGEST_FIELD = 60, 100
#: Longest text that `to_json` gives as a value, in characters.
_LONGEST_JSON_VALUE = 1000
#: Most names in a message.
_MOST_NAMES = 50
#: Most errors of a spec in a message.
MOST_ERRORS = 20
_LONGEST_INTEGER_BITS = 1000
_COMMAND_AT_END = re.compile(r": pip install [^:]+$")


class _NoValue(Enum):
    NO_VALUE = "no value"


#: The value of an error that is about no value, or about one that is not to be shown.
NO_VALUE: Final = _NoValue.NO_VALUE


class TunewellError(Exception):
    """Base of all errors raised on purpose."""


class UserError(TunewellError):
    """The input is wrong."""

    #: The kind of an error that is given none.
    default_kind: ClassVar[str] = "wrong-input"

    def __init__(
        self, what: str, *, field: str = "", value: object = NO_VALUE, remedy: str = "", kind: str = "", **facts: Any
    ) -> None:
        """Make an error of its parts.

        Args:
            what: what is wrong, with the value; neither the field nor the remedy is in it.
            field: where: the field of a spec as a dotted path, the name of an argument, a file.
            value: the value that is wrong. It is dropped where the field is secret; see `tunewell.spec.secrets`.
            remedy: an instruction, for no front in particular.
            kind: a stable slug by which fronts know the error, such as `experiment-exists`; default: the class's.
            facts: what fronts need to word a remedy of their own, such as the name of the experiment; JSON types.
        """
        super().__init__(what)
        self.what = what
        self.field = field
        self.value = NO_VALUE if is_secret(field) else value
        self.remedy = remedy
        self.kind = kind or self.default_kind
        self.facts = facts

    def __str__(self) -> str:
        return sentence(self.field, self.what, self.remedy)

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows of it: no trace."""
        return [f"{type(self).__name__}: {self}"]

    @property
    def parts(self) -> tuple[UserError, ...]:
        """The single errors that this one consists of: mostly itself alone."""
        return (self,)

    def to_json(self) -> dict[str, Any]:
        """Return the parts as JSON types. `value` is null where there is none, and never a secret."""
        return {
            "kind": self.kind,
            "field": self.field,
            "value": _json_value(self.value),
            "what": self.what,
            "remedy": self.remedy,
            "facts": self.facts,
            "errors": [],
        }


class SpecError(UserError):
    """A field of a spec or a search space breaks a rule."""

    default_kind = "invalid-field"

    def __init__(self, field: str, problem: str, remedy: str = "", value: object = NO_VALUE, **facts: Any) -> None:
        """`field` as the user wrote it (dotted path), `problem` with the value, `remedy` as an instruction."""
        super().__init__(problem, field=shortened(field, _LONGEST_FIELD), value=value, remedy=remedy, **facts)
        self.args = (field, problem)


class ArgumentError(SpecError):
    """An argument of something that the product can do breaks a rule; fronts have names of their own for it."""

    default_kind = "invalid-argument"


class SpecErrors(UserError):
    """All that is wrong with a spec, or a request, as far as one error is not the consequence of another."""

    default_kind = "invalid-spec"

    def __init__(self, errors: Sequence[UserError], of: str = "The spec") -> None:
        """Take the errors, two at least, in the order in which they are to be shown, and what has them."""
        super().__init__(f"{of} has {len(errors)} errors")
        self.errors = tuple(errors)
        self.args = (self.errors, of)

    def __str__(self) -> str:
        return "\n".join([f"{self.what}:", *self.lines(str)])

    def lines(self, word: Callable[[UserError], str], most: int = MOST_ERRORS) -> list[str]:
        """Return the errors as `word` words them, a line each, and how many there are beyond the first `most`."""
        more = len(self.errors) - most
        return [*(f"- {word(error)}" for error in self.errors[:most]), *([f"- and {more} more"] if more > 0 else [])]

    @property
    def parts(self) -> tuple[UserError, ...]:
        """The single errors."""
        return self.errors

    def to_json(self) -> dict[str, Any]:
        """Return the parts as JSON types; `errors` holds those of every single error."""
        return {**super().to_json(), "errors": [error.to_json() for error in self.errors]}


class DataError(UserError):
    """A data set, or a file in it, can't be used as it is. The field is the file."""

    default_kind = "bad-data"


class NotFoundError(UserError):
    """Something asked for by name does not exist."""

    default_kind = "not-found"


class ForbiddenError(UserError):
    """The caller has no right to what was asked for."""

    default_kind = "forbidden"


class ConflictError(UserError):
    """The request is well-formed but contradicts what is already there."""

    default_kind = "conflict"


class BusyError(UserError):
    """There is more to do already than can be done; in a while it may be asked again."""

    default_kind = "busy"


class ModelError(UserError):
    """The process of a model has died, or took too long: what it was asked has no answer."""

    default_kind = "model-failed"


class JobFailed(TunewellError):
    """A job ended without its result; the message says why."""

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        """Say why; `cause` is that of its last attempt."""
        super().__init__(message)
        self.cause = cause


class ServiceFailed(TunewellError):
    """The service can't run; what its processes have said tells why."""


class TransitionRefused(TunewellError):
    """A state change was refused because the state it starts from is no longer true."""


class TermOver(TransitionRefused):
    """A write was refused because another controller has taken the experiment or job over."""

    def __init__(self, experiment: str | None = None, job: int | None = None) -> None:
        """Name the experiment, or the job."""
        self.experiment = experiment
        self.job = job
        what = f"experiment '{experiment}'" if job is None else f"job {job}"
        super().__init__(f"{what} was taken over by another controller: refused to write to it")

    def concerns(self, key: str | int) -> bool:
        """Whether it is about the experiment of this name, or the job of this number."""
        return key in (self.experiment, self.job)


def sentence(field: str, what: str, remedy: str) -> str:
    """Return the parts of an error as text: `field: what. Remedy.`"""
    where = f"{field}: " if field else ""
    return f"{where}{ended(what)}" + (f" {ended(remedy)}" if remedy else "")


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of `known` that a misspelt name seems to mean, if any."""
    if len(name) > _LONGEST_FIELD:  # comparing it takes long
        return None
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a remedy that names the closest of `known`, or all of them (or a few of many) if none is close."""
    candidates = sorted(known)
    close = closest(name, candidates)
    if close is not None:
        return f"Did you mean '{close}'"
    return "Known: " + listed(candidates, _MOST_NAMES) if candidates else ""


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return `a, b, c`, or `a, b and 20 more` where there are more than `most`."""
    more = len(names) - most
    return ", ".join(shortened(name, _LONGEST_VALUE) for name in names[:most]) + (
        f" and {more} more" if more > 0 else ""
    )


def count(amount: float, noun: str) -> str:
    """Return `1 trial`, `20 trials`, `0.5 cores`."""
    return f"{int(amount) if amount == int(amount) else amount} {noun}" + ("" if amount == 1 else "s")


def ended(text: str) -> str:
    """Return a text as a whole sentence: with a question mark if it asks, else with a full stop.

    A command at its end is to be copied, and stays as it is.
    """
    if text.endswith((".", "!", "?")) or _COMMAND_AT_END.search(text):
        return text
    return text + ("?" if text.startswith("Did you mean") and ";" not in text else ".")


def shown(value: Any, longest: int = _LONGEST_VALUE) -> str:
    """Return a value as a spec file would write it: `null`, `'text'`, `[0.1, 2]`; of `longest` characters at most."""
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > longest:
            break  # the value may be as long as it likes, or even hold itself
    return shortened(text, longest)


def shown_of(field: str, value: Any) -> str:
    """Return a field's value as a spec file would write it, or `it` if it is not to be shown."""
    return "it" if is_secret(field) else shown(value)


def shortened(text: str, longest: int) -> str:
    """Return a text, cut off with `...` if it is longer than `longest`."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _pieces(value: Any) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, Mapping):
        yield "{"
        for place, (key, part) in enumerate(value.items()):
            yield f"{', ' if place else ''}{key}: "
            yield from _pieces(part)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for place, part in enumerate(value):
            yield ", " if place else ""
            yield from _pieces(part)
        yield "]"
    elif isinstance(value, str) and value.isprintable():
        yield f"'{value}'"
    elif isinstance(value, datetime.date):
        yield value.isoformat()
    elif isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER_BITS:
        # Python refuses to write out numbers of thousands of digits.
        yield f"a number of {math.ceil(value.bit_length() * math.log10(2))} digits"
    else:
        yield repr(value)


def _json_value(value: Any) -> Any:
    """Return a single value as JSON has it, cut off where it is long; anything else as text."""
    if isinstance(value, str):
        return shortened(value, _LONGEST_JSON_VALUE)
    if value is None or value is NO_VALUE:
        return None
    plain = math.isfinite(value) if isinstance(value, float) else isinstance(value, int) and abs(value) <= 2**53
    return value if plain else shown(value, _LONGEST_JSON_VALUE)
