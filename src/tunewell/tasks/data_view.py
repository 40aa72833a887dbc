"""What a data set holds and looks like, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What a data set holds."""

    folder: str
    #: Split → number of pictures.
    pictures: Mapping[str, int]
    #: `pictures` or `objects`: what is counted for each class.
    counted: str
    #: Class → its number in each split, in the order of `pictures`.
    counts: Mapping[str, Sequence[int]]
    #: What is odd about it, a sentence each.
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture on a page."""

    caption: str
    #: A `data:` URI.
    image: str


@dataclass(frozen=True, slots=True)
class DataView:
    """A data set with pictures of it."""

    summary: DataSummary
    #: File → why it can't be read.
    broken: Mapping[str, str]
    #: Pictures that are in train and in another split, each with its copy.
    copies: Sequence[tuple[ShownPicture, ShownPicture]]
    #: Number of such pictures, which may be more than are shown.
    copied: int
    #: Class → examples.
    examples: Mapping[str, Sequence[ShownPicture]]
