"""The verbs that keep a service in order, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunewell.client.requests import Asking
from tunewell.service import types


class UpkeepClient(Asking):
    """See `UpkeepVerbs`."""

    def backup(self) -> Iterator[bytes]:
        return self._parts("/backup")

    def disk(self) -> types.Disk:
        return self._get(types.Disk, "/disk")

    def change_disk(self, changes: Mapping[str, Any], *, key: str | None = None) -> types.Disk:
        return self._command(types.Disk, "PATCH", "/disk", dict(changes), key=key)

    def garbage(self) -> types.Garbage:
        return self._get(types.Garbage, "/garbage")

    def collect_garbage(self, *, key: str | None = None) -> types.Collection:
        return self._command(types.Collection, "POST", "/garbage/collect", key=key)
