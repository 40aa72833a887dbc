"""What the verbs of one caller work with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell import service
from tunewell.home.cluster import has_cluster
from tunewell.home.home import Home
from tunewell.service.gate import Gate
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.rights import Rights
from tunewell.service.shared import Shared
from tunewell.service.storage.place import Place
from tunewell.service.types import Caller
from tunewell.service.upkeep.usage import Usage
from tunewell.serving.contract import Asks
from tunewell.spec.errors import SpecError
from tunewell.spec.rules import RAY
from tunewell.store.store import Store


class Part:
    """The base of all parts of `Service`, which fills in what is named here."""

    store: Store
    home: Home
    caller: Caller
    #: What finds out who a caller from elsewhere is.
    gate: Gate
    #: The trials of experiments as columns, and charts drawn from them, which all callers share.
    shared: Shared
    #: Who asks published models: each call by itself, or the server that keeps them loaded.
    asks: Asks
    #: What takes up how much of the home, which all callers share, too.
    disk_usage: Usage
    #: Whether callers who may run code may send Python functions.
    allows_functions: bool
    #: By what notifications are sent.
    outgoing: Outgoing
    #: Whether this process, or the service that it is one of, has a Ray cluster.
    uses_cluster: bool

    @property
    def _rights(self) -> Rights:
        return Rights(self.store, self.caller)

    @property
    def _place(self) -> Place:
        return Place(self.store, self.home, self._rights)

    def _submitted(self, spec: Mapping[str, Any], calls_here: bool = False) -> dict[str, Any]:
        """Return a spec that the caller may submit, with everything that it names in full; see `Rights.created`.

        `calls_here`: its trials are calls of a function that this process has, unless it says otherwise.
        """
        place = self._place
        submitted = place.rights.created(spec)
        _check_function(submitted, self.allows_functions)
        if not calls_here:
            submitted = self._with_scheduler(submitted)
        if self._has_cluster and submitted.get("scheduler") == RAY:
            service.cluster.await_cluster(self.home)
        return service.storage.resolving.resolved(place, submitted)

    @property
    def _has_cluster(self) -> bool:
        """Whether searches that say nothing else run on a cluster: this process's, or that of the home's service."""
        return self.uses_cluster or (self.home.is_served and has_cluster(self.home.folder))

    def _with_scheduler(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return a spec that says where its trials run: a new search on the cluster, if there is one."""
        if spec.get("scheduler") is not None or spec.get("function") or not self._has_cluster:
            return spec
        known = self.store.find_experiment(str(spec.get("name")))
        return {**spec, "scheduler": RAY if known is None else known.spec.get("scheduler")}

    def _with_program(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return a spec whose command finds its folder on other machines, if that is where its trials run."""
        return service.storage.own_programs.with_program(self._place, spec) if spec.get("scheduler") == RAY else spec


def _check_function(spec: Mapping[str, Any], allowed: bool) -> None:
    """Raise `SpecError` for a Python function that was not sent, or that this service does not take."""
    if spec.get("function") and spec.get("code") is None:
        remedy = "Give the `command` that trains, or call tunewell.search in a program"
        raise SpecError("function", "a spec can't name a Python function", remedy)
    if spec.get("function") and not allowed:
        remedy = "Give the `command` that trains, or ask whoever runs the service to allow functions"
        raise SpecError("function", "this service takes no Python functions", remedy, kind="functions-not-allowed")
