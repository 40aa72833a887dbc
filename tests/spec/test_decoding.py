"""Texts of other programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.decoding import Decoded, decode

#: Texts without zeros, and without a mark of their own.
TEXTS = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"], exclude_characters="\ufeff"))


@given(TEXTS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_what_was_written_is_read(text: str, encoding: str) -> None:
    """A mark tells the encoding; without one it is UTF-8."""
    assert decode(text.encode(encoding)) == Decoded(text, False)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_zeros_tell_of_utf_16(encoding: str) -> None:
    """Without a mark, zeros between the letters tell."""
    assert decode("größe;label".encode(encoding)) == Decoded("größe;label", False)


def test_what_nothing_tells_is_guessed() -> None:
    """What is no UTF-8 is read as Windows-1252, unless it declares something that fits."""
    assert decode("Größe – €".encode("cp1252")) == Decoded("Größe – €", True)
    assert decode(b"\x81") == Decoded("\x81", True)
    assert decode("Größe".encode("cp437"), "cp437") == Decoded("Größe", False)
    assert decode("Größe".encode(), "no such encoding") == Decoded("Größe", False)
    assert decode("Größe".encode(), "utf-16") == Decoded("Größe", False)


def test_a_mark_that_is_not_true() -> None:
    """A file that is not what its mark says is refused."""
    with pytest.raises(UnicodeDecodeError):
        decode(b"\xff\xfel")
