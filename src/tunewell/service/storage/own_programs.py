"""Programs of this machine for searches that run on others: a copy of their folder becomes code of the home.

Other machines get it from there. What a search runs is then on record, and stays what it was when the search began.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunewell.home.manifest import Content
from tunewell.service.packing import Packed, pack_code, pack_function
from tunewell.service.storage import contents
from tunewell.service.storage.limits import CODE
from tunewell.service.storage.place import Place, check_room
from tunewell.spec.errors import SpecError, UserError
from tunewell.spec.experiment import plain
from tunewell.spec.files import read_spec_file
from tunewell.spec.format import size as shown_size
from tunewell.store.rows import CodeRow

#: Largest file that may be a spec, in bytes.
_LARGEST_SPEC = 1 << 20


def with_program(place: Place, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec whose command runs in a copy of the folder that it names.

    What `.tunewellignore` leaves out is not copied, nor are files of specs with this very command: they may be changed
    while the program stays the same.

    Raises:
        UserError: there is no such folder, or it can't be copied: it is too large, say.
    """
    packed = _packed(spec)
    if packed is None:
        return dict(spec)
    command = spec["command"]
    found = {**spec, "command": [within(part, packed.folder) for part in command] if _is_listed(command) else command}
    if not packed.entries:
        return {**found, "working_directory": None}
    return {**found, **_kept(place, packed)}


def what_is_sent(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what nodes get of a command's folder, and what it names that they don't get, a line each.

    Raises:
        UserError: see `with_program`.
    """
    packed = _packed(spec)
    if packed is None:
        return ()
    number, folder = len(packed.entries), packed.folder
    total = sum(one.size for one in packed.entries)
    files = "1 file" if number == 1 else f"{number:,} files"
    sent = f"Nodes get a copy of {folder}: {files}, {shown_size(total)}."
    elsewhere = [part for part in spec["command"][1:] if Path(part).is_absolute() and within(part, folder) == part]
    return (sent, *(f"'{path}' is not sent: nodes read what they have there themselves." for path in elsewhere))


def _packed(spec: Mapping[str, Any]) -> Packed | None:
    """Return the folder that a command runs in, without specs of this command; None if none is to be sent."""
    directory, command = spec.get("working_directory"), spec.get("command")
    if not command or spec.get("code") is not None or directory is None:
        return None
    folder = Path(directory).absolute()
    if not folder.is_dir():
        raise SpecError("working_directory", f"there is no folder '{folder}'", "Name one that is there", str(folder))
    packed = pack_code(folder)
    entries = tuple(one for one in packed.entries if not _is_spec_of(folder / one.path, command))
    return replace(packed, entries=entries)


def with_function(place: Place, spec: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    """Return the spec of a search over a Python function, a copy of which is code of the home.

    Raises:
        SpecError: it can't be copied, or not be called with the parameters.
    """
    if spec.get("code") is not None:
        raise SpecError("code", "a function needs none", "Drop it", spec["code"])
    with tempfile.TemporaryDirectory() as folder:
        named, packed = pack_function(function, plain(spec.get("parameters", {})), Path(folder))
        return {**named, **spec, "function": named["function"], **_kept(place, packed)}


def within(argument: str, folder: Path) -> str:
    """Return an argument of a command that names what lies in a folder as from there."""
    return re.sub(rf"{re.escape(str(folder))}(?=/|$)", ".", argument)


def _is_listed(command: Any) -> bool:
    return isinstance(command, list | tuple) and all(isinstance(part, str) for part in command)


def _is_spec_of(path: Path, command: Any) -> bool:
    """Whether a file is a spec of a search with this command."""
    if path.suffix not in (".yaml", ".yml") or path.stat().st_size > _LARGEST_SPEC:
        return False
    try:
        return bool(read_spec_file(path).get("command") == command)
    except UserError:
        return False


def _kept(place: Place, packed: Packed) -> dict[str, str]:
    """Keep the files of a folder as code of the caller; return the fields of a spec that name it."""
    sha256 = packed.content.sha256
    if place.store.find_code(sha256, place.rights.seen_by) is not None and (place.home.code / sha256).is_dir():
        return _named(place, sha256)
    with tempfile.TemporaryDirectory(dir=place.home.folder, prefix=".program-") as beside:
        archive = Path(beside, "program.tar")
        with archive.open("wb") as file:
            packed.write(file, compressed=False)
        unpacked = contents.unpacked(archive, str(packed.folder), place.home.code, CODE, executable=True)
        with unpacked as (content, coming), place.store.transaction() as tx:
            tx.add_code(_row(place, content))
            check_room(place, content.size)
            contents.keep(coming, place.home.code / content.sha256)
    return _named(place, content.sha256)


def _named(place: Place, sha256: str) -> dict[str, str]:
    return {"code": sha256, "working_directory": str(place.home.code / sha256)}


def _row(place: Place, content: Content) -> CodeRow:
    return CodeRow(content.sha256, place.caller.name, content.size, content.files, time.time())
