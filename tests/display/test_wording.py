"""Words that commands and pages share."""

from __future__ import annotations

from tunewell.display.wording import field_text


def test_checksums_are_short() -> None:
    """Nobody reads 64 letters: the first ones tell one content from another."""
    assert field_text("code", "9f" * 32) == "9f9f9f9f"
    assert field_text("data", "dataset:ada/signs@" + "ab" * 32) == "dataset:ada/signs@abababab"
    assert field_text("max_trials", 7) == "7"
