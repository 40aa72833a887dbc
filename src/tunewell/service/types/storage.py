"""What users bring: uploads, data sets, code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tunewell.service.types.base import Moment, Wire
from tunewell.spec.names import Purpose, Visibility
from tunewell.spec.states import JobState


class Upload(Wire):
    """A file that its user sends by parts. Nobody else sees it."""

    id: str
    name: str
    #: How many bytes it is to have, and how many have come: where the next part begins.
    size_bytes: int
    received_bytes: int
    #: Checksum of the whole, in hexadecimal: as its user says, until it is finished; None: the user did not say.
    sha256: str | None
    #: What is to be made of it; None: its user did not say.
    purpose: Purpose | None
    created_at: Moment
    #: When it was found to be whole and undamaged.
    finished_at: Moment | None
    #: When it goes if nothing more comes and nothing is made of it.
    expires_at: Moment


class DataSet(Wire):
    """A data set. A spec uses it as `data: dataset:NAME`."""

    #: In full; see `tunewell.service.verbs`.
    name: str
    owner: str
    visibility: Visibility
    source: Literal["upload", "folder"]
    #: Of its content; of a folder: of names, sizes and dates in it when it was added.
    sha256: str
    #: The folder that it is made of; None: it was sent.
    folder: str | None
    size_bytes: int
    files: int
    #: The job that looked at it last; None: there was none, or what was asked for after it was refused at once. How far
    #: it is, as which task the data were read last, and why the job did not succeed.
    job: int | None
    job_state: JobState | None
    job_task: str | None
    job_detail: str
    #: Why no search as this task can use it, as that look says, or why it was refused; empty: nothing is known.
    unusable: str
    #: The task that reads such data, where the last look was as another.
    suggested_task: str | None
    #: Number of items that can't be read, as that look says; None: it does not.
    broken: int | None
    #: What that found, a line each; None: it has found nothing yet.
    findings: tuple[str, ...] | None
    #: Number of experiments that use it, those in the bin, too; of those that the caller sees, the latest first, which
    #: are in no bin, and which are in the bin.
    uses: int
    used_by: tuple[str, ...]
    used_in_bin: tuple[str, ...]
    created_at: Moment
    #: When it was put into the bin.
    deleted_at: Moment | None


class Sample(Wire):
    """An item of a data set, to be looked at."""

    #: Where it is from, and what it is said to show.
    caption: str
    #: Number by which its picture is asked for; None: there is none.
    picture: int | None


class DataSetView(Wire):
    """What a look at all of a data set has found."""

    #: The built-in task that read it.
    task: str
    #: What an item is, such as `picture`.
    unit: str
    #: Split → number of items; `train` is among them.
    items: Mapping[str, int]
    #: What is counted for each class, such as `object`.
    counted: str
    #: Class → its number in each split, in the order of `items`; empty for data without classes.
    counts: Mapping[str, tuple[int, ...]]
    #: How large objects of the training data are, such as `2 to 4 %` of the picture's side → their number, from small
    #: to large; empty for data without objects.
    sizes: Mapping[str, int]
    #: What is odd about it, a sentence each.
    notes: tuple[str, ...]
    #: Why no search can use it, without a full stop; empty: one can.
    unusable: str = ""
    #: Name of an item → why it can't be read, 1000 at most; and number of all of them, which are counted nowhere else.
    broken: Mapping[str, str]
    broken_count: int
    #: Items that are in train and in another split, each with its copy, some of them; and number of all of them.
    copies: tuple[tuple[Sample, Sample], ...]
    copies_count: int
    #: Class → examples of it in the training data, for the first classes.
    examples: Mapping[str, tuple[Sample, ...]]
    #: Width of the pictures of samples, at most, in pixels.
    width: int


class UsedDataSet(Wire):
    """The data set that an experiment uses."""

    #: In full.
    name: str
    sha256: str


class Code(Wire):
    """A program that was sent. A spec uses it as `code: ID`."""

    #: Checksum of its content, in hexadecimal.
    id: str
    size_bytes: int
    files: int
    created_at: Moment


class CodeFile(Wire):
    """A file of a program that was sent."""

    #: Relative to the folder of all of them, with `/`.
    path: str
    size_bytes: int


class Content(Wire):
    """What need not be sent, because the service has it already."""

    sha256: str
    kind: Literal["dataset", "code"]
    size_bytes: int
    files: int
