"""What a program has printed as plain text, as a terminal would leave it; `log.js` does the same with colours."""

from __future__ import annotations

import re

#: Escape sequences: CSI, OSC up to its end, and those of two or three characters.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(data: bytes) -> str:
    """Return the text of output: without colours, and of what was written over, what came last."""
    lines = _ESCAPES.sub("", data.decode("utf-8", "replace")).split("\n")
    return "\n".join(_CONTROLS.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)
