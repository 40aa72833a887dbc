"""Search problems that are generated: kinds of spaces that hpo-bench has few of, or none, each with its known optimum.

Families, a few instances of each, drawn from their names:

learners        which learner, and above thirty parameters that each belong to one of them
architecture    a network of two to six blocks: 34 parameters that are all categories, most of them conditional
additive        categories with effects of their own, and of neighbours in pairs
nk              categories whose effect hangs on the next two (NK landscapes, Kauffman and Weinberger 1989)
labs            signs of a sequence with low autocorrelations (Packebusch and Mertens 2016, table 1)
maxsat          random clauses of three with weights, all of which can be satisfied
network         learning rate, weight decay, batch size and so on, with names that tell what they are
flat            a small grid, most of it nearly flat, whose values are rounded as accuracies on few pictures are

Each has the interface of hpo-bench's problems: `space`, `problem(configuration)` → loss, `sample(generator)`.
"""

from __future__ import annotations

import functools
import itertools
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Configuration = dict[str, Any]
Entry = dict[str, Any]

#: Instances of each family.
INSTANCES = 3
#: Configurations drawn to know the median.
DRAWN = 2001


@dataclass(frozen=True)
class Problem:
    """One problem; losses are minimised."""

    id: str
    scenario: str
    space: list[Entry]
    loss: Callable[[Configuration], float]
    #: The lowest loss there is.
    best: float

    def __call__(self, configuration: Configuration) -> float:
        """Return the loss of a configuration."""
        return float(self.loss(configuration))

    def active(self, configuration: Configuration) -> Configuration:
        """Return the parameters that count, given the values of those that they hang on."""
        found: Configuration = {}
        for entry in self.space:
            if all(found.get(parent) in values for parent, values in entry.get("when", ())):
                found[entry["name"]] = configuration[entry["name"]]
        return found

    def sample(self, generator: np.random.Generator) -> Configuration:
        """Return a configuration, drawn at random."""
        return self.active({entry["name"]: _drawn(entry, generator.random()) for entry in self.space})

    @functools.cached_property
    def median(self) -> float:
        """The median loss of configurations drawn at random."""
        generator = np.random.default_rng(0)
        return float(np.median([self(self.sample(generator)) for _ in range(DRAWN)]))


def problems(families: Sequence[str] = ()) -> list[Problem]:
    """Return the instances of families; of all by default."""
    return [
        FAMILIES[family](f"{family}-{number}", np.random.default_rng(zlib.crc32(f"{family}-{number}".encode())))
        for family in families or FAMILIES
        for number in range(INSTANCES)
    ]


def _drawn(entry: Entry, unit: float) -> Any:
    """Return the value of a parameter at a place in [0, 1)."""
    if entry["type"] in ("cat", "ord"):
        values = entry["choices"] if entry["type"] == "cat" else entry["values"]
        return values[int(unit * len(values))]
    low, high = entry["low"], entry["high"]
    if entry["type"] == "int":
        low, high = low - 0.5, high + 0.5
    value = math.exp(math.log(low) + unit * math.log(high / low)) if entry.get("log") else low + unit * (high - low)
    return min(entry["high"], max(entry["low"], round(value))) if entry["type"] == "int" else value


def _place(entry: Entry, value: Any) -> float:
    """Return where in [0, 1] a numeric value lies."""
    low, high = entry["low"], entry["high"]
    if entry.get("log"):
        return math.log(value / low) / math.log(high / low)
    return float((value - low) / (high - low))


def _categories(name: str, count: int, when: Sequence[Any] = ()) -> Entry:
    return {"name": name, "type": "cat", "choices": [f"c{number}" for number in range(count)], "when": list(when)}


def _number(entry: Entry, value: Any) -> int:
    """Return the number of a category."""
    return int(entry["choices"].index(value))


# Hierarchies ----------------------------------------------------------------------------------------------


def learners(name: str, generator: np.random.Generator) -> Problem:
    """Which learner, and its own parameters: some are good as they are, some only when they are tuned."""
    kinds = [f"learner{number}" for number in range(6)]
    space: list[Entry] = [{"name": "learner", "type": "cat", "choices": kinds}, _categories("imputation", 3)]
    common = generator.uniform(0, 0.02, 3)
    floors, parts = {}, {}
    for rank, kind in enumerate(generator.permutation(kinds)):
        own: list[tuple[Entry, float, float]] = []
        care = float(generator.uniform(0.02, 0.25))  # how much tuning it takes
        for number in range(int(generator.integers(3, 9))):
            entry: Entry = {"name": f"{kind}.{number}", "when": [["learner", [kind]]], "type": "float"}
            entry |= {"low": 1e-4, "high": 1.0, "log": True} if generator.random() < 0.4 else {"low": 0.0, "high": 1.0}
            weight = float(generator.exponential(care))
            own.append((entry, float(generator.uniform(0.1, 0.9)), weight))
        space += [entry for entry, _, _ in own]
        floors[str(kind)], parts[str(kind)] = 0.1 + 0.03 * rank, own

    def loss(configuration: Configuration) -> float:
        kind = configuration["learner"]
        found = floors[kind] + common[_number(space[1], configuration["imputation"])]
        away = [
            (weight, abs(_place(entry, configuration[entry["name"]]) - place)) for entry, place, weight in parts[kind]
        ]
        # A sum that saturates: whatever is wrong, no learner is worse than guessing.
        return float(found + 0.8 * (1 - math.exp(-sum(weight * (distance / 0.25) ** 2 for weight, distance in away))))

    return Problem(name, "learners", space, loss, 0.1 + float(common.min()))


def architecture(name: str, generator: np.random.Generator) -> Problem:
    """A network of blocks, each of five categories, that count where there are so many blocks."""
    sizes = {"operation": 6, "kernel": 3, "width": 4, "expansion": 3, "skip": 2}
    depths = [2, 3, 4, 5, 6]
    space: list[Entry] = [
        {"name": "blocks", "type": "cat", "choices": depths},
        _categories("stem", 3),
        _categories("activation", 4),
        _categories("head", 3),
    ]
    for block in range(6):
        when = [["blocks", [depth for depth in depths if depth > block]]] if block >= depths[0] else []
        space += [_categories(f"{part}{block}", size, when) for part, size in sizes.items()]
    entries = {entry["name"]: entry for entry in space}
    shared = {part: generator.normal(0, 1.0, size) for part, size in sizes.items()}
    own = {f"{part}{block}": generator.normal(0, 0.5, size) for block in range(6) for part, size in sizes.items()}
    inside = generator.normal(0, 0.5, (6, 3))
    between = generator.normal(0, 0.5, (5, 4, 4))
    others = {part: generator.normal(0, 0.5, len(entries[part]["choices"])) for part in ("stem", "activation", "head")}
    best_depth = int(generator.integers(3, 7))

    def block_cost(block: int, operation: int, kernel: int, width: int, expansion: int, skip: int) -> float:
        chosen = dict(zip(sizes, (operation, kernel, width, expansion, skip), strict=True))
        found = sum(shared[part][value] + own[f"{part}{block}"][value] for part, value in chosen.items())
        return float(found + inside[operation, kernel])

    def loss(configuration: Configuration) -> float:
        depth = configuration["blocks"]
        chosen = [
            [_number(entries[f"{part}{block}"], configuration[f"{part}{block}"]) for part in sizes]
            for block in range(depth)
        ]
        found = sum(block_cost(block, *values) for block, values in enumerate(chosen)) / depth
        found += sum(
            between[block, before[2], after[2]] for block, (before, after) in enumerate(itertools.pairwise(chosen))
        ) / (depth - 1)
        found += sum(others[part][_number(entries[part], configuration[part])] for part in others)
        return float(found + 0.3 * abs(depth - best_depth))

    def lowest(depth: int) -> float:
        """Return the best that so many blocks can be: by dynamic programming over the widths."""
        reached = np.zeros(4)
        for block in range(depth):
            cheapest = np.array(
                [
                    min(
                        block_cost(block, operation, kernel, width, expansion, skip)
                        for operation, kernel, expansion, skip in itertools.product(
                            range(6), range(3), range(3), (0, 1)
                        )
                    )
                    for width in range(4)
                ]
            )
            if block:
                reached = np.min(reached[:, None] + between[block - 1] / (depth - 1), axis=0)
            reached = reached + cheapest / depth
        return float(reached.min()) + 0.3 * abs(depth - best_depth)

    best = min(map(lowest, depths)) + sum(float(effects.min()) for effects in others.values())
    return Problem(name, "architecture", space, loss, best)


# Categories -----------------------------------------------------------------------------------------------


def additive(name: str, generator: np.random.Generator) -> Problem:
    """Effects of categories, and of neighbours in pairs, in an order that nobody is told."""
    sizes = [int(size) for size in generator.integers(2, 6, 25)]
    effects = [generator.normal(0, 1.0, size) for size in sizes]
    pairs = [generator.normal(0, 0.5, (a, b)) for a, b in itertools.pairwise(sizes)]
    best = effects[0]
    for pair, effect in zip(pairs, effects[1:], strict=True):
        best = np.min(best[:, None] + pair, axis=0) + effect
    space, names = _shuffled(sizes, generator)

    def loss(configuration: Configuration) -> float:
        values = [_number(entry, configuration[entry["name"]]) for entry in names]
        found = sum(effect[value] for effect, value in zip(effects, values, strict=True))
        return float(found + sum(pair[a, b] for pair, (a, b) in zip(pairs, itertools.pairwise(values), strict=True)))

    return Problem(name, "additive", space, loss, float(best.min()))


def nk(name: str, generator: np.random.Generator) -> Problem:
    """Each category's effect hangs on the next two: no part can be chosen alone."""
    count, size = 24, int(generator.integers(2, 4))
    tables = generator.random((count - 2, size, size, size))
    best = np.zeros((size, size))
    for table in tables:
        best = np.min(best[:, :, None] + table, axis=0)
    space, names = _shuffled([size] * count, generator)

    def loss(configuration: Configuration) -> float:
        values = [_number(entry, configuration[entry["name"]]) for entry in names]
        return float(sum(table[tuple(values[at : at + 3])] for at, table in enumerate(tables)))

    return Problem(name, "nk", space, loss, float(best.min()))


#: Length of a sequence → lowest energy there is.
_LOWEST_ENERGY = {24: 36, 27: 37, 30: 59}


def labs(name: str, generator: np.random.Generator) -> Problem:
    """Signs, so that the sequence is unlike itself when it is shifted; the logarithm of its energy."""
    length = list(_LOWEST_ENERGY)[int(name.rpartition("-")[2]) % len(_LOWEST_ENERGY)]
    space = [_categories(f"sign{number}", 2) for number in range(length)]

    def loss(configuration: Configuration) -> float:
        signs = np.array([1 - 2 * _number(entry, configuration[entry["name"]]) for entry in space])
        energy = sum(int(signs[:-shift] @ signs[shift:]) ** 2 for shift in range(1, length))
        return math.log(energy)

    return Problem(name, "labs", space, loss, math.log(_LOWEST_ENERGY[length]))


def maxsat(name: str, generator: np.random.Generator) -> Problem:
    """Weights of clauses that are not satisfied."""
    count = 28
    clauses = []
    hidden = generator.integers(0, 2, count)
    while len(clauses) < 4 * count:
        chosen, signs = generator.choice(count, 3, replace=False), generator.integers(0, 2, 3)
        if (hidden[chosen] == signs).any():
            clauses.append((chosen, signs, float(generator.exponential())))
    space = [_categories(f"variable{number}", 2) for number in range(count)]

    def loss(configuration: Configuration) -> float:
        values = np.array([_number(entry, configuration[entry["name"]]) for entry in space])
        return sum(weight for chosen, signs, weight in clauses if not (values[chosen] == signs).any())

    return Problem(name, "maxsat", space, loss, 0.0)


def _shuffled(sizes: Sequence[int], generator: np.random.Generator) -> tuple[list[Entry], list[Entry]]:
    """Return categories in an order that tells nothing, and the same in theirs."""
    entries = [_categories("", size) for size in sizes]
    order = generator.permutation(len(entries))
    for place, number in enumerate(order):
        entries[number]["name"] = f"option{place}"
        entries[number]["choices"] = [f"c{value}" for value in generator.permutation(sizes[number])]
    return [entries[number] for number in order], entries


# What networks are trained with ---------------------------------------------------------------------------


def network(name: str, generator: np.random.Generator) -> Problem:
    """Learning rate and what goes with it: a rate too high fails, a batch asks for its rate, the rest matters less."""
    space: list[Entry] = [
        {"name": "learning_rate", "type": "float", "low": 1e-5, "high": 1.0, "log": True},
        {"name": "weight_decay", "type": "float", "low": 1e-6, "high": 0.1, "log": True},
        {"name": "batch_size", "type": "int", "low": 8, "high": 512, "log": True},
        {"name": "dropout", "type": "float", "low": 0.0, "high": 0.8},
        {"name": "layers", "type": "int", "low": 1, "high": 6},
        {"name": "units", "type": "int", "low": 16, "high": 1024, "log": True},
        {"name": "optimizer", "type": "cat", "choices": ["sgd", "adam", "adamw"]},
        {"name": "momentum", "type": "float", "low": 0.5, "high": 0.99, "when": [["optimizer", ["sgd"]]]},
    ]
    rates = {
        "sgd": generator.normal(-1.2, 0.4),
        "adam": generator.normal(-3.0, 0.3),
        "adamw": generator.normal(-3.0, 0.3),
    }
    penalties = dict(zip(rates, generator.permutation([0.0, 0.01, 0.04]), strict=True))
    decay, batch, units = generator.normal(-3.5, 0.7), generator.normal(5.5, 1.0), generator.uniform(6.5, 9.0)
    dropout, layers, momentum = (
        generator.uniform(0.0, 0.4),
        int(generator.integers(2, 5)),
        generator.uniform(0.85, 0.95),
    )
    decay, batch = float(np.clip(decay, -5.5, -1.5)), float(np.clip(batch, 3.5, 8.5))

    def loss(configuration: Configuration) -> float:
        kind = configuration["optimizer"]
        size = math.log2(configuration["batch_size"])
        # The rate goes with the root of the batch.
        away = math.log10(configuration["learning_rate"]) - rates[kind] - 0.15 * (size - batch)
        found = 0.05 + penalties[kind] + 0.12 * away**2 / (1 + 0.3 * away**2)
        if away > 0.8:
            return 0.9
        found += 0.01 * (math.log10(configuration["weight_decay"]) - decay) ** 2
        found += 0.004 * (size - batch) ** 2 + 0.004 * (math.log2(configuration["units"]) - units) ** 2
        found += 0.08 * (configuration["dropout"] - dropout) ** 2 + 0.006 * abs(configuration["layers"] - layers)
        if kind == "sgd":
            found += 1.5 * (configuration["momentum"] - momentum) ** 2
        return float(min(0.9, found))

    # Whole batch sizes and numbers of units come closer than one can tell.
    return Problem(name, "network", space, loss, 0.05)


def flat(name: str, generator: np.random.Generator) -> Problem:
    """A grid of 4,320 points, most of whose values are nearly the same, in steps of half a percent."""
    space: list[Entry] = [
        {"name": "depth", "type": "ord", "values": [1, 2, 3, 4, 5, 6]},
        {"name": "rate", "type": "ord", "values": [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03], "log": True},
        {"name": "size", "type": "ord", "values": [16, 32, 64, 128, 256], "log": True},
        _categories("kind", 4),
        {"name": "share", "type": "ord", "values": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
    ]
    counts = [len(entry.get("choices") or entry["values"]) for entry in space]
    places = [generator.integers(count) for count in counts]
    axes = [abs(np.arange(count) - place) / (count - 1) for count, place in zip(counts, places, strict=True)]
    kinds = generator.permutation([0.0, 0.005, 0.01, 0.3])
    away = functools.reduce(
        np.add.outer, [axes[0] ** 4, 1.5 * axes[1] ** 4, 0.5 * axes[2] ** 4, 0 * axes[3], axes[4] ** 4]
    )
    table = 0.05 + 0.3 * away + kinds[None, None, None, :, None] + generator.normal(0, 0.004, counts)
    table = np.round(np.clip(table, 0.0, 0.9) * 200) / 200

    def loss(configuration: Configuration) -> float:
        at = tuple((entry.get("choices") or entry["values"]).index(configuration[entry["name"]]) for entry in space)
        return float(table[at])

    return Problem(name, "flat", space, loss, float(table.min()))


FAMILIES: dict[str, Callable[[str, np.random.Generator], Problem]] = {
    family.__name__: family for family in (learners, architecture, additive, nk, labs, maxsat, network, flat)
}
