"""The verbs that keep a service in order, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from tunewell.client.requests import Asking


class UpkeepClient(Asking):
    """See `UpkeepVerbs`."""

    def backup(self) -> Iterator[bytes]:
        return self._parts("/backup")
