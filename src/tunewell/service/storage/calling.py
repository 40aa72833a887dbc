"""Words about what lies in a data set, in which its folder in the home is called by the data set's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from tunewell.home.home import Home
from tunewell.spec.errors import UserError


class Called:
    """Calls a data set that lies in the home by its name, instead of by its place, which nobody knows."""

    def __init__(self, home: Home, sha256: str, name: str) -> None:
        """Take the content, and what people call it."""
        places = (home.datasets / sha256, Path(home.real_path) / home.datasets.name / sha256)
        self._folders, self._name = {str(place) for place in places}, name

    def named(self, text: str) -> str:
        """Return a text that names the data set."""
        for folder in self._folders:
            text = text.replace(folder, self._name)
        return text

    @contextmanager
    def in_errors(self) -> Iterator[None]:
        """Have errors raised inside name the data set."""
        try:
            yield
        except UserError as error:
            for part in {error, *error.parts}:
                part.what, part.field, part.remedy = map(self.named, (part.what, part.field, part.remedy))
                if isinstance(part.value, str):
                    part.value = self.named(part.value)
            raise


def called_in(home: Home, dataset: str | None) -> Called | None:
    """Return what calls the data set that a spec notes as `NAME@SHA256` by its name; None: it notes none."""
    name, _, sha256 = (dataset or "").partition("@")
    return Called(home, sha256, name) if name else None


def named_in(home: Home, dataset: str | None, text: str) -> str:
    """Return a text that calls the data set that a spec notes, if any, by its name."""
    called = called_in(home, dataset)
    return called.named(text) if called is not None else text


def errors_call(home: Home, dataset: str | None) -> AbstractContextManager[None]:
    """Have errors raised inside call the data set that a spec notes, if any, by its name."""
    called = called_in(home, dataset)
    return called.in_errors() if called is not None else nullcontext()
