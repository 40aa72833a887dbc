"""Which pictures are copies of each other, byte by byte."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def groups_of_copies(paths: Sequence[Path]) -> np.ndarray:
    """Return the group of each file, (N,): the index of the first file with the same content.

    Only files of equal size are read. One that is empty or can't be read is a group of its own.
    """
    sizes = [path.stat().st_size for path in paths]
    shared = {size for size, count in Counter(sizes).items() if count > 1 and size > 0}
    groups = np.arange(len(paths))
    first: dict[tuple[int, bytes], int] = {}
    for index, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        if size in shared:
            groups[index] = first.setdefault((size, _digest(path) or str(index).encode()), index)
    return groups


def _digest(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError:
        return None
