"""Why trials were proposed: what algorithms and verbs record as origins, and what that says in a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tunewell.spec.errors import listed
from tunewell.spec.states import LINEAR_PROBE

#: Kind of origin → algorithm → why a trial of that origin was proposed; an empty name stands for all other algorithms.
#: Origins begin with their kind; behind that, some name trials or an experiment (`child of trials 3 and 7`).
_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "default": {"": "It is the default configuration, tried so that everything else can be compared with it."},
    LINEAR_PROBE: {
        "": "It trains the last layer alone, on pictures that nothing changes, so it takes little time, and shows what "
        "the pretrained layers are worth here."
    },
    "initial": {"": "It stands in the spec (`initial`), and is tried before anything that the algorithm proposes."},
    "own": {"": "Somebody added it while the search was running."},
    "best": {"": "It repeats trial {first} of {source}, the best one there, whose parameters this search was to take."},
    "warm start": {
        "": "It repeats trial {first} of {source}, an earlier search: what was good there may be good here, too."
    },
    "imported": {"": "It was not proposed here: it was imported with its result."},
    "spread out": {
        "": "It is one of the first trials, which are spread over the whole space so that there is something to learn "
        "from.",
        "pshe2": "A particle begins here; particles begin spread over the whole space.",
        "evolutionary": "It is one of the first trials, which are spread over the whole space; later ones descend from "
        "the best of them.",
        "population": "A member of the population begins here; members begin spread over the whole space.",
        "random": "It is the next point of a Sobol sequence, which covers the space more evenly than chance does.",
    },
    "random": {
        "": "It was drawn at random, evenly in each parameter's own scale.",
        "bayesian": "It was drawn at random: some trials are, so that nothing is missed that the model does not "
        "expect.",
        "tpe": "It was drawn at random: the model knew too little yet, or had nothing to propose that was new.",
        "pshe2": "It was drawn at random: no move of the particle led to anything new.",
        "cmaes": "It was drawn at random: the distribution of CMA-ES had nothing left that was new.",
        "evolutionary": "It was drawn at random: there was nothing to breed from yet, or nothing new came of it.",
        "population": "It was drawn at random: no other member was good enough to be taken over, or another one had "
        "begun where this one was to begin.",
    },
    "grid": {"": "It is the next point of the grid; their order covers the whole space early."},
    "model": {
        "": "By the model of all outcomes so far it promised the most.",
        "bayesian": "By the model of all outcomes so far, a Gaussian process, it promised the largest improvement on "
        "the best trial.",
        "tpe": "By the model of all outcomes so far, Parzen estimators, good trials are likely here and poor ones are "
        "not.",
    },
    "moved": {
        "": "A particle moved here, drawn to the best point that it had found itself and to the best of all.",
        "population": "It goes on from the checkpoint of trial {first}, one of the best of its round, in place of one "
        "of the worst, whose values a step of PSHE2 has moved towards the best.",
    },
    "evolved": {
        "": "It was drawn from the distribution of CMA-ES, which moves towards the better half of each generation."
    },
    "perturbed": {
        "": "It has the values of trial {first}, one of the best so far, changed a little.",
        "population": "It goes on from the checkpoint of trial {first}, one of the best of its round, in place of one "
        "of the worst, with its values changed a little.",
    },
    "child": {
        "": "It has values of trials {first} and {second}, two of the best so far, changed a little.",
        "population": "It goes on from the checkpoint of trial {first}, one of the best of its round, in place of "
        "trial {second}, one of the worst, with values of both.",
    },
    "goes on": {"": "It goes on from the checkpoint of trial {first}, as the next round of that member."},
    "promoted": {
        "": "Trial {first} was among the best that were trained as far, so its configuration is trained again with "
        "more.",
        "resumed": "Trial {first} was among the best that were trained as far, so it is trained further, from its "
        "checkpoint.",
    },
}
KINDS = tuple(_SENTENCES)
#: Algorithms whose model weighs where parameters with well-known names usually do well.
_WEIGHING = ("bayesian",)
#: Of an origin that no algorithm of this version records.
OTHER = "other"

_BEGINNING = re.compile(f"({'|'.join(KINDS)})(?![a-z])")
_TRIALS = re.compile(r"trials? (\d+)(?: and (\d+))?$")
_SOURCE = re.compile(r"(?:best of|warm start:) (.*), trial \d+$", re.DOTALL)


def kind_of(origin: str) -> str:
    """Return which of `KINDS` a recorded origin is, or `OTHER`."""
    found = _BEGINNING.match(origin)
    return found[1] if found else OTHER


def reason(origin: str, algorithm: Mapping[str, Any], resumes: bool, leans_on: Sequence[str] = ()) -> str:
    """Return why a trial was proposed, in a sentence or two.

    Args:
        origin: as it is on record.
        algorithm: `name` and `options` of the algorithm, as they are on record.
        resumes: whether the trial goes on from the checkpoint of another.
        leans_on: parameters whose well-known names say where trials usually do well, which the search counts.
    """
    known = _SENTENCES.get(kind_of(origin))
    if known is None:
        return f"Its origin is on record as '{origin}'."
    # Only a population that trains in rounds has them among its options.
    name = "population" if "rounds" in algorithm["options"] else algorithm["name"]
    text = known.get("resumed" if resumes and "resumed" in known else name, known[""])
    trials, source = _TRIALS.search(origin), _SOURCE.match(origin)
    first, second = trials.groups() if trials else ("", "")
    told = text.format(first=first, second=second, source=source[1] if source else "")
    by_names = lean_text(leans_on) if kind_of(origin) == "spread out" else ""
    if kind_of(origin) == "model" and name in _WEIGHING:
        by_names = weigh_text(leans_on)
    return f"{told} {by_names}".rstrip()


def lean_text(names: Sequence[str]) -> str:
    """Return where the first trials lie because of parameters with well-known names; empty: there are none."""
    if not names:
        return ""
    return f"The first trials lean to where parameters called {listed(names)} usually do well."


def weigh_text(names: Sequence[str]) -> str:
    """Return how parameters with well-known names count for what a model proposes; empty: there are none."""
    if not names:
        return ""
    return f"Where parameters called {listed(names)} usually do well counts, too: the less, the more trials there are."
