"""What a data set holds and looks like, for people, whatever its items are: pictures, texts, rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What a data set holds."""

    #: Where it is: a folder or a file.
    place: str
    #: Split → number of items; `train` is among them.
    items: Mapping[str, int]
    #: What an item is, such as `picture` or `row`.
    unit: str
    #: Class → its number in each split, in the order of `items`; empty for data without classes.
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    #: What is counted for each class, such as `object`; the default: items.
    counted: str = ""
    #: How large objects of the training data are, such as `2 to 4 %` → their number; empty for data without objects.
    sizes: Mapping[str, int] = field(default_factory=dict)
    #: What is odd about it, a sentence each.
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """An item on a page."""

    caption: str
    #: What it looks like, a `data:` URI; empty if it has no picture.
    image: str = ""


@dataclass(frozen=True, slots=True)
class DataView:
    """A data set with samples of it."""

    summary: DataSummary
    #: Name of an item → why it can't be read; the summary counts none of these.
    broken: Mapping[str, str]
    #: Items that are in train and in another split, each with its copy.
    copies: Sequence[tuple[Sample, Sample]] = ()
    #: Number of such items, which may be more than are shown.
    copied: int = 0
    #: Class, or another heading → examples.
    examples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    #: Width of an example in pixels.
    width: int = 112
    #: Why no search can use the data set, without a full stop; empty: one can.
    unusable: str = ""
