"""Decoded pictures on disk: each data set once per image size, memory-mapped by all trials.

::

    CACHE/pictures/KEY/pixels.npy      uint8 (N, S, S, 3), N = all pictures of the data set in their order
    CACHE/pictures/KEY/index.json      digest of each file's content; what is wrong with the broken ones; which have
                                       several frames; checksums
    CACHE/pictures.lock                held by the one process that decodes

KEY is a digest of names, sizes and modification times of the files, of S, of the resize rule and of what is black and
white. A folder appears by renaming, complete. One that is damaged is built again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.contract import OnProgress
from tunewell.tasks.vision.content import file_digest
from tunewell.tasks.vision.picture_set import PictureSet
from tunewell.tasks.vision.pictures import (
    PictureError,
    bombs_refused,
    has_several_frames,
    load_pixels,
)
from tunewell.tasks.vision.resize_rules import SQUASH, ResizeRule

_MAX_THREADS = 8
_CHUNK = 256
#: Begins the name of a folder that is being built.
_PART = ".part-"
#: Pictures whose checksums are compared before a cache is used. All of a large set would take minutes.
_COMPARED = 256


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded data set."""

    folder: Path
    #: Digest of each file's content; empty for a broken picture.
    digests: tuple[str, ...]
    #: Position of a broken picture → what is wrong with it. Its pixels are black.
    broken: Mapping[int, str]
    #: Positions of pictures with several frames or pages, the first of which is taken.
    several_frames: tuple[int, ...]


def load_cached_pixels(folder: Path) -> np.ndarray:
    """Return the memory map of a cache folder, uint8 (N, S, S, 3), read-only."""
    array: np.ndarray = np.load(folder / "pixels.npy", mmap_mode="r")
    return array


def decode(
    pictures: PictureSet, fingerprint: str, size: int, cache: Path, progress: OnProgress, rule: ResizeRule = SQUASH
) -> Decoded:
    """Return the pictures at `size` x `size` pixels, from the cache or into it.

    `fingerprint` is that of the pictures (`picture_set.fingerprint`).

    Raises:
        DataError: the cache can't be written, or the disk is too small.
    """
    ranges = json.dumps(pictures.value_ranges, sort_keys=True) if pictures.value_ranges else ""
    key = hashlib.blake2b(f"{fingerprint} {size} {rule}{ranges}".encode(), digest_size=16).hexdigest()
    folder = cache / "pictures" / key
    shape = (len(pictures.paths), size, size, 3)
    try:
        found = _read(folder, shape)
        if found is None:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder.parent, lambda: progress("waiting for a search that decodes pictures", 0, shape[0])):
                if _read(folder, shape) is None:  # nobody was faster
                    _check_space(folder.parent, math.prod(shape))
                    _build(pictures, size, rule, folder, progress)
            found = _read(folder, shape)
    except OSError as error:
        raise DataError(
            f"the cache can't be written ({error.strerror or error})",
            field=str(folder.parent),
            remedy="Choose another home",
            kind="cache-not-writable",
        ) from None
    if found is None:
        raise DataError("what was just written there reads differently", field=str(folder), remedy="Check the disk")
    return found


def digests_in(folder: Path) -> tuple[str, ...]:
    """Return the digest of each file's content that was decoded into `folder`; nothing where that is gone."""
    try:
        return tuple(json.loads((folder / "index.json").read_text())["digests"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def is_intact(folder: Path, pictures: PictureSet, size: int) -> bool:
    """Whether `folder` holds these pictures decoded at `size` x `size` pixels, complete and undamaged."""
    return _read(folder, (len(pictures.paths), size, size, 3)) is not None


def _read(folder: Path, shape: tuple[int, ...]) -> Decoded | None:
    """Return a complete folder of pixels of this shape; None if there is none, or one that is damaged."""
    try:
        index = json.loads((folder / "index.json").read_text())
        broken = {int(position): problem for position, problem in index["broken"].items()}
        pixels, digests, checksums = load_cached_pixels(folder), tuple(index["digests"]), index["checksums"]
        several_frames = tuple(index["several_frames"])
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError):
        return None
    if pixels.shape != shape or not len(digests) == len(checksums) == shape[0]:
        return None
    compared = np.linspace(0, shape[0] - 1, min(shape[0], _COMPARED)).astype(int).tolist()
    if any(zlib.crc32(pixels[position]) != checksums[position] for position in compared):
        return None
    return Decoded(folder, digests, broken, several_frames)


@contextmanager
def _alone(folder: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Call `wait` if another process decodes, and wait for it; remove what one that was killed has left in `folder`."""
    with folder.with_suffix(".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        for part in folder.glob(f"{_PART}*"):
            shutil.rmtree(part, ignore_errors=True)
        yield


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > 0.95 * free:
        raise DataError(
            f"the decoded pictures need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            field=str(folder),
            remedy="Make room, choose another home, or search fewer and smaller values of `image_size`",
            kind="cache-too-small",
        )


def _build(pictures: PictureSet, size: int, rule: ResizeRule, folder: Path, progress: OnProgress) -> None:
    digests, checksums, several_frames, broken = [], [], [], {}
    part = Path(tempfile.mkdtemp(prefix=_PART, dir=folder.parent))
    try:
        shape = (len(pictures.paths), size, size, 3)
        pixels = np.lib.format.open_memmap(part / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
        for position, item in enumerate(_decode_all(pictures, size, rule)):
            digests.append(item.digest)
            if item.pixels is None:
                broken[position] = item.problem
            else:
                pixels[position] = item.pixels
            if item.several_frames:
                several_frames.append(position)
            checksums.append(zlib.crc32(pixels[position]))
            progress(f"decoding pictures at {size} px", position + 1, len(pictures.paths))
        pixels.flush()
        del pixels
        index = {"digests": digests, "checksums": checksums, "broken": broken, "several_frames": several_frames}
        (part / "index.json").write_text(json.dumps(index))
        if folder.exists():  # damaged; whoever has mapped it keeps what he has
            folder.rename(part.with_name(f"{part.name}-damaged"))
        part.rename(folder)
    finally:
        for rest in folder.parent.glob(f"{part.name}*"):
            shutil.rmtree(rest, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Item:
    """One decoded picture."""

    #: None if it is broken.
    pixels: np.ndarray | None
    digest: str = ""
    problem: str = ""
    several_frames: bool = False


def _decode_all(pictures: PictureSet, size: int, rule: ResizeRule) -> Iterator[_Item]:
    """Yield each picture in order, a chunk in memory at a time."""

    def decode_one(path: Path) -> _Item:
        try:
            content = path.read_bytes()
            pixels = load_pixels(content, size, rule, pictures.value_ranges)
            return _Item(pixels, file_digest(content), several_frames=has_several_frames(content))
        except PictureError as error:
            return _Item(None, problem=str(error))
        except OSError as error:
            return _Item(None, problem=f"it can't be read ({error.strerror or error})")

    paths = [pictures.path(position) for position in range(len(pictures.paths))]
    with bombs_refused(), ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), _CHUNK):
            yield from pool.map(decode_one, paths[start : start + _CHUNK])
