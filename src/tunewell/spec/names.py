"""Names of experiments and of their owners, and who sees and does what.

The full name of an experiment is `OWNER/NAME`; that of the person whose home it is, is `NAME` alone. What is on record,
and what the parts below the service call it, is the full name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from tunewell.spec.errors import ArgumentError, SpecError, shown

#: What a user may do: everything; run searches; look.
Role = Literal["administrator", "user", "viewer"]
#: Who sees an experiment: every user, or its owner and administrators alone.
Visibility = Literal["team", "private"]
#: What is to be made of a file that is sent: a data set, a program, or the pictures of a prediction.
Purpose = Literal["dataset", "code", "pictures"]
#: A part of a data set.
Split = Literal["train", "val", "test"]
#: What a list of experiments goes by; with a `-`, the newest comes first, or the last of the alphabet.
ExperimentOrder = Literal["-created", "created", "name", "-name"]

#: Name of the algorithm, and origin of the trials, of an experiment that was imported.
IMPORTED = "imported"
#: Where a home is that nobody has named.
DEFAULT_HOME = Path(".tunewell")
#: What the person is called whose home it is.
HOME_OWNER = "owner"
#: In place of a user's name: a controller, which asks for what follows from what others have asked for.
CONTROLLER = "controller"

#: What `data` begins with where it is no path, but names a data set.
DATASET = "dataset:"
#: What the name of a model begins with that was published, where an experiment or a folder may be named, too; its
#: version may follow: `model:NAME@3`.
MODEL = "model:"

#: Digits of the largest number of a version, and one more.
_LONGEST_NUMBER = 10
_OWNER = re.compile(r"[a-z0-9][a-z0-9_.\-]{0,49}")
_NAME = re.compile(r"(?:[a-z0-9][a-z0-9_.\-]{0,49}/)?[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")


def is_user_name(text: str) -> bool:
    """Whether a user can be called so."""
    return _OWNER.fullmatch(text) is not None and text != CONTROLLER


def is_name(text: str) -> bool:
    """Whether an experiment can be called so, with its owner or without."""
    return _NAME.fullmatch(text) is not None


def is_dataset(value: object) -> bool:
    """Whether a spec's `data` names a data set of a service."""
    return isinstance(value, str) and value.startswith(DATASET)


def cluster_called(address: str) -> str:
    """Return what people call the Ray cluster at an address, `HOST:PORT` or `auto`, within a sentence."""
    return "the Ray cluster of this machine" if address == "auto" else f"the Ray cluster at {address}"


def parse_model(text: str) -> tuple[str, int | None]:
    """Return name and version that `model:NAME` or `model:NAME@VERSION` says; None: the current version.

    Raises:
        SpecError: the version is no number.
    """
    name, at, number = text.removeprefix(MODEL).partition("@")
    if not at:
        return name, None
    if not (number.isascii() and number.isdecimal() and len(number) < _LONGEST_NUMBER):
        raise SpecError("model", f"{shown(number)} is no number of a version", f"Write it like {MODEL}{name}@2", text)
    return name, int(number)


def check_has_trials(model: str, trial: int | None) -> None:
    """Raise `ArgumentError` if a trial is named of what is no experiment: a published model, or a model's folder."""
    if trial is not None and (model.startswith(MODEL) or Path(model).is_absolute()):
        raise ArgumentError("trial", "a published model and a model's folder have no trials", "Leave it out", trial)


def model_called(model: str, trial: int | None) -> str:
    """Return what people call a model: `model` names it, and `trial` says whose of an experiment it is, if anyone's."""
    if trial is not None:
        return f"{model}, trial {trial}"
    if model.startswith(MODEL) or Path(model).is_absolute():
        return model.removeprefix(MODEL)
    return f"{model}, trained on all data"


def full_name(owner: str, name: str) -> str:
    """Return the full name of what `owner` calls `name`, which may name another owner, also as addresses do."""
    named, _, own = from_address(name).rpartition("/")
    owner = named or owner
    return own if owner == HOME_OWNER else f"{owner}/{own}"


def called_by(user: str, name: str) -> str:
    """Return what a user calls what has a full name: their own without its owner, which nobody else may leave out."""
    owner, own = owner_of(name), own_name(name)
    return own if owner == user else f"{owner}/{own}"


def in_address(name: str) -> str:
    """Return a full name as one part of an address, `OWNER~NAME`, which means the same to every caller.

    A tilde is in no name, and stands for itself in every part of an address, whatever a proxy makes of it.
    """
    return f"{owner_of(name)}~{own_name(name)}"


def from_address(text: str) -> str:
    """Return the name that a part of an address gives: `OWNER~NAME`, or the caller's own `NAME`."""
    return text.replace("~", "/", 1)


def owner_of(name: str) -> str:
    """Return the owner in a full name."""
    return name.rpartition("/")[0] or HOME_OWNER


def own_name(name: str) -> str:
    """Return a full name without its owner."""
    return name.rpartition("/")[2]
