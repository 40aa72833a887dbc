"""What the options of algorithms may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tunewell.spec.space import is_number, same


class Option(Protocol):
    """The values of one option. `str` says for people what they are."""

    @property
    def default(self) -> Any:
        """The value that it has where none is given; None: that follows from the space or the number of trials."""

    @property
    def meaning(self) -> str:
        """What it is, for people: no sentence, without a full stop."""

    def accepts(self, value: Any) -> bool:
        """Whether `value` is one of them."""


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """The whole numbers from `low` to `high`."""

    low: int
    high: int
    default: int | None = None
    meaning: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether `value` is one of them."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Real:
    """The numbers from `low` to `high`."""

    low: float
    high: float
    default: float | None = None
    meaning: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether `value` is one of them."""
        return is_number(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A few words, or true and false."""

    values: tuple[str | bool, ...]
    default: str | bool | None = None
    meaning: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether `value` is one of them (1 is not true)."""
        return any(same(value, known) for known in self.values)

    def __str__(self) -> str:
        return " or ".join(value if isinstance(value, str) else str(value).lower() for value in self.values)
