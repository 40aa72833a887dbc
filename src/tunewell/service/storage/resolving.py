"""What a spec names that the service has: `data: dataset:NAME` and `code: ID` become folders of its machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewell.service.storage import code, datasets
from tunewell.service.storage.place import Place
from tunewell.spec.errors import NotFoundError, SpecError
from tunewell.spec.names import DATASET, is_dataset


def resolved(place: Place, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec that the caller may submit, with folders in place of what it names, and a note of which that was.

    Raises:
        SpecError: there is no such thing that the caller may see, or what was found in the data set says that no search
            can use it.
        ForbiddenError: the folder that the data set is made of is not allowed any more.
    """
    found = dict(spec)
    if is_dataset(spec.get("data")):
        found |= _data(place, spec["data"].removeprefix(DATASET), spec.get("task"))
    if spec.get("code") is not None:
        found |= _code(place, spec["code"], spec.get("working_directory"))
    return found


def data_to_measure(place: Place, data: str) -> tuple[str, str]:
    """Return the data that a model is to be measured on, and the data set that they are, for `place_to_measure`.

    They are a path, or `dataset:NAME` in full; the data set is `NAME@CHECKSUM`, or empty where they are none.

    Raises:
        NotFoundError: there is no such data set that the caller may see, or no such path.
        ForbiddenError: it is a path, and the caller is not on this machine.
    """
    if is_dataset(data):
        row = place.rights.seen_dataset(data.removeprefix(DATASET))
        datasets.folder_of(place, row)  # which must be allowed
        return DATASET + row.name, f"{row.name}@{row.sha256}"
    place.rights.check_local("data", data)
    path = Path(data).absolute()
    if not path.exists():
        raise NotFoundError("there is no such file or folder", field=data)
    return str(path), ""


def place_to_measure(place: Place, data: str, dataset: str) -> Path:
    """Return where data lie that `data_to_measure` has returned, perhaps in another home, or at another time.

    Raises:
        NotFoundError: they are not there any more, or the caller does not see them any more.
        ForbiddenError: the folder that the data set is made of is not allowed any more.
    """
    if dataset:
        name, _, sha256 = dataset.partition("@")
        row = place.rights.find_dataset(name)
        if row is None or row.sha256 != sha256:
            raise NotFoundError(f"There is no data set '{name}' any more", field="data")
        return datasets.folder_of(place, row)
    if not Path(data).exists():
        raise NotFoundError("there is no such file or folder", field=data)
    return Path(data)


def names_stored(spec: Mapping[str, Any]) -> bool:
    """Whether a spec names something that the service has, so that it can't be told without the service what it is."""
    return is_dataset(spec.get("data")) or spec.get("code") is not None


def _data(place: Place, name: str, task: Any) -> dict[str, str]:
    try:
        row = place.rights.seen_dataset(name)
    except NotFoundError as error:
        raise SpecError("data", f"there is no data set '{name}'", error.remedy, DATASET + name) from None
    datasets.check_usable(place, row, task)
    return {"data": str(datasets.folder_of(place, row)), "dataset": f"{row.name}@{row.sha256}"}


def _code(place: Place, id: Any, working_directory: Any) -> dict[str, str]:
    if working_directory is not None:
        raise SpecError("working_directory", "the folder of `code` is where the command runs", "Drop one")
    try:
        row = code.find(place, id)
    except NotFoundError as error:
        raise SpecError("code", f"there is no code '{id}'", error.remedy, id) from None
    return {"working_directory": str(code.folder_of(place, row))}
