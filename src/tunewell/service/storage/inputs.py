"""Pictures that are sent to be predicted: one, or an archive of them."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from tunewell.home.disk import remove
from tunewell.service.storage import contents, uploads
from tunewell.service.storage.limits import PICTURES
from tunewell.service.storage.members import ARCHIVES, format_of
from tunewell.service.storage.names import checked_parts
from tunewell.service.storage.place import Place
from tunewell.service.storage.unpacking import unpack


def folder_of(place: Place, id: str) -> Path:
    """Return a folder with what an upload holds, which stays there until jobs that use it have ended; see `tidying`.

    Raises:
        DataError: it is called an archive and is none, or holds nothing, or what is not taken.
    """
    upload = uploads.finished(place, id)
    target = place.home.inputs / upload.id
    with suppress(FileNotFoundError):
        os.utime(target)  # from now on, it is kept for a while
        return target
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    coming = target.with_name(f"{contents.COMING}{uuid.uuid4().hex}")
    sent = uploads.path_of(place, upload)
    try:
        if format_of(sent) is not None or upload.name.lower().endswith(ARCHIVES):
            unpack(sent, upload.name, coming, PICTURES)
        else:
            coming.mkdir(mode=0o700)
            shutil.copyfile(sent, coming.joinpath(*checked_parts(upload.name, depth=1)))
        with suppress(FileExistsError, OSError):  # another call was faster
            coming.rename(target)
    finally:
        remove(coming)
    return target
