"""What is nobody else's business: the values of a spec's `environment`, whose names may be shown, passwords, tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

#: The field of a spec whose values are secret.
FIELD = "environment"
#: Shorter values (`1`, `true`, `cuda`) are no secrets, and are all over any text.
_LEAST_LENGTH = 6
_HIDDEN = "[not shown]"
#: Environment variables of an attempt: where it reports over the network, and with what it proves itself there.
REPORT_URL, REPORT_TOKEN = "TUNEWELL_REPORT_URL", "TUNEWELL_REPORT_TOKEN"
#: Environment variables that no trial gets from those of the service's processes.
PRIVATE_VARIABLES = (
    *("TUNEWELL_DATABASE", "TUNEWELL_TOKEN", "TUNEWELL_SMTP_PASSWORD", "PGPASSWORD", "PROMETHEUS_MULTIPROC_DIR"),
    *(REPORT_URL, REPORT_TOKEN),
)
#: A password may hold anything that somebody forgot to escape, so it goes up to the last `@`.
_PASSWORD = re.compile(r"(?<=://)([^/@:?]*):(.*)(?=@)", re.DOTALL)
#: Options of a database URL that are known to hold no secret.
_PLAIN_OPTIONS = re.compile(
    "(host|hostaddr|port|user|dbname|service|ssl(mode|rootcert|cert|key)|passfile|connect_timeout|application_name"
    "|target_session_attrs|charset)(=|$)"
)

#: What users and attempts prove themselves by begins so; see `tunewell.service.proofs`.
_TOKEN = re.compile(r"\btw[a-z]?_[A-Za-z0-9_\-]{43}")


def is_token(text: str) -> bool:
    """Whether a text is what somebody proves themselves by, and nothing else."""
    return _TOKEN.fullmatch(text) is not None


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


def hide_tokens(text: str) -> str:
    """Return a text in which nothing can be read that somebody proves themselves by."""
    return _TOKEN.sub(_HIDDEN, text)


def without_private(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a trial may have, of this process's."""
    return {name: value for name, value in environment.items() if name not in PRIVATE_VARIABLES}


def without_password(url: str) -> str:
    """Return a URL for people: with `***` for its password, and without options that may be secret."""
    if _is_file(url):
        return url
    base, options = _split(_PASSWORD.sub(r"\1:***", url))
    shown = "&".join(option for option in options if _PLAIN_OPTIONS.match(option))
    return f"{base}?{shown}" if shown else base


def passwords(url: str) -> tuple[str, ...]:
    """Return what of a URL nobody is to see: the password and options that may be secret; none if there are none."""
    if _is_file(url):
        return ()
    found = _PASSWORD.search(url)
    _, options = _split(_PASSWORD.sub("", url))
    secret = [option.partition("=")[2] for option in options if not _PLAIN_OPTIONS.match(option)]
    written = [*([found[2]] if found else []), *secret]
    return tuple(text for part in written for text in {part, unquote(part), unquote_plus(part)} if text)


def _split(url: str) -> tuple[str, list[str]]:
    base, _, query = url.partition("?")
    return base, query.split("&") if query else []


def _is_file(url: str) -> bool:
    """Whether a URL is that of a file: what looks like a password is part of its name."""
    return url.startswith("sqlite:") or "://" not in url
