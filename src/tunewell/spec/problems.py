"""Gathering all that is wrong with a spec, so that its author learns it at once.

An error that may be no more than the consequence of another is not told: whoever writes `max_trils` for a field that
must be there need not hear that it is missing. So fields that are wrong are remembered, and those that a misspelt name
seems to mean as well, and what depends on them is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunewell.spec.errors import SpecErrors, UserError


class Problems:
    """The errors of one spec, in the order in which they were found."""

    def __init__(self) -> None:
        """Begin without any."""
        self._errors: list[UserError] = []
        self._wrong: set[str] = set()

    def add(self, error: UserError) -> None:
        """Keep an error, or all that it consists of; its field is wrong from now on."""
        for part in error.parts:
            self._errors.append(part)
            self.suspect(part.field)

    def suspect(self, *fields: str) -> None:
        """Remember fields as wrong, although the errors that say so, if any, have other names."""
        self._wrong.update(fields)

    def concern(self, *fields: str) -> bool:
        """Whether one of these fields (dotted paths), or a part of one, is wrong."""
        return any(wrong == field or wrong.startswith(f"{field}.") for wrong in self._wrong for field in fields)

    @contextmanager
    def gathering(self, *needs: str) -> Iterator[None]:
        """Keep the error that is raised inside, unless one of the fields that it depends on is wrong already."""
        try:
            yield
        except UserError as error:
            if not self.concern(*needs):
                self.add(error)

    def raise_any(self, of: str = "The spec") -> None:
        """Raise the errors, if there are any: a single one as it is, several as `SpecErrors` of something."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise SpecErrors(self._errors, of)
