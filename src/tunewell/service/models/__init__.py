"""Models that are published: what they come from, their versions, and asking them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewell.spec.late import late_modules

if TYPE_CHECKING:
    from tunewell.service.models import (
        asking,
        published,
        publishing,
    )

__all__ = [
    "asking",
    "published",
    "publishing",
]
__getattr__ = late_modules(__name__)
