"""What keeps a service in order: backups, and what is removed when nobody needs it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewell.spec.late import late_modules

if TYPE_CHECKING:
    from tunewell.service.upkeep import (
        backup,
        disk,
    )

__all__ = [
    "backup",
    "disk",
]
__getattr__ = late_modules(__name__)
