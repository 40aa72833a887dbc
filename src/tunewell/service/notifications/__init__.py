"""Notifications: where they may go, what they say, and how they get there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewell.spec.late import late_modules

if TYPE_CHECKING:
    from tunewell.service.notifications import (
        allowing,
        channels,
        told,
    )

__all__ = [
    "allowing",
    "channels",
    "told",
]
__getattr__ = late_modules(__name__)
