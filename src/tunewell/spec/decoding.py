"""From the bytes of a text file to its text, whatever program has written it."""

from __future__ import annotations

import codecs
from typing import NamedTuple

#: Mark at the beginning → encoding. That of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: Bytes by which UTF-16 without a mark is known.
_HEAD = 1000


class Decoded(NamedTuple):
    """A text, and how it was found."""

    text: str
    #: Whether nothing told the encoding and it is no UTF-8: then it was read as Windows-1252.
    guessed: bool


def decode(content: bytes, declared: str = "") -> Decoded:
    """Return the text of a file.

    Its byte order mark decides, or else zeros between the letters, the encoding that it declares if that is one and
    fits, UTF-8 if it fits, and at last Windows-1252, or Latin-1 for bytes that this lacks.

    Raises:
        UnicodeDecodeError: the file is not in the encoding that its mark, or the zeros, tell of.
    """
    told = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "") or _by_zeros(content)
    if told:
        return Decoded(content.decode(told), False)
    # Without zeros it is no UTF-16, whatever it declares; some writers say so of the text that they wrote in memory.
    for encoding in ("" if declared.lower().startswith(("utf-16", "utf16")) else declared, "utf-8"):
        try:
            return Decoded(content.decode(encoding), False)
        except (LookupError, ValueError):
            continue
    return Decoded("".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in content), True)


def _by_zeros(content: bytes) -> str:
    """Return which UTF-16 it is where every other byte is mostly zero; empty if it is none."""
    head = content[:_HEAD]
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    return "utf-16-be" if head[::2].count(0) > len(head) // 4 else ""
