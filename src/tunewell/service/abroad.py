"""What callers who are not on the machine of the service are told: nothing of where its home is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, cast

from tunewell.home.home import Home
from tunewell.service.types import Wire
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import UserError


class Abroad:
    """Verbs whose answers and errors name what lies in the home as from there, and data sets by their names.

    Only the content of files that users' programs have written is given as it is.
    """

    def __init__(self, verbs: Verbs, home: Home, name_of: Callable[[str], str | None]) -> None:
        """Ask the verbs of one caller, on one home; see `abroad`."""
        self._verbs, self._folders, self._name_of = verbs, home.folders, name_of

    def __getattr__(self, name: str) -> Any:
        verb: Callable[..., Any] = getattr(self._verbs, name)

        @wraps(verb)
        def asked(*arguments: Any, **named: Any) -> Any:
            try:
                answer = verb(*arguments, **named)
            except UserError as error:
                for part in {error, *error.parts}:
                    part.what, part.field = self._told(part.what), self._told(part.field)
                    part.value, part.remedy = self._told(part.value), self._told(part.remedy)
                    part.facts = self._told(part.facts)
                raise
            if isinstance(answer, Wire) and not self._may_tell(answer):
                return answer
            return map(self._told, answer) if isinstance(answer, Iterator) else self._told(answer)

        return asked

    def _may_tell(self, answer: Wire) -> bool:
        """Whether an answer may tell where the home is: to look through its JSON takes a tenth of the time."""
        try:
            written = answer.model_dump_json()
        except ValueError:  # a text that is no Unicode
            return True
        return any(written_alike(folder) in written for folder in self._folders)

    def _told(self, value: Any) -> Any:
        if type(value) is str:  # and no state
            return hidden_in(value, self._folders, self._name_of)
        if isinstance(value, Wire):
            known = {name: getattr(value, name) for name in type(value).model_fields}
            told = {name: self._told(one) for name, one in known.items()}
            changed = {name: one for name, one in told.items() if one is not known[name]}
            return value.model_copy(update=changed) if changed else value
        if isinstance(value, Mapping):
            return {name: self._told(one) for name, one in value.items()}
        if isinstance(value, tuple):
            return tuple(map(self._told, value))
        return list(map(self._told, value)) if isinstance(value, list) else value


def written_alike(folder: str) -> str:
    """Return the longest part of a path that stands in JSON as it is."""
    return max(re.split(r'["\\\x00-\x1f\x7f]', folder), key=len)


def hidden_in(text: str, folders: Sequence[str], name_of: Callable[[str], str | None]) -> str:
    """Return a text in which what lies in a folder is named as from there: where the folder is can't be read.

    What lies in a data set is named as from that; for `name_of` see `abroad`.
    """
    for folder in folders:
        if folder in text:
            stored = re.compile(rf"{re.escape(folder)}/datasets/([0-9a-f]{{64}})\b")
            text = stored.sub(lambda found: name_of(found[1]) or found[0], text)
            text = text.replace(f"{folder}/", "").replace(folder, ".")
    return text


def abroad(verbs: Verbs, home: Home, name_of: Callable[[str], str | None]) -> Verbs:
    """Return verbs as they are told to whoever is not on the machine.

    Args:
        verbs: those of the caller.
        home: theirs.
        name_of: SHA-256 of a content → what the caller calls a data set of it; None: there is none for these eyes.
    """
    return cast(Verbs, Abroad(verbs, home, name_of))
