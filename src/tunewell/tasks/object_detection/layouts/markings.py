"""What a layout's reader finds, before anything is checked against the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tunewell.tasks.object_detection.annotations import Mask


@dataclass(frozen=True, slots=True)
class MarkedObject:
    """One object as the layout has it."""

    class_name: str
    #: Corners x0, y0, x1, y1 in pixels.
    box: tuple[float, float, float, float]
    mask: Mask | None = None
    crowd: bool = False


@dataclass(frozen=True, slots=True)
class MarkedPicture:
    """One picture as the layout has it."""

    #: Relative to the data set's folder, '/' between the parts.
    path: str
    #: `train`, `val`, `test`, or empty if the layout does not say.
    split: str
    objects: Sequence[MarkedObject]
    #: Width and height that the annotations are for, if they say so.
    stated_size: tuple[int, int] | None = None


@dataclass(slots=True)
class Markings:
    """All that one layout's files say."""

    #: Name of the layout, for people.
    layout: str
    #: What the layout calls objects that are neither learned nor missed, to go on after `they are`.
    crowd_mark: str = ""
    pictures: list[MarkedPicture] = field(default_factory=list)
    #: Splits that the layout's files name pictures for, whether these are there or not.
    splits: set[str] = field(default_factory=set)
    #: Class names in the layout's own order, whether they occur or not.
    classes: list[str] = field(default_factory=list)
    #: Number of annotations: those of `pictures`, and those that could not be read.
    records: int = 0
    #: Annotations that can't be read, an example each.
    unreadable: list[str] = field(default_factory=list)
    #: Pictures that annotations are for and that are not there.
    missing: list[str] = field(default_factory=list)
    #: What the user should know, a sentence each.
    notes: list[str] = field(default_factory=list)
