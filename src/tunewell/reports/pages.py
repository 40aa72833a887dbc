"""Where the HTML pages come from."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


class Inline(Markup):
    """A script or a style sheet within a page."""

    @property
    def policy(self) -> Markup:
        """What lets it and no other through in a content security policy."""
        return Markup(f"'sha256-{base64.b64encode(hashlib.sha256(self.encode()).digest()).decode()}'")


def templates() -> Environment:
    """Return the templates: what they are given is escaped, and what they lack is an error."""
    return Environment(
        loader=PackageLoader("tunewell.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source(name: str) -> str:
    """Return the text of a file beside the templates."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
