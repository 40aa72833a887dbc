"""Sending what lies on this machine to where the verbs are carried out: files, pictures, data sets, a spec's program.

What is there already is not sent again; a file that breaks off on the way goes on where it broke off.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from tunewell.client.answers import Unavailable
from tunewell.service.packing import Packed, pack_code, pack_data, pack_function
from tunewell.service.storage.own_programs import within
from tunewell.service.types import DataSet
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ConflictError, DataError, NotFoundError, SpecError
from tunewell.spec.experiment import plain
from tunewell.spec.files import experiment_name
from tunewell.spec.format import size as shown_size
from tunewell.spec.names import DATASET, Purpose, Visibility, is_dataset

#: Bytes of a part of an upload.
PART = 4 << 20
#: How often in a row a part may break off before nothing more is tried, and the wait before the next try.
_MOST_BREAKS, _WAIT_SECONDS = 5, 0.5
#: Told in a sentence what is being sent.
Tell = Callable[[str], None]


def quietly(sentence: str) -> None:
    """Tell nobody."""
    del sentence


def send_file(verbs: Verbs, name: str, file: BinaryIO, purpose: Purpose | None = None) -> str:
    """Send a file; return the id of the upload, which is finished.

    Raises:
        DataError: it is empty, or the server can't be reached any more.
    """
    file.seek(0)
    checksum = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    length = file.seek(0, os.SEEK_END)
    if not length:
        raise DataError("it is empty", field=name, remedy="Name one with content")
    id = verbs.create_upload(name, length, checksum, purpose=purpose).id
    offset, breaks = 0, 0
    while offset < length:
        file.seek(offset)
        try:
            offset, breaks = verbs.put_part(id, offset, [file.read(PART)]).received_bytes, 0
        except (Unavailable, ConflictError) as error:
            # A part that broke off may still be on its way there; what has come of it is there to stay.
            breaks += 1
            if breaks > _MOST_BREAKS or error.kind not in (Unavailable.default_kind, "wrong-offset", "upload-busy"):
                raise
            time.sleep(_WAIT_SECONDS * (breaks - 1))
            offset = verbs.upload(id).received_bytes
    return verbs.finish_upload(id).id


def send_folder(verbs: Verbs, packed: Packed, purpose: Purpose, *, compressed: bool, tell: Tell = quietly) -> str:
    """Send a folder as an archive; return the id of the upload."""
    name = f"{packed.folder.resolve().name or 'folder'}.tar" + (".gz" if compressed else "")
    tell(f"Sending {packed.folder} ({shown_size(packed.content.size)}) …")
    with tempfile.TemporaryFile() as archive:
        packed.write(archive, compressed=compressed)
        return send_file(verbs, name, archive, purpose)


def send_data(verbs: Verbs, name: str, folder: Path, visibility: Visibility = "team", tell: Tell = quietly) -> DataSet:
    """Add a data set with what a folder holds, which is sent unless it is there already."""
    return _add_data(verbs, name, pack_data(folder), visibility, tell)


def _add_data(verbs: Verbs, name: str, packed: Packed, visibility: Visibility, tell: Tell) -> DataSet:
    try:
        known = verbs.find_content(packed.content.sha256)
    except NotFoundError:
        pass
    else:
        if known.kind == "dataset":
            return verbs.add_dataset(name, content=known.sha256, visibility=visibility)
    upload = send_folder(verbs, packed, "dataset", compressed=False, tell=tell)
    return verbs.add_dataset(name, upload=upload, visibility=visibility)


def send_pictures(verbs: Verbs, inputs: Sequence[Path]) -> str:
    """Send pictures, and folders of pictures; return the id of the upload."""
    for path in inputs:
        if not path.exists():
            raise NotFoundError("there is no such file or folder", field=str(path))
    if len(inputs) == 1 and inputs[0].is_file():
        with inputs[0].open("rb") as file:
            return send_file(verbs, inputs[0].name, file, "pictures")
    with tempfile.TemporaryDirectory() as gathered:
        for name, path in _pictures(inputs):
            link = Path(gathered, name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
        return send_folder(verbs, pack_data(Path(gathered)), "pictures", compressed=False)


def _pictures(inputs: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield files with the names that they get in an archive: their own, in a numbered folder where that is taken."""
    taken: set[Path] = set()
    for number, path in enumerate(inputs, 1):
        name = Path(path.resolve().name or "pictures")
        name = Path(str(number), name) if name in taken else name
        taken.add(name)
        if path.is_file():
            yield name, path
        else:
            yield from ((name / one.relative_to(path), one) for one in sorted(path.rglob("*")) if one.is_file())


def shipped(
    verbs: Verbs, spec: Mapping[str, Any], tell: Tell = quietly, spec_file: Path | None = None
) -> dict[str, Any]:
    """Return a spec, as `read_spec_file` gives it, with what lies on this machine sent to the service.

    The folder that its command runs in becomes `code`, without what `.tunewellignore` leaves out; a folder as `data`
    becomes a data set that is named after the folder and its content, private where the search is. Each is sent once,
    however often it is asked for.
    The spec's own file is no part of its program, which stays the same if the spec is given a larger budget.

    Raises:
        UserError: something in it can't be sent; or the service refuses it.
    """
    found = dict(spec)
    weights, data = spec.get("weights"), spec.get("data")
    if isinstance(weights, str) and weights not in ("", "auto", "none"):
        raise SpecError("weights", "a file of this machine can't be sent", "Use auto or none", weights)
    if isinstance(data, str) and not is_dataset(data):
        private = spec.get("visibility") == "private"
        found["data"] = DATASET + ship_data(verbs, "data", Path(data), "private" if private else "team", tell)
    return ship_program(verbs, found, tell, spec_file)


def ship_program(
    verbs: Verbs, spec: Mapping[str, Any], tell: Tell = quietly, spec_file: Path | None = None
) -> dict[str, Any]:
    """Return a spec with the folder that its command runs in sent as `code`, for machines that don't have the folder.

    What lies in the folder, and is named by an absolute path in the command, is named by a relative one then; what lies
    elsewhere on this machine must be at the same path where the command runs, which is said.

    Raises:
        UserError: the folder can't be sent.
    """
    found, folder, command = dict(spec), spec.get("working_directory"), spec.get("command")
    if not command or spec.get("code") is not None or not isinstance(folder, str):
        return found
    del found["working_directory"]
    packed = _packed_program(Path(folder), spec_file)
    if packed.entries:
        found["code"] = _shipped_code(verbs, packed, tell)
    if isinstance(command, list):
        found["command"] = [within(part, Path(folder)) if isinstance(part, str) else part for part in command]
        elsewhere = [part for part in found["command"][1:] if isinstance(part, str) and _is_elsewhere(part)]
        if elsewhere:
            named = ", ".join(elsewhere)
            tell(f"Not sent, as it lies in another folder: {named}. It must be there where the command runs.")
    return found


def _is_elsewhere(argument: str) -> bool:
    """Whether an argument of a command is the path of something on this machine."""
    return argument.startswith("/") and os.path.exists(argument)  # noqa: PTH110 - no folder on the way need be open


def shipped_function(
    verbs: Verbs, spec: Mapping[str, Any], function: Callable[..., Any], tell: Tell = quietly
) -> dict[str, Any]:
    """Return the spec of a search over a Python function, which is sent to the service; once, if it is the same.

    Raises:
        UserError: it can't be sent; or the service refuses it.
    """
    if spec.get("code") is not None:
        raise SpecError("code", "a function needs none", "Drop it", spec["code"])
    with tempfile.TemporaryDirectory() as folder:
        named, packed = pack_function(function, plain(spec["parameters"]), Path(folder))
        code = _shipped_code(verbs, packed, tell)
    return {**named, **spec, "code": code}


def ship_data(verbs: Verbs, field: str, folder: Path, visibility: Visibility, tell: Tell = quietly) -> str:
    """Have a folder of this machine be a data set that is named after it and its content; return its full name.

    Raises:
        SpecError: there is no such folder; `field` is what has named it.
    """
    if folder.is_file():
        raise SpecError(field, f"'{folder}' is a file, and only folders can be sent", "Name a folder of pictures")
    if not folder.is_dir():
        raise SpecError(field, f"there is no folder '{folder}'", "Name one that is there")
    packed = pack_data(folder)
    name = f"{experiment_name(folder.name)[:80]}-{packed.content.sha256[:12]}"
    try:
        known = verbs.dataset(name)
    except NotFoundError:
        known = _add_data(verbs, name, packed, visibility, tell)
    seers = "everybody" if known.visibility == "team" else "its owner and administrators alone"
    tell(f"The data set '{known.name}' is seen by {seers}.")
    return known.name


def _packed_program(folder: Path, spec_file: Path | None) -> Packed:
    if not folder.is_dir():
        raise SpecError("working_directory", f"there is no folder '{folder}'", "Name one that is there")
    packed, own = pack_code(folder), spec_file.resolve() if spec_file is not None else None
    return replace(packed, entries=tuple(entry for entry in packed.entries if (folder / entry.path).resolve() != own))


def _shipped_code(verbs: Verbs, packed: Packed, tell: Tell) -> str:
    try:
        return verbs.code(packed.content.sha256).id
    except NotFoundError:
        return verbs.add_code(send_folder(verbs, packed, "code", compressed=True, tell=tell)).id
