"""What this service is, and how much it takes."""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

from tunewell.service.storage import limits
from tunewell.service.types import About


def about(database: Literal["sqlite", "postgresql"], takes_functions: bool) -> About:
    """Return the version of this service, the kind of its database, and its limits."""
    return About(
        version=version("tunewell"),
        database=database,
        takes_functions=takes_functions,
        upload_bytes=limits.LARGEST_UPLOAD,
        uploads=limits.MOST_UPLOADS,
        upload_seconds=limits.UPLOAD_SECONDS,
        bin_seconds=limits.BIN_SECONDS,
        dataset_bytes=limits.DATA.bytes,
        dataset_files=limits.DATA.entries,
        code_bytes=limits.CODE.bytes,
        code_files=limits.CODE.entries,
    )
