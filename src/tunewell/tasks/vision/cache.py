"""Decoded pictures on disk: each data set once per image size, memory-mapped by all trials.

::

    CACHE/pictures/KEY/pixels.npy      uint8 (N, S, S, 3), N = all pictures of the data set in their order
    CACHE/pictures/KEY/index.json      digest of each file's content; what is wrong with the broken ones

KEY is a digest of names, sizes and modification times of the files, of S and of the resize rule. A folder
appears by renaming, complete: two processes may build the same one, the second result is thrown away.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.contract import Progress
from tunewell.tasks.vision.picture_set import PictureSet
from tunewell.tasks.vision.pictures import SQUASH, PictureError, ResizeRule, bombs_refused, load_pixels

_MAX_THREADS = 8
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded data set."""

    folder: Path
    #: Digest of each file's content; empty for a broken picture.
    digests: tuple[str, ...]
    #: Position of a broken picture → what is wrong with it. Its pixels are black.
    broken: Mapping[int, str]


def load_cached_pixels(folder: Path) -> np.ndarray:
    """Return the memory map of a cache folder, uint8 (N, S, S, 3), read-only."""
    array: np.ndarray = np.load(folder / "pixels.npy", mmap_mode="r")
    return array


def decode(
    pictures: PictureSet, fingerprint: str, size: int, cache: Path, progress: Progress, rule: ResizeRule = SQUASH
) -> Decoded:
    """Return the pictures at `size` x `size` pixels, from the cache or into it.

    `fingerprint` is that of the pictures (`picture_set.fingerprint`).

    Raises:
        DataError: the cache can't be written, or the disk is too small.
    """
    key = hashlib.blake2b(f"{fingerprint} {size} {rule}".encode(), digest_size=16).hexdigest()
    folder = cache / "pictures" / key
    try:
        if not (folder / "index.json").exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            _check_space(folder.parent, len(pictures.paths) * size * size * 3)
            _build(pictures, size, rule, folder, progress)
    except OSError as error:
        raise DataError(
            f"{folder.parent}: the cache can't be written ({error.strerror or error}). Choose another home with --home."
        ) from None
    index = json.loads((folder / "index.json").read_text())
    broken = {int(position): problem for position, problem in index["broken"].items()}
    return Decoded(folder, tuple(index["digests"]), broken)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > 0.95 * free:
        raise DataError(
            f"{folder}: the decoded pictures need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. "
            "Make room, choose another home with --home, or search fewer and smaller values of `image_size`."
        )


def _build(pictures: PictureSet, size: int, rule: ResizeRule, folder: Path, progress: Progress) -> None:
    digests, broken = [], {}
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        shape = (len(pictures.paths), size, size, 3)
        pixels = np.lib.format.open_memmap(part / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
        for position, (array, digest, problem) in enumerate(_decode_all(pictures, size, rule)):
            digests.append(digest)
            if array is None:
                broken[position] = problem
            else:
                pixels[position] = array
            progress(f"decoding pictures at {size} px", position + 1, len(pictures.paths))
        pixels.flush()
        del pixels
        (part / "index.json").write_text(json.dumps({"digests": digests, "broken": broken}))
        _publish(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _decode_all(pictures: PictureSet, size: int, rule: ResizeRule) -> Iterator[tuple[np.ndarray | None, str, str]]:
    """Yield (pixels, content digest, problem) of each picture in order, a chunk in memory at a time."""

    def decode_one(path: Path) -> tuple[np.ndarray | None, str, str]:
        try:
            content = path.read_bytes()
            return load_pixels(content, size, rule), hashlib.blake2b(content, digest_size=16).hexdigest(), ""
        except PictureError as error:
            return None, "", str(error)
        except OSError as error:
            return None, "", f"it can't be read ({error.strerror or error})"

    paths = [pictures.path(position) for position in range(len(pictures.paths))]
    with bombs_refused(), ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), _CHUNK):
            yield from pool.map(decode_one, paths[start : start + _CHUNK])


def _publish(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        # Another process was faster: its result is as good.
        if not (folder / "index.json").exists():
            raise
