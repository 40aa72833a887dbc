"""What the cluster of a controller has, and whether it can be used, is put on record and logged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tunewell.home.cluster import Cluster, has_cluster, last_cluster, write_cluster
from tunewell.schedulers.apart import SchedulerApart
from tunewell.spec.capacity import Capacity, with_nothing_free
from tunewell.spec.names import cluster_called

log = logging.getLogger(__name__)


class ClusterWatch:
    """Keeps the record of a cluster in a home, for those who check and show."""

    def __init__(self, home: Path, cluster: SchedulerApart, clock: Callable[[], float]) -> None:
        """Put nothing on record yet.

        Args:
            home: the home's folder.
            cluster: its scheduler.
            clock: gives seconds since the epoch.
        """
        self._home, self._cluster, self._clock = home, cluster, clock
        #: What is on record.
        self._known: Cluster | None = None

    def look(self) -> Capacity | None:
        """Put on record what has changed; return what there is then, or was before it went away; None: as before."""
        known = self._present()
        self._log(known.problem)
        # Another controller takes the record away at its end, or leaves one that counts for nothing if it is killed.
        if known == self._known and has_cluster(self._home):
            return None
        self._known = known
        with suppress(OSError):  # a full disk: it is written again with the next change
            write_cluster(self._home, known)
        return known.capacity

    def _present(self) -> Cluster:
        address, capacity = self._cluster.address, self._cluster.capacity()
        if capacity.nodes:
            return Cluster(address, capacity)
        before = self._known or last_cluster(self._home)
        if before is None or before.address != address:
            before = Cluster(address, capacity)
        # It is away: what it had is what searches are planned for.
        had = Capacity(tuple(map(with_nothing_free, before.capacity.nodes)))
        since = self._clock() if before.away_since is None else before.away_since
        return Cluster(address, had, since, self._cluster.problem)

    def _log(self, problem: str) -> None:
        before = self._known.problem if self._known is not None else ""
        if problem == before:
            return
        if problem:
            log.warning("%s can't be used: %s", cluster_called(self._cluster.address), problem)
        else:
            log.info("%s can be used again", cluster_called(self._cluster.address))
