"""What a spec's `environment` holds is nobody else's business: its names may be shown, its values may not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

#: The field of a spec whose values are secret.
FIELD = "environment"
#: Shorter values (`1`, `true`, `cuda`) are no secrets, and are all over any text.
_LEAST_LENGTH = 6
_HIDDEN = "[not shown]"
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*(?=@)")


def is_secret(field: str) -> bool:
    """Whether a field, as a dotted path, holds values that are not to be shown."""
    return field == FIELD or field.startswith(f"{FIELD}.")


def without_values(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded spec, fit for other people's eyes: of the environment, only the names are left."""
    names = ", ".join(spec.get(FIELD) or ())
    return {**spec, FIELD: f"{names} (values are not shown)"} if names else dict(spec)


def hide_values(text: str, values: Iterable[str]) -> str:
    """Return a text, such as a program's last words, in which none of the values can be read."""
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _LEAST_LENGTH:
            text = text.replace(value, _HIDDEN)
    return text


def without_password(url: str) -> str:
    """Return a URL for people: with `***` for its password."""
    return _PASSWORD.sub(r"\1:***", url)
