"""The files in an attempt's folder, and how they are written.

Reports are JSON objects, one a line: `{"step": 3, "metrics": {"accuracy": 0.9}, "time": 1700000000.0}`. JSON has
no NaN and no infinities; they are written as the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = "parameters.json"
REPORTS = "reports.jsonl"
OUTPUT = "output.log"
CHECKPOINT = "checkpoint"
ARTIFACTS = "artifacts"
#: The trial's own word on why it failed: `{"cause": …, "detail": …}`.
FAILURE = "failure.json"
#: The controller's request to end: `{"grace_seconds": …}`.
STOP = "stop.json"


def append_report(
    folder: str | os.PathLike[str], step: int, metrics: Mapping[str, float], time: float, source: str | None = None
) -> int:
    """Append one report, in one write so that writers can't mix; return its length in bytes.

    Raises:
        OSError: it could not be written, or only in part (a full disk).
    """
    numbers = {name: value if math.isfinite(value) else _text(value) for name, value in metrics.items()}
    report: dict[str, Any] = {"step": step, "metrics": numbers, "time": time}
    if source is not None:
        report["source"] = source
    line = json.dumps(report, allow_nan=False).encode() + b"\n"
    descriptor = os.open(os.path.join(folder, REPORTS), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)  # noqa: PTH118
    try:
        written = os.write(descriptor, line)
    finally:
        os.close(descriptor)
    if written != len(line):
        raise OSError(f"the report was written in part only: is the disk full? ({folder})")
    return written


def write_json(path: Path, content: object, durable: bool = False) -> None:
    """Write JSON so that a reader sees all of it or nothing; `durable`: it outlives a power failure, too.

    Only the owner may read it: an environment can hold secrets.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        try:
            _write_all(descriptor, json.dumps(content, allow_nan=False).encode() + b"\n")
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if there is no such file or it holds anything else."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
