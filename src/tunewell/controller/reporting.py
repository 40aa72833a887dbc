"""What the program of a trial needs to report over the network, as from a container that shares no folder with us."""

from __future__ import annotations

from collections.abc import Mapping

from tunewell.home.credentials import derive
from tunewell.home.home import Home
from tunewell.spec.launch import AttemptKey
from tunewell.spec.names import in_address
from tunewell.spec.secrets import REPORT_TOKEN, REPORT_URL


def reporting(home: Home, api: str, key: AttemptKey, identity: str) -> Mapping[str, str]:
    """Return the environment variables of an attempt that say where it reports, and with what it proves itself.

    `api` is the address that those of the service's API begin with.
    """
    place = f"{api}/experiments/{in_address(key.experiment)}/trials/{key.trial}/reports"
    return {REPORT_URL: place, REPORT_TOKEN: derive(home, key, identity)}
