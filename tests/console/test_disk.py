"""The page about the disk: what it shows, what it does, and for whom."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.console.markup import parse
from tests.console.serving import browser
from tests.service.upkeep.test_garbage import searched
from tunewell.service.service import Service

ACTS = {"accept": "application/json"}
HERE = "/settings/disk"


def text_of(client: TestClient, address: str = HERE) -> str:
    """Return what a page says."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return parse(answer.text).text


def test_an_empty_service(administrator: TestClient) -> None:
    """It says that there is nothing to remove, and that nothing was."""
    told = text_of(administrator, f"{HERE}?plan=yes")
    assert "There are none." in told and "Nothing yet." in told and "Download a backup" in told
    assert "Look for them" in text_of(administrator)


def test_garbage_is_shown_and_removed(administrator: TestClient, service: Service) -> None:
    """What may go is told with its number, size and reason; a button removes it, which is told from then on."""
    searched(service)
    told = text_of(administrator, f"{HERE}?plan=yes")
    assert "checkpoints of ended trials" in told and "none of the five best" in told
    assert "as they go by themselves" in told
    answer = administrator.post(f"{HERE}/collect", headers=ACTS).json()
    assert "were removed." in answer["said"] and answer["then"] == HERE
    assert "4 × checkpoints of ended trials" in text_of(administrator)
    assert "There was nothing to remove." in administrator.post(f"{HERE}/collect", headers=ACTS).json()["said"]


def test_limits(administrator: TestClient, service: Service) -> None:
    """What is typed counts; what is no size is told at its field; an empty field says nothing."""
    administrator.post(HERE, data={"budget_bytes": "200G", "reserve_bytes": "10M"}, headers=ACTS)
    assert service.disk().budget_bytes == 200 << 30
    page = parse(administrator.get(HERE).text)
    values = {one.attributes["name"]: one.attributes["value"] for one in page.all("input") if "name" in one.attributes}
    assert values == {"budget_bytes": "200G", "reserve_bytes": "10M"}
    wrong = administrator.post(HERE, data={"budget_bytes": "a lot"}, headers=ACTS)
    assert wrong.status_code == 422 and wrong.json()["field"] == "budget_bytes"
    administrator.post(HERE, data={"budget_bytes": " ", "reserve_bytes": ""}, headers=ACTS)
    assert service.disk().budget_bytes is None and not service.disk().reserve_is_set
    service.change_disk({"reserve_bytes": service.disk().total_bytes})
    assert "It waits for room on the disk" in text_of(administrator)


def test_it_is_for_administrators(service: Service) -> None:
    """Nobody else sees it, is offered it, or does anything there."""
    for name in ("ada", "vic"):
        client = browser(service, name)
        assert client.get(HERE).status_code == 403
        assert client.post(f"{HERE}/collect", headers=ACTS).status_code == 403
        assert HERE not in client.get("/settings").text
    assert HERE in browser(service, "owner").get("/settings").text
