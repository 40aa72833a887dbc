"""What a page consists of, for tests: its elements with their attributes and texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

#: Attributes that hold addresses.
ADDRESSES = ("href", "src", "action", "formaction", "poster", "data-src")


@dataclass
class Element:
    """An element of a page, with the text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Document:
    """A page."""

    elements: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str, **attributes: str) -> Iterator[Element]:
        """Yield the elements of a kind that have these attributes; `data_x` is `data-x`."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        for one in self.elements:
            if one.tag == tag and wanted.items() <= one.attributes.items():
                yield one

    def one(self, tag: str, **attributes: str) -> Element:
        """Return the only element of its kind with these attributes."""
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def addresses(self) -> set[str]:
        """Where it leads to, and what it loads."""
        return {one.attributes[name] for one in self.elements for name in ADDRESSES if name in one.attributes}

    @property
    def stamps(self) -> dict[str, str]:
        """Its live parts → their checksums."""
        parts = [one.attributes for one in self.elements if "data-part" in one.attributes]
        return {attributes["data-part"]: attributes["data-stamp"] for attributes in parts}


class _Parser(HTMLParser):
    _VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.document = Document()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.document.elements.append(element)
        if tag not in self._VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self._VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.document.text += data
        for element in self._open:
            element.text += data


def parse(html: str) -> Document:
    """Return what some markup consists of."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.document
