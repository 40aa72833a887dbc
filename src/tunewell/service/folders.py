"""Folders and files of users that results are put into: checked before the work, replaced after it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from tunewell.spec.errors import ArgumentError

#: What a model folder holds; of one to hand over, all of it.
_MODEL_FILES = {"model.json", "weights.safetensors", "model.onnx", "README.md"}


def check_replaceable(target: Path) -> None:
    """Raise `ArgumentError` unless a model can be put at `target`: before hours of training, not after them.

    What is there goes, so it may be a model, or an empty folder, but must not hold anything else.
    """
    _complete_replacement(target)
    if target.exists() and not target.is_dir():
        raise ArgumentError("output", f"{target} is there, and is no model", "Name a new folder, or that of a model")
    held = sorted(path.name for path in target.iterdir()) if target.exists() else []
    if held and "model.json" not in held:
        raise ArgumentError("output", f"{target} is there, and is no model", "Name a new folder, or that of a model")
    others = [name for name in held if name not in _MODEL_FILES]
    if others:
        raise ArgumentError(
            "output", f"{target} holds more than a model ({others[0]})", "Name a new folder, or move it"
        )
    _check_folder(target.parent)


def check_predictions_file(output: Path) -> None:
    """Raise `ArgumentError` unless predictions can be written to `output`, as CSV or JSON by its name."""
    if output.suffix.lower() not in (".csv", ".json"):
        raise ArgumentError("output", f"'{output.name}' is neither CSV nor JSON", "End its name in .csv or .json")
    if output.is_dir():
        raise ArgumentError("output", f"{output} is a folder", "Name a file")
    _check_folder(output.absolute().parent)


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ArgumentError("output", f"{folder} can't be written ({error.strerror})", "Name another place") from None


def replace_folder(target: Path, source: Path) -> None:
    """Put the folder `source` in the place of `target`.

    A kill leaves `target` as it was, as it is to be, or absent for `_complete_replacement`, which repairs that.
    """
    _complete_replacement(target)
    arriving, leaving = _beside(target)
    for rest in (arriving, leaving):
        shutil.rmtree(rest, ignore_errors=True)
    shutil.copytree(source, arriving)
    if target.exists():
        target.rename(leaving)
    _arrive(arriving, target)
    shutil.rmtree(leaving, ignore_errors=True)


def _complete_replacement(target: Path) -> None:
    """Put the new folder in its place, if a kill came when the old one had left it."""
    arriving, leaving = _beside(target)
    if leaving.is_dir() and arriving.is_dir() and not target.exists():
        _arrive(arriving, target)


def _arrive(arriving: Path, target: Path) -> None:
    """Put the new folder in its place; whoever looks for the model at that moment may do so first."""
    with suppress(FileNotFoundError):
        arriving.rename(target)


def _beside(target: Path) -> tuple[Path, Path]:
    """Return where a folder lies before it gets to `target`, and after it has left."""
    return target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
