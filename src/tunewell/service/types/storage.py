"""What users bring: uploads, data sets, code."""

from __future__ import annotations

from typing import Literal

from tunewell.service.types.base import Moment, Wire
from tunewell.spec.names import Visibility


class Upload(Wire):
    """A file that its user sends by parts. Nobody else sees it."""

    id: str
    name: str
    #: How many bytes it is to have, and how many have come: where the next part begins.
    size_bytes: int
    received_bytes: int
    #: Checksum of the whole, in hexadecimal: as its user says, until it is finished; None: the user did not say.
    sha256: str | None
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
    #: The job that looked at it last; None: there was none.
    job: int | None
    #: What that found, a line each; None: it has found nothing yet.
    findings: tuple[str, ...] | None
    created_at: Moment
    #: When it was put into the bin.
    deleted_at: Moment | None


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


class Content(Wire):
    """What need not be sent, because the service has it already."""

    sha256: str
    kind: Literal["dataset", "code"]
    size_bytes: int
    files: int
