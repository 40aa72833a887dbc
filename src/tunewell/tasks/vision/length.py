"""How long a training is: epochs and batch sizes that suit the number of items that an epoch learns from.

Items are the training pictures, or, where these are seen in tiles, views of them.

What makes a network learn are steps; how many an epoch has, the data decide. With a fixed number of epochs 53 pictures,
4 a step, would get 104 steps, and most of what a search gained would be that some trials get more. So

    epochs = ceil(steps wanted / steps of an epoch), and no fewer than the network's own, no more than 100

A large set gets the network's own epochs; a small one as many as make the steps that the network wants at least
(`Architecture.least_steps`), whose time depends little on the size of the set. Steps are wanted as in BiT-HyperRule
(Kolesnikov et al. 2020, arXiv:1912.11370), which gives sets of fewer than 20,000 pictures 500.

The number of epochs follows from the usual batch size and is the same for all trials, so that all cost about the same,
and early stopping compares like with like. On a sample of the data (`sampling`) it follows from the sample, which is
learned well then; trainings on all data, for which a search on a sample is made, have as many epochs as suit these. It
is not searched: at an equal total of epochs, half, as many and twice as
many beside each other found nothing better (small-cnn on 80 pictures of hand signs).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunewell.spec.errors import count
from tunewell.spec.space import Choice, Configuration, SearchSpace, is_number

#: Most epochs that follow from the size of the data: more of a handful of pictures teach little, and each is validated.
MOST_EPOCHS = 100
#: Fewest steps of an epoch that a batch size on offer leaves: of fewer, the batches of all epochs are too much alike,
#: and many pictures are left over in each.
LEAST_STEPS_AN_EPOCH = 4


@dataclass(frozen=True, slots=True)
class Length:
    """What a training comes to."""

    epochs: int
    #: Items of an epoch, how many of them a step has, and of how many pictures they are.
    items: int
    batch_size: int
    pictures: int

    @property
    def steps_an_epoch(self) -> int:
        """Steps of an epoch; items that fill none are left out."""
        return steps_an_epoch(self.items, self.batch_size)

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.epochs * self.steps_an_epoch


def steps_an_epoch(items: int, batch_size: int) -> int:
    """Return how many steps an epoch has; a batch of more items than there are has all of them."""
    return items // min(batch_size, items)


def sampled(items: int, sampling: float) -> int:
    """Return about how many items a share of the training pictures has."""
    return max(1, round(items * sampling))


def suitable_epochs(items: int, batch_size: int, own: int, least_steps: int) -> int:
    """Return the epochs of a training.

    Args:
        items: of an epoch, 1 at least.
        batch_size: items of a step.
        own: epochs of the network, whatever the data.
        least_steps: steps that the network wants at least.
    """
    wanted = math.ceil(least_steps / steps_an_epoch(items, batch_size))
    return max(own, min(wanted, MOST_EPOCHS))


def suitable_batches(items: int, offered: Choice) -> dict[str, Any]:
    """Return a declaration with the batch sizes that leave an epoch enough steps; half of the items if none does.

    The default is the offered one, or the next smaller that is left.
    """
    sizes = [size for size in offered.values_ if size * LEAST_STEPS_AN_EPOCH <= items]
    if not sizes:
        only = 1 << max((items // 2).bit_length() - 1, 0)
        return {"ordinal": [only], "default": only}
    return {"ordinal": sizes, "default": max([size for size in sizes if size <= offered.default] or sizes[:1])}


def suited_to_data(space: SearchSpace, given: Mapping[str, Any], items: int, least_steps: int) -> dict[str, Any]:
    """Return declarations of `batch_size` and `epochs` that suit the data, where a spec leaves them open.

    Args:
        space: of the network, with what the spec and the machine make of it.
        given: the spec's own declarations, which stay as they are.
        items: of an epoch.
        least_steps: steps that the network wants at least.
    """
    found: dict[str, Any] = {}
    batches, epochs = space["batch_size"], space["epochs"]
    batch_size = batches.default
    if "batch_size" not in given and isinstance(batches, Choice):
        found["batch_size"] = suitable_batches(items, batches)
        batch_size = found["batch_size"]["default"]
    if "epochs" not in given and is_number(epochs.default) and is_number(batch_size):
        number = suitable_epochs(items, int(batch_size), int(epochs.default), least_steps)
        found["epochs"] = {"choices": [number], "default": number}
    return found


def length_of(configuration: Configuration, items: int, pictures: int) -> Length:
    """Return what the training of a configuration comes to, with so many items of so many pictures an epoch."""
    return Length(int(configuration["epochs"]), items, int(configuration["batch_size"]), pictures)


def describe(length: Length, own: int, least_steps: int, is_given: bool) -> list[str]:
    """Return how long the default configuration is trained, a line each.

    Args:
        length: what it comes to.
        own: epochs of the network, whatever the data.
        least_steps: steps that the network wants at least.
        is_given: whether the spec says the epochs.
    """
    of = f"{count(length.epochs, 'epoch')} of {count(length.steps_an_epoch, 'step')}"
    items = count(length.pictures, "picture")
    if length.items != length.pictures:
        items = f"{count(length.items, 'view')} of {items}"
    line = f"Training: {of} ({items}, {min(length.batch_size, length.items)} a step)"
    if is_given:
        better = suitable_epochs(length.items, length.batch_size, own, least_steps)
        if 2 * length.steps >= least_steps or better <= length.epochs:
            return [f"{line}."]
        return [f"{line}.", f"Advice: that is short; without `epochs`, it would be {better} for so few pictures."]
    if length.epochs <= own:
        return [f"{line}."]
    around = ", ".join(str(number) for number in (math.ceil(length.epochs / 2), length.epochs, 2 * length.epochs))
    return [f"{line}: small data sets need more passes. To search their number: `epochs: {{ordinal: [{around}]}}`."]


def describe_on_all(length: Length, is_given: bool) -> str:
    """Return how long trainings on all data are, after a search on a sample; `is_given`: see `describe`."""
    why = "as the spec says" if is_given else f"as suits {count(length.pictures, 'training picture')}"
    return f"Trainings on all data (`finalists: full`, `retrain`) have {count(length.epochs, 'epoch')}, {why}."
