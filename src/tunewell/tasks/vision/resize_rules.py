"""How pictures of all shapes become inputs of one size; `pictures` follows these rules."""

from __future__ import annotations

from typing import Literal

#: Names of what `pictures.load_pixels` does; part of cache keys and of saved models.
ResizeRule = Literal["squash-bicubic-1", "letterbox-bicubic-2"]
SQUASH: ResizeRule = "squash-bicubic-1"
LETTERBOX: ResizeRule = "letterbox-bicubic-2"
