"""A search algorithm for programs that run their trials themselves: ask for parameters, tell what they have reached."""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.spec.declaration import check_domains, parse_space
from tunewell.spec.errors import ArgumentError, ConflictError, NotFoundError, listed, shown
from tunewell.spec.space import Configuration
from tunewell.spec.states import Cause
from tunewell.tuners.catalogue import create, initial_configurations
from tunewell.tuners.contract import Exhausted, Goal, Suggestion


@dataclass(frozen=True, slots=True)
class Told:
    """A suggestion, and what it has reached."""

    number: int
    #: Active parameters only.
    parameters: Configuration
    #: The objective; None: its training has failed.
    value: float | None


class AskAndTell:
    """A search algorithm alone: nothing is run, and nothing is on record.

    Threads may share one: each call is done as a whole. What is told in another order gives other suggestions.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        *,
        goal: Goal,
        algorithm: str | Mapping[str, Any] = "auto",
        initial: Sequence[Mapping[str, Any]] = (),
        max_trials: int | None = None,
        max_concurrency: int | None = None,
        seed: int = 0,
    ) -> None:
        """Begin a search.

        Args:
            parameters: name → declaration, as `tunewell.search` takes them.
            goal: "maximize" or "minimize".
            algorithm: name of the algorithm, or a mapping with its `name` and options.
            initial: configurations to suggest first, after the default one.
            max_trials: how many suggestions are made; None: as many as the algorithm has. "auto" chooses by it.
            max_concurrency: hint, how many suggestions are out at once.
            seed: source of all randomness.

        Raises:
            SpecError: one of these is wrong; SpecErrors: several are.
        """
        max_trials, max_concurrency = _checked("max_trials", max_trials), _checked("max_concurrency", max_concurrency)
        seed = _checked("seed", seed, least=0) or 0
        named = {"name": algorithm} if isinstance(algorithm, str) else dict(_checked_mapping("algorithm", algorithm))
        name = named.pop("name", "auto")
        check_domains(parameters)
        space = parse_space(parameters)
        if not space.names:
            raise ArgumentError("parameters", "there is nothing to search", "Give at least one parameter", {})
        initial = _checked_list("initial", initial)
        self._tuner = create(
            name,
            space,
            goal=goal,
            seed=seed,
            initial=initial_configurations(space, initial),
            max_trials=max_trials,
            max_concurrency=max_concurrency,
            **named,
        )
        self._max_trials = max_trials
        #: What was told, by number.
        self._told: dict[int, Told] = {}
        self._changed = threading.Condition()

    def ask(self, timeout: float = 0.0) -> Suggestion | None:
        """Return what to try next, with its `number` and `parameters`; None: there is nothing left.

        Args:
            timeout: seconds to wait for other threads to tell, where the algorithm needs that before it goes on.

        Raises:
            ConflictError: it needs to be told first what a suggestion has reached.
        """
        found: list[Suggestion | None] = []

        def is_there() -> bool:
            if self._max_trials is not None and len(self._tuner.suggestions) >= self._max_trials:
                found.append(None)
                return True
            answer = self._tuner.ask()
            if isinstance(answer, Suggestion | Exhausted):
                found.append(answer if isinstance(answer, Suggestion) else None)
            return bool(found)

        with self._changed:
            if not self._changed.wait_for(is_there, timeout):
                open_ones = listed(list(map(str, self._tuner.pending)))
                raise ConflictError(
                    f"the algorithm needs to know what became of suggestion {open_ones} before it goes on",
                    remedy="Tell that, or wait for other threads with `timeout`",
                )
        return found[0]

    def tell(self, suggestion: Suggestion | int, value: float | None) -> None:
        """Take what a suggestion has reached; told again, the later value counts.

        Args:
            suggestion: it, or its number.
            value: the objective. None, NaN or infinite: the training has failed, and the search keeps away.

        Raises:
            NotFoundError: there was no such suggestion.
            ArgumentError: the value is no number.
        """
        number = suggestion.number if isinstance(suggestion, Suggestion) else _whole(suggestion)
        reached = None if value is None else _number(value)
        with self._changed:
            asked = self._tuner.suggestions.get(number)
            if asked is None:
                raise NotFoundError(f"there was no suggestion {number}", remedy="Tell one that `ask` has given")
            if reached is not None and math.isfinite(reached):
                outcome = asked.outcome(reached)
            else:
                outcome = asked.failure(Cause.CRASHED if reached is None else Cause.NON_FINITE)
            self._tuner.tell(outcome)
            self._told[number] = Told(number, asked.parameters, outcome.objective)
            self._changed.notify_all()

    def add(self, parameters: Mapping[str, Any]) -> Suggestion:
        """Take a configuration of one's own as a suggestion, which may be told like any other.

        Raises:
            SpecError: it is none of the space.
            ConflictError: it was suggested before, or the algorithm takes none.
        """
        configuration = self._tuner.space.check(_checked_mapping("parameters", parameters))
        with self._changed:
            added = self._tuner.add(configuration) if self._tuner.takes_own else None
        if added is None:
            why = "it was suggested before" if self._tuner.takes_own else f"{self._tuner.name} takes no others"
            raise ConflictError(f"the configuration can't be added: {why}")
        return added

    @property
    def best(self) -> Told:
        """The best that was told; raises ValueError if nothing was."""
        sign = 1.0 if self._tuner.search.goal == "maximize" else -1.0
        told = [one for one in self.told if one.value is not None]
        if not told:
            raise ValueError("no value was told yet")
        return max(told, key=lambda one: sign * (one.value or 0.0))

    @property
    def told(self) -> list[Told]:
        """All that was told, by number."""
        with self._changed:
            return [self._told[number] for number in sorted(self._told)]


def _checked(argument: str, value: Any, least: int = 1) -> int | None:
    """Return an argument that is a whole number, or None."""
    try:
        number = None if value is None else operator.index(value)
    except TypeError:
        number = least - 1
    if number is not None and (number < least or isinstance(value, bool)):
        problem = f"{shown(value)} is no whole number from {least} on"
        raise ArgumentError(argument, problem, f"Give {least} or more", value)
    return number


def _checked_mapping(argument: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        example = "{'name': 'tpe'}" if argument == "algorithm" else "{'x': 0.5}"
        raise ArgumentError(argument, f"{shown(value)} is no mapping", f"Give one such as {example}", value)
    return value


def _checked_list(argument: str, value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ArgumentError(argument, f"{shown(value)} is no list", "Give a list of mappings", value)
    return [_checked_mapping(f"{argument}.{place}", one) for place, one in enumerate(value)]


def _whole(value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        problem = f"{shown(value)} is neither a suggestion nor its number"
        raise ArgumentError("suggestion", problem, "Write tell(suggestion, value)", value) from None


def _number(value: Any) -> float:
    if not isinstance(value, str | bytes):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise ArgumentError("value", f"{shown(value)} is no number", "Write tell(suggestion, 0.5)", value)
