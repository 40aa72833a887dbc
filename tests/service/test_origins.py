"""Why each trial was proposed is told in a sentence, whichever tuner proposed it."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache

import pytest

from tests.contracts.tuner_ways import WAYS, Way
from tunewell.service.origins import KINDS, OTHER, kind_of, reason
from tunewell.spec.declaration import parse_space
from tunewell.spec.states import Cause
from tunewell.tuners.contract import Suggestion

#: One in which tuners find something new for long, and one that they soon have tried all of.
SPACES = (
    parse_space(
        {
            "rate": {"low": 0.001, "high": 1.0, "log": True, "default": 0.1},
            "kind": {"choices": ["a", "b"], "default": "a"},
            "size": {"low": 1, "high": 64, "default": 8},
        }
    ),
    parse_space({"kind": ["a", "b", "c"], "flag": [True, False], "size": {"low": 1, "high": 4}}),
)
WAYS_BY_NAME = {str(way): way for way in WAYS}


@cache
def suggestions(name: str, place: int) -> tuple[Suggestion, ...]:
    """Return what a tuner suggests in a search of which some trials run side by side and some fail."""
    way, space = WAYS_BY_NAME[name], SPACES[place]
    user = [space.from_unit(dict.fromkeys(space.names, 0.9))]
    tuner = way.tuner(space, initial=way.initial(space, user))
    pending: list[Suggestion] = []
    for turn in range(60):
        answer = tuner.ask()
        if isinstance(answer, Suggestion):
            pending.append(answer)
        if turn == 5 and tuner.takes_own:
            added = tuner.add(space.from_unit(dict.fromkeys(space.names, 0.1)))
            pending += [added] if added else []
        if pending and (len(pending) > 2 or not isinstance(answer, Suggestion)):
            first = pending.pop(0)
            failed = first.number % 5 == 0
            tuner.tell(first.failure(Cause.CRASHED) if failed else first.outcome(float(first.number % 7)))
    return tuple(tuner.suggestions.values())


def told(way: Way, suggestion: Suggestion) -> str:
    """Return what is told of a suggestion."""
    algorithm = {"name": way.algorithm, "options": way.options}
    return reason(suggestion.origin, algorithm, suggestion.resume_from is not None)


@pytest.mark.parametrize("name", WAYS_BY_NAME)
def test_every_origin_has_its_sentence(name: str) -> None:
    """Nothing that a tuner suggests is without one; it is a whole one, and names the trials that the origin names."""
    sentences = defaultdict(set)
    for place in range(len(SPACES)):
        for suggestion in suggestions(name, place):
            kind, sentence = kind_of(suggestion.origin), told(WAYS_BY_NAME[name], suggestion)
            assert kind != OTHER, suggestion.origin
            assert sentence.endswith(".") and sentence[0].isupper() and "{" not in sentence and "  " not in sentence
            named = re.findall(r"\d+", suggestion.origin.rpartition("trial")[2])
            assert set(named) <= set(re.findall(r"\d+", sentence)), sentence
            sentences[sentence].add(kind)
    assert len(sentences) > 2
    assert all(len(kinds) == 1 for kinds in sentences.values()), "kinds are told apart"


def test_every_kind_is_that_of_some_tuner() -> None:
    """What no tuner records has no sentence, but for what verbs and tasks record."""
    found = {kind_of(one.origin) for name in WAYS_BY_NAME for place in (0, 1) for one in suggestions(name, place)}
    assert set(KINDS) - found == {"best", "imported", "linear probe"}


@pytest.mark.parametrize(
    ("origin", "name", "options", "resumes", "sentence"),
    [
        ("spread out", "bayesian", {}, False, "so that there is something to learn from."),
        ("spread out", "random", {"sequence": "sobol"}, False, "Sobol"),
        ("moved", "pshe2", {}, False, "A particle moved here"),
        ("moved from trial 12", "evolutionary", {"rounds": 4}, True, "checkpoint of trial 12, .* a step of PSHE2"),
        ("perturbed from trial 7", "evolutionary", {}, False, "^It has the values of trial 7, one of the best so far"),
        ("perturbed from trial 7", "evolutionary", {"rounds": 4}, True, "checkpoint of trial 7"),
        ("child of trials 3 and 17", "evolutionary", {}, False, "trials 3 and 17"),
        ("child of trials 3 and 17", "evolutionary", {"rounds": 4}, True, "trial 3, .* in place of trial 17"),
        ("promoted from trial 3", "random", {}, True, "^Trial 3 .* from its checkpoint"),
        ("promoted from trial 3", "random", {}, False, "^Trial 3 .* again with more"),
        ("warm start: ada/signs, trial 7, trial 9", "tpe", {}, False, "trial 9 of ada/signs, trial 7, an earlier"),
        ("best of signs, trial 4", "random", {}, False, "trial 4 of signs, the best one there"),
        ("best of {first}, trial 4", "random", {}, False, r"trial 4 of \{first\}"),
        ("imported", "imported", {}, False, "It was not proposed here"),
        ("a whim", "random", {}, False, "^Its origin is on record as 'a whim'"),
    ],
)
def test_what_sentences_say(origin: str, name: str, options: dict[str, object], resumes: bool, sentence: str) -> None:
    """They fit the algorithm, and name what the origin names."""
    assert re.search(sentence, reason(origin, {"name": name, "options": options}, resumes))


def test_well_known_names_are_told_of_where_a_search_spreads_its_first_trials() -> None:
    """What lies where parameters usually do well is not said to be spread evenly; a model that counts it says so."""
    algorithm = {"name": "bayesian", "options": {}}
    told = reason("spread out", algorithm, False, ["lr", "dropout"])
    assert told.startswith("It is one of the first trials") and told.endswith("called lr, dropout usually do well.")
    assert reason("spread out", algorithm, False).endswith("something to learn from.")
    told = reason("model", algorithm, False, ["lr", "dropout"])
    assert told.endswith(
        "Where parameters called lr, dropout usually do well counts, too: the less, the more trials there are."
    )
    assert "usually" not in reason("model", algorithm, False)
    assert "usually" not in reason("model", {"name": "tpe", "options": {}}, False, ["lr"])
