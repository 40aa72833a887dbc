"""Grid search, the choice of an algorithm, and mistakes in its options."""

from __future__ import annotations

from inspect import signature
from typing import Any

import pytest

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError
from tunewell.tuners.catalogue import (
    ALGORITHMS,
    AUTO,
    DESCRIPTIONS,
    OPTIONS,
    RESUMING,
    choose,
    create,
    initial_configurations,
)
from tunewell.tuners.contract import Suggestion
from tunewell.tuners.grid import grid_size

SPACE = parse_space({"rate": {"low": 1e-4, "high": 1.0, "log": True}, "k": ["a", "b"]})


def test_grid_takes_evenly_spaced_values_in_scale() -> None:
    """Five points of a log parameter are decades, each combined with each choice."""
    subject = create("grid", SPACE, goal="minimize")
    found = [subject.ask() for _ in range(10)]
    pairs = {(round(s.parameters["rate"], 12), s.parameters["k"]) for s in found if isinstance(s, Suggestion)}
    assert pairs == {(rate, k) for rate in (1e-4, 1e-3, 1e-2, 1e-1, 1.0) for k in "ab"}


def test_grid_covers_the_space_early() -> None:
    """The first tenth of a grid lies in every tenth of each parameter's range, roughly."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}})
    subject = create("grid", space, goal="minimize", points=20)
    first = [subject.ask() for _ in range(40)]
    for name in ("x", "y"):
        tenths = {int(s.parameters[name] * 9.999) for s in first if isinstance(s, Suggestion)}
        assert len(tenths) >= 8


def test_what_is_told_of_options_is_so() -> None:
    """Each algorithm has a sentence, each option a meaning; a default that is told is that of the algorithm itself."""
    assert DESCRIPTIONS.keys() == {AUTO, *ALGORITHMS} and all(text.endswith(".") for text in DESCRIPTIONS.values())
    for name, options in OPTIONS.items():
        kinds = [kind for kind in (ALGORITHMS[name], RESUMING.get(name)) if kind is not None]
        known = {**signature(kinds[0]).parameters, **signature(kinds[-1]).parameters}
        for option, told in options.items():
            assert told.meaning and not told.meaning.endswith("."), option
            if told.default is not None:
                assert told.accepts(told.default) and known[option].default == told.default, (name, option)


def test_grid_size_counts_different_points() -> None:
    """Points that an inactive parameter makes equal count once; it is the default number of trials."""
    space = parse_space({"k": ["a", "b"], "m": {"low": 0.0, "high": 1.0, "when": {"k": "a"}}})
    assert grid_size(space, 4) == 5
    assert choose("grid", space, None, points=4).max_trials == 5


def test_large_grids_are_not_laid_out() -> None:
    """A grid of 5^20 points gives its first one at once."""
    space = parse_space({f"x{i}": {"low": 0.0, "high": 1.0} for i in range(20)})
    assert isinstance(create("grid", space, goal="minimize").ask(), Suggestion)


def test_auto_chooses_by_size() -> None:
    """A space that the trials can cover is searched by grid, a larger one by the Bayesian algorithm; both say why."""
    small = parse_space({"a": [1, 2, 3]})
    assert choose("auto", small).name == "grid"
    assert choose("auto", small, 2).name == "bayesian"
    assert choose("auto", SPACE).name == "bayesian"
    assert "3 configurations" in choose("auto", small).reason
    assert choose("random", SPACE).reason == ""


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("baysian", {}, "bayesian"),
        ("tpe", {"initial_trials": 0}, "from 1 to 20"),
        ("tpe", {"initial_trials": 2.5}, "from 1 to 20"),
        ("tpe", {"candidate": 5}, "candidates"),
        ("random", {"points": 3}, "sequence"),
        ("random", {"sequence": "halton"}, "uniform or sobol"),
        ("pshe2", {"faithful": 1}, "true or false"),
        ("cmaes", {"population_size": 3}, "from 4 to 1000"),
        ("auto", {"points": 3}, "auto takes no options"),
    ],
)
def test_mistakes_are_named(name: str, options: dict[str, Any], expected: str) -> None:
    """Unknown algorithms and options, and values out of range, are errors with the remedy."""
    with pytest.raises(SpecError, match=expected):
        create(name, SPACE, goal="minimize", **options)


def test_initial_configurations_are_checked() -> None:
    """A configuration of the user's outside of the space is an error that names it."""
    with pytest.raises(SpecError, match=r"initial\.0\.rate"):
        initial_configurations(SPACE, [{"rate": 5.0, "k": "a"}])


def test_spaces_may_be_declarations() -> None:
    """`create` takes what a spec file would hold, for other people's loops."""
    subject = create("bayesian", {"x": {"low": 0, "high": 3}}, goal="minimize")
    suggestion = subject.ask()
    assert isinstance(suggestion, Suggestion)
    subject.tell(suggestion.failure("gpu_oom"))


def test_a_single_configuration_is_told_as_one() -> None:
    """Where nothing but one configuration can be tried, the reason says so, and does not count to one."""
    space = parse_space({"x": {"low": 1, "high": 1}})
    assert choose("auto", space, max_trials=5).reason == "chosen because the only configuration can be tried"
