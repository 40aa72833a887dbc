"""Copying a checkpoint to where another attempt goes on from it.

The copy survives a power failure once it is made. Whoever makes it gives it its final name only then, so that nobody
goes on from a part of it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tunewell.trial.files import flush


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copy all files, folders and links in the folder `source` into the folder `target`, which is made if need be.

    A link stays a link: one that leads to something within the checkpoint leads to the same in the copy, any other to
    what it led to before. Sockets, pipes and devices hold nothing that could be copied, and are left out.

    Raises:
        OSError: something can't be read or written; what has been copied by then is of no use.
    """
    source = source.absolute()
    folders = [source]
    for folder in folders:  # grows as it goes
        copy = target / folder.relative_to(source)
        copy.mkdir(exist_ok=True)
        for entry in sorted(folder.iterdir()):
            if entry.is_symlink():
                (copy / entry.name).symlink_to(_link(entry, source))
            elif entry.is_dir():
                folders.append(entry)
            elif entry.is_file():
                shutil.copy2(entry, copy / entry.name)
                flush(copy / entry.name)
        flush(copy)


def _link(link: Path, source: Path) -> str:
    """Return what a copied link says."""
    says = os.readlink(link)  # noqa: PTH115 - a Path drops what some programs look at, such as a slash at the end
    leads_to = os.path.normpath(link.parent / says)
    for root in (source, source.resolve()):
        if Path(leads_to).is_relative_to(root):
            place = source / Path(leads_to).relative_to(root)
            return os.path.relpath(place, link.parent) if Path(says).is_absolute() else says
    return leads_to
