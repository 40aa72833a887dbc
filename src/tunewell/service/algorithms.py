"""The search algorithms, for people."""

from __future__ import annotations

from tunewell.service.types import Algorithm, AlgorithmOption
from tunewell.tuners.catalogue import DESCRIPTIONS, OPTIONS
from tunewell.tuners.options import OneOf, Option, Real, WholeNumber


def list_algorithms() -> tuple[Algorithm, ...]:
    """Return the search algorithms, the one that chooses among the others first."""
    return tuple(
        Algorithm(
            name=name,
            description=description,
            options=tuple(_option(option, known) for option, known in OPTIONS.get(name, {}).items()),
        )
        for name, description in DESCRIPTIONS.items()
    )


def _option(name: str, option: Option) -> AlgorithmOption:
    low, high = (option.low, option.high) if isinstance(option, WholeNumber | Real) else (None, None)
    return AlgorithmOption(
        name=name,
        meaning=option.meaning,
        values=str(option),
        low=low,
        high=high,
        choices=option.values if isinstance(option, OneOf) else (),
        default=option.default,
    )
