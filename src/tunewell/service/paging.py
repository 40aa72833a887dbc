"""Walking through lists page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from tunewell.service.types import Page

Item = TypeVar("Item")


def every(ask: Callable[[str | None], Page[Item]]) -> Iterator[Item]:
    """Yield the items of all pages; `ask` returns the page at a cursor, the first one for None."""
    page = ask(None)
    yield from page.items
    while page.next is not None:
        page = ask(page.next)
        yield from page.items
