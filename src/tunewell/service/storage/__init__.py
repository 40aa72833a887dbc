"""What users bring: uploads, what is unpacked of them, data sets, and code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewell.spec.late import late_modules

if TYPE_CHECKING:
    from tunewell.service.storage import (
        allowed_folders,
        code,
        datasets,
        inputs,
        own_programs,
        resolving,
        tidying,
        uploads,
    )

__all__ = [
    "allowed_folders",
    "code",
    "datasets",
    "inputs",
    "own_programs",
    "resolving",
    "tidying",
    "uploads",
]
__getattr__ = late_modules(__name__)
