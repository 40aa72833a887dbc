"""The tables of verbs name what there is, and all of it."""

from __future__ import annotations

import re
from itertools import zip_longest

import pytest
from fastapi.routing import APIRoute

from tests.docs.pages import page
from tunewell.api.routes import ROUTERS
from tunewell.cli.app import COMMANDS
from tunewell.client import Client
from tunewell.service.model_verbs import ModelVerbs
from tunewell.service.notification_verbs import NotificationVerbs
from tunewell.service.storage_verbs import StorageVerbs
from tunewell.service.upkeep_verbs import UpkeepVerbs
from tunewell.service.verbs import Verbs
from tunewell.service.worker_verbs import WorkerVerbs

#: Verbs that have no request, as they name paths of the machine, or whose request another verb has.
NOT_OFFERED = {"import_study", "import_in_background", "version"}
#: Protocols of verbs that have a page of their own → that page.
PAGES_OF_VERBS = {ModelVerbs: "models.md", NotificationVerbs: "notifications.md", WorkerVerbs: "workers.md"}


def verbs_of(*protocols: type) -> set[str]:
    """Return the names of the verbs of protocols."""
    return {name for one in protocols for name in dir(one) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("page_name", "verbs"),
    [
        ("service.md", verbs_of(Verbs) - verbs_of(StorageVerbs, UpkeepVerbs, *PAGES_OF_VERBS) - NOT_OFFERED),
        *((page_name, verbs_of(protocol)) for protocol, page_name in PAGES_OF_VERBS.items()),
    ],
)
def test_the_tables_of_verbs(page_name: str, verbs: set[str]) -> None:
    """Each method, request and command that the table of a page names is there, and no verb is missing."""
    found = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    routes = {(route.name, f"{min(route.methods)} {route.path.replace(':path', '')}") for route in found}
    commands = set(COMMANDS)
    row = r"^\| (`[^|]*`) \| (`(?:GET|POST|PATCH|DELETE)[^|]*) \| ([^|]*) \|$"
    told = set()
    for methods, requests, command in re.findall(row, page(page_name), re.MULTILINE):
        names, asked = re.findall(r"`(\w+)[`(]", methods), re.findall(r"`([^`?]+)[^`]*`", requests)
        told.update(names)
        for verb, request in zip_longest(names, asked, fillvalue=asked[0]):
            assert hasattr(Client, verb)
            route = {"check": "create", "watch": "events"}.get(verb, verb)
            assert (f"{route}_in_bin" if "deleted" in methods else route, request) in routes
        for one in re.findall(r"`tunewell ([\w-]+)", command):
            assert one in commands
    assert verbs <= told
