"""Bayesian optimisation over mixed and conditional spaces.

Sources: Jones, Schonlau, Welch 1998, "Efficient Global Optimization of Expensive Black-Box Functions"; Snoek,
Larochelle, Adams 2012, "Practical Bayesian Optimization of Machine Learning Algorithms".

1. Start with a Latin hypercube that holds every value (or many) of a parameter on which others depend.
2. Fit Gaussian processes to the outcomes (`surrogate`); failures that the parameters brought about count as the worst
   loss. Pending trials (the latest, of very many) count as observed with the value that is predicted for them, and so
   do accidents: those of the machine, and failures of the program where all other trials let success be expected.
   Earlier searches, where there are any, say what to expect beforehand (`prior`).
3. Propose the point with the largest expected improvement (`acquisition`), times the probability of not failing as
   soon as the training itself has failed (`feasibility`), and by a little more where parameters of such names usually
   do well (`usual_places`), that has not been suggested. Now and then propose at random instead, where trials are not
   expected to fail: insurance against a model that is wrong about a whole region.

No fit starts from an earlier one: hyperparameters are a function of the first outcomes that were told, so that a
replayed search needs a single fit to go on exactly as it would have gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tunewell.spec.space import Choice, Configuration, Numeric, SearchSpace
from tunewell.tuners.contract import Exhausted, Outcome, Search, Suggestion, Tuner, Wait
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.fresh import Fresh
from tunewell.tuners.usual_places import UsualPlaces

if TYPE_CHECKING:
    from tunewell.tuners.feasibility import Feasibility
    from tunewell.tuners.prior import Prior
    from tunewell.tuners.surrogate import Member, Surrogate

#: Indices (n,).
Places = np.ndarray[tuple[int], np.dtype[np.intp]]

#: After so many outcomes the usual places count for as much as their density says, after twice as many for its root.
USUAL_TRIALS = 3
#: Share of random trials after the start.
RANDOM_SHARE = 0.07
#: Configurations of which a random trial is the one that is least likely to fail.
RANDOM_DRAWS = 8
#: Best trials around which the acquisition's search begins.
INCUMBENTS = 5
#: Most trials that a prediction, and the fit of hyperparameters, take into account, and most pending ones and accidents
#: each beside them: bounds the work of a proposal.
MOST_MODELLED = 400
MOST_FITTED = 150
#: Points at which functions are drawn to tell whether any is better than the best trial.
MOST_DRAWN = 150
#: Values of a parameter on which others depend that the start holds at most; of more, not every one.
MOST_BRANCHES = 50
#: Share of the start that is left of it where there are sources.
OWN_SHARE = 0.5
#: Column of a point that says how far it has been trained; no parameter can have this name.
FIDELITY = "share of the training"
#: Streams of random numbers.
_DESIGN, _MODEL, _GAIN = 1, 2, 3


class BayesianTuner(Tuner):
    """Proposes what promises the largest improvement on the best trial."""

    name: ClassVar[str] = "bayesian"
    version: ClassVar[int] = 8

    def __init__(self, search: Search, *, initial_trials: int = 8) -> None:
        """Set up an empty history; see `Tuner`.

        Args:
            initial_trials: size of the start, `initial` not counted; half of it where there are sources. Hierarchies
                with more branches get a larger one.
        """
        super().__init__(search)
        space = _without_order_of_categories(self.space)
        self._encoding = Encoding(space)
        #: Of what is modelled: configurations and, where they are promoted, how far they have been trained.
        self._modelled = Encoding(_with_fidelity(space, search.rungs))
        self._usual = UsualPlaces(space)
        self._fresh = Fresh(space)
        self._points: dict[int, Array] = {}
        #: Trial number → loss to be minimised, infinite for failures that teach; in the order of being told.
        self._losses: dict[int, float] = {}
        self._design = self._spread_out(math.ceil(OWN_SHARE * initial_trials) if search.sources else initial_trials)
        self._prior: Prior | None = None
        self._fitted: tuple[Array, Array, list[Member]] | None = None

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Take the next point of the start, ask the model, or draw at random."""
        place = self.place(number)
        generator = self.generator(number)
        configuration: Configuration | None = None
        origin = "spread out"
        if place < len(self._design):
            configuration = self._encoding.decode(self._design[place])
        elif self._losses and generator.random() >= RANDOM_SHARE:
            configuration, origin = self._from_model(number), "model"
        if configuration is None or not self._fresh.is_new(configuration):
            configuration, origin = self._at_random(generator), "random"
        return Exhausted() if configuration is None else Suggestion(number, configuration, origin)

    def accept(self, suggestion: Suggestion) -> None:
        """Remember the configuration."""
        self._fresh.note(suggestion.parameters)
        self._points[suggestion.number] = self._modelled.encode(
            {**suggestion.parameters, FIDELITY: suggestion.fidelity}
        )

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Take the objective as loss, or a failure of the training itself as infinite loss."""
        self._losses.pop(suggestion.number, None)
        loss = self.loss(outcome)
        if loss is not None:
            self._losses[suggestion.number] = loss

    def _spread_out(self, size: int) -> Array:
        """Return a Latin hypercube (size or more, d) in which the branches of the space occur (McKay et al. 1979).

        A parameter has the same offset in all of its slices: no value of a discrete parameter can be missed that way.
        """
        generator = self.generator(0, _DESIGN)
        space = self._encoding.space
        parents = {condition.parent for parameter in space for condition in parameter.when}
        branches = [space[name].size or 0 for name in parents if not space[name].when]
        size = max(size, min(MOST_BRANCHES, max(branches, default=0)))
        slices = np.array([generator.permutation(size) for _ in space]).T.reshape(size, len(space))
        return self._usual.lean((slices + generator.random(len(space))) / size)

    def probability_of_gain(self, least: float) -> float | None:
        """Draw the modelled function at promising points, pending ones included: how often does it beat the best?"""
        from tunewell.tuners.acquisition import search

        if not any(math.isfinite(loss) for loss in self._losses.values()):
            return None
        pending = self._pending_points()
        nothing = pending[:0]
        model, generator = self._model(nothing), self.generator(len(self.outcomes), _GAIN)
        found = search(model.score, self._encoding, model.incumbents, generator)[:MOST_DRAWN]
        candidates = np.vstack([found, pending[:, : len(self.space)]])
        return model.surrogate.probability_of_gain(self._in_full(candidates), least, generator)

    def _from_model(self, number: int) -> Configuration | None:
        from tunewell.tuners.acquisition import search

        model = self._model(self._pending_points())
        for point in search(model.score, self._encoding, model.incumbents, self.generator(number, _MODEL)):
            configuration = self._encoding.decode(point)
            if self._fresh.is_new(configuration):
                return configuration
        return None

    def _at_random(self, generator: np.random.Generator) -> Configuration | None:
        """Draw a new configuration; where some fail, the one of several that is least likely to. None: nothing left."""
        points, losses = self._observed()
        kept = modelled(losses, MOST_MODELLED)
        feasibility = self._feasibility(points[kept], losses[kept])
        configuration = self._fresh.draw(generator)
        if feasibility is None or configuration is None:
            return configuration
        others = [self.space.sample(generator) for _ in range(1, RANDOM_DRAWS)]
        drawn = [configuration, *filter(self._fresh.is_new, others)]
        drawn_points = self._in_full(np.array([self._encoding.encode(one) for one in drawn]))
        return drawn[int(np.argmax(feasibility.log_probability(drawn_points)))]

    def _observed(self) -> tuple[Array, Array]:
        """Return points (n, d) of the model and losses (n,) of the trials told, in that order."""
        points = np.array([self._points[told] for told in self._losses]).reshape(-1, len(self._modelled.sizes))
        offsets = self.offsets()
        return points, np.array([loss + offsets.get(told, 0.0) for told, loss in self._losses.items()])

    def _pending_points(self) -> Array:
        latest = list(self.pending)[-MOST_MODELLED:]
        return np.array([self._points[waiting] for waiting in latest]).reshape(-1, len(self._modelled.sizes))

    def _model(self, pending: Array) -> _Model:
        """Return what is known, with points (k, d) pending taken as observed, with the predicted loss.

        So are those that ended without a lesson about the loss, lest their neighbours be proposed again and again:
        accidents of the machine, and failures that may be chance where other trials let success be expected.
        """
        # SciPy takes half a second to import: commands that propose nothing should not wait for it.
        from tunewell.tuners.prior import Prior
        from tunewell.tuners.surrogate import Surrogate

        points, losses = self._observed()
        fitted = last_fit(len(losses))
        if self._prior is None:
            self._prior = Prior(self._encoding, self.search.sources)
        kept = modelled(losses, MOST_MODELLED)
        feasibility = self._feasibility(points[kept], losses[kept])
        clear = np.ones(len(losses), dtype=bool)
        if feasibility is not None:
            clear[kept] = ~(feasibility.surprises() & [self.may_be_chance(told) for told in self._numbers(kept)])
        first = clear[:fitted]
        members = self._members(self._prior, points[:fitted][first], losses[:fitted][first])
        accidents = [self._points[told] for told in self.outcomes if told not in self._losses][-MOST_MODELLED:]
        believed = np.vstack([pending, *accidents, points[~clear]])
        kept = kept[clear[kept]]
        points, losses = points[kept], losses[kept]
        tried = np.vstack([points, believed])
        surrogate = Surrogate(self._modelled, self._prior, members, points, losses, believed, self._in_full(tried))
        incumbents = points[np.argsort(losses, kind="stable")[:INCUMBENTS], : len(self.space)]
        trust = USUAL_TRIALS / len(self._losses)
        return _Model(surrogate, feasibility, incumbents, self._in_full, self._usual, trust)

    def _numbers(self, places: Places) -> list[int]:
        """Return the trials at these places in the order of being told."""
        told = list(self._losses)
        return [told[place] for place in places.tolist()]

    def _in_full(self, points: Array) -> Array:
        """Return points (m, d or more) of the model, for these configurations trained in full."""
        full = np.ones((len(points), len(self._modelled.sizes) - len(self.space)))
        return np.hstack([points[:, : len(self.space)], full])

    def _feasibility(self, points: Array, losses: Array) -> Feasibility | None:
        """Return the model of where trials don't fail; None as long as none has failed."""
        succeeded = np.isfinite(losses)
        if succeeded.all():
            return None
        from tunewell.tuners.feasibility import Feasibility, fit_labels

        fitted = modelled(losses, MOST_FITTED)
        hyperparameters = fit_labels(self._modelled, points[fitted], succeeded[fitted])
        return Feasibility(self._modelled, hyperparameters, points, succeeded)

    def _members(self, prior: Prior, points: Array, losses: Array) -> list[Member]:
        """Return the models fitted to these outcomes; the last ones are remembered."""
        from tunewell.tuners.surrogate import fit_members

        if self._fitted is not None:
            known_points, known_losses, members = self._fitted
            if np.array_equal(known_points, points, equal_nan=True) and np.array_equal(known_losses, losses):
                return members
        kept = modelled(losses, MOST_FITTED)
        members = fit_members(self._modelled, prior, points[kept], losses[kept])
        self._fitted = points, losses, members
        return members


@dataclass(frozen=True)
class _Model:
    surrogate: Surrogate
    #: None as long as no trial has failed.
    feasibility: Feasibility | None
    #: Points (k, d) around which it pays to look.
    incumbents: Array
    #: From candidates (m, d) to points of the model.
    in_full: Callable[[Array], Array]
    #: Where trials usually do well, and how much that counts.
    usual: UsualPlaces
    trust: float

    def score(self, candidates: Array) -> Array:
        """Return the logarithm of expected improvement times probability of success (m,) at candidates (m, d).

        Where trials usually do well the improvement counts for more, the less the more is known (Hvarfner et al. 2022,
        "πBO: Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization", equation 6).
        """
        points = self.in_full(candidates)
        improvement = self.surrogate.log_improvement(points) + self.trust * self.usual.log_density(candidates)
        return improvement if self.feasibility is None else improvement + self.feasibility.log_probability(points)


def _with_fidelity(space: SearchSpace, rungs: Sequence[float]) -> SearchSpace:
    """Return the space with the share of the training as one more parameter, if there are several."""
    if len(rungs) == 1:
        return space
    return SearchSpace((*space, Numeric(FIDELITY, rungs[0], 1.0, integer=False, log=True)))


def last_fit(told: int) -> int:
    """Return to how many of the first outcomes hyperparameters are fitted: all up to 63, then multiples of 2, 4, …"""
    return told - told % (1 << max(0, told.bit_length() - 6))


def modelled(losses: Array, most: int) -> Places:
    """Return the places, in order, of the losses (n,) to be modelled: half of them the best, the others the latest."""
    best = np.argsort(losses, kind="stable")[: most // 2]
    if len(losses) <= most:
        return np.arange(len(losses))
    others = np.setdiff1d(np.arange(len(losses)), best)
    return np.sort(np.append(best, others[len(best) - most :]))


def _without_order_of_categories(space: SearchSpace) -> SearchSpace:
    """Return the space with categories in one order, however they were declared, so that it can't matter."""
    return SearchSpace(
        tuple(
            replace(parameter, values_=tuple(sorted(parameter.values_, key=repr)))
            if isinstance(parameter, Choice) and not parameter.ordered
            else parameter
            for parameter in space
        )
    )
