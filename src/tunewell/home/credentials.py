"""The credential of an attempt: what its program proves itself by where it reports over the network.

It is derived from the home's secret and the attempt's random identity, so nothing is stored. Good for that attempt
alone, it is good for nothing more once that has ended; see `tunewell.service.credentials`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from tunewell.home.home import Home
from tunewell.spec.launch import AttemptKey

#: What every credential of an attempt begins with.
PREFIX: Final = "twa_"


def derive(home: Home, key: AttemptKey, identity: str) -> str:
    """Return the credential of an attempt with this identity: `twa_MAC.ATTEMPT.TRIAL.EXPERIMENT`."""
    about = f"{key.attempt}.{key.trial}.{key.experiment}"
    code = hmac.new(home.secret, f"attempt\0{about}\0{identity}".encode(), hashlib.sha256).digest()
    return f"{PREFIX}{base64.urlsafe_b64encode(code).decode().rstrip('=')}.{about}"
