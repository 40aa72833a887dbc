"""Whose credential it is: an attempt's, or nobody's."""

from __future__ import annotations

import hmac
import re

from tunewell.home.credentials import PREFIX, derive
from tunewell.home.home import Home
from tunewell.spec.errors import NotFoundError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.names import is_name
from tunewell.spec.states import TrialState
from tunewell.store.store import Store

_SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9_\-]{{43}}\.(?P<attempt>[0-9]{{1,9}})\.(?P<trial>[0-9]{{1,9}})\.(?P<name>.+)")


def issue(store: Store, home: Home, key: AttemptKey) -> str:
    """Return the credential of the attempt at a trial that runs.

    Raises:
        NotFoundError: it does not run.
    """
    identity = _running(store, key)
    if identity is None:
        raise NotFoundError(f"Attempt {key.attempt} at trial {key.trial} of '{key.experiment}' does not run.")
    return derive(home, key, identity)


def verify(store: Store, home: Home, credential: str) -> AttemptKey | None:
    """Return the attempt whose credential it is, which may have ended; None: nobody's."""
    found = _SHAPE.fullmatch(credential)
    if found is None or not is_name(found["name"]):
        return None
    key = AttemptKey(found["name"], int(found["trial"]), int(found["attempt"]))
    identity = _running(store, key) or _ended(store, key)
    if identity is None or not hmac.compare_digest(derive(home, key, identity).encode(), credential.encode()):
        return None
    return key


def _ended(store: Store, key: AttemptKey) -> str | None:
    """Return the identity of an attempt that is on record, and of an experiment that is there."""
    access = store.find_access(key.experiment)
    if access is None or access.deleted_at is not None:
        return None
    try:
        attempts = store.attempts(key.experiment, key.trial)
    except NotFoundError:
        return None
    return next((one.identity for one in attempts if one.attempt == key.attempt), None)


def _running(store: Store, key: AttemptKey) -> str | None:
    """Return the identity of an attempt if it is the one that runs."""
    access = store.find_access(key.experiment)
    if access is None or access.deleted_at is not None:
        return None
    try:
        row = store.trial(key.experiment, key.trial)
    except NotFoundError:
        return None
    return row.identity if row.state is TrialState.RUNNING and row.attempt == key.attempt else None
