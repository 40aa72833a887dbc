"""How pages word things."""

from __future__ import annotations

from tunewell.console.words import coded


def test_code_in_a_sentence_is_shown_as_code() -> None:
    """Backticks are for texts without markup; whatever stands between them is not taken for markup, either."""
    assert coded("`tiles: 1` turns <them> off.") == "<code>tiles: 1</code> turns &lt;them&gt; off."
    assert coded("Write `<b>` and `a`") == "Write <code>&lt;b&gt;</code> and <code>a</code>"
    assert coded("A file called a`b") == "A file called a`b"
