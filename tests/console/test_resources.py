"""The page about machines, the queue and what was used."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from tests.console import looks
from tests.console.markup import Document, parse
from tests.console.serving import SENDS, browser
from tunewell.home.cluster import Cluster, write_cluster
from tunewell.schedulers import hardware
from tunewell.schedulers.claims import Claim
from tunewell.service import machines
from tunewell.service.service import Service
from tunewell.spec.capacity import Capacity, Gpu
from tunewell.spec.launch import AttemptKey

GPUS = tuple(Gpu(str(number), "NVIDIA H100", 80 << 30, f"GPU-{number}") for number in range(2))
WAITING = 120


def page(one: TestClient, address: str = "/resources") -> Document:
    """Return the page."""
    answer = one.get(address)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


@pytest.fixture
def crowded(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A home in which a trial of ada's, that she keeps private, has a GPU, and many searches wait."""
    ada = service.as_caller(looks.ADA)
    ada.create(looks.spec("hidden", visibility="private"))
    key = AttemptKey("ada/hidden", 1, 1)
    looks.begin(service, "ada/hidden")
    with service.store.transaction() as tx:
        tx.set_resources("ada/hidden", {"cpus": 2, "gpus": 1, "memory_bytes": 1 << 30})
        tx.add_trial("ada/hidden", 1, {"learning_rate": 1e-3, "layers": 2, "optimizer": "sgd"}, "random", 1.0, None)
        tx.start_attempt(key, host=socket.gethostname())
    for number in range(WAITING - 1):  # the one that nobody runs waits, too
        (service if number else ada).create(looks.spec(f"waiting-{number:03}"))
    claims = [Claim(service.home.place(key), 2.0, 1 << 30, ("GPU-1",))]
    monkeypatch.setattr(hardware, "machine", lambda: Capacity((hardware.empty_node(8, 64 << 30, GPUS),)))
    monkeypatch.setattr(machines, "Claims", lambda path: type("Held", (), {"held": lambda self: claims})())
    yield service


def test_an_empty_home(anybody: TestClient, administrator: TestClient) -> None:
    """Nothing runs, nothing waits, and it says what would stand there."""
    text = page(administrator).text
    for words in ("nothing runs", "nothing waits", "What has something to start and finds no room stands here"):
        assert words in text
    assert page(anybody)


def test_who_uses_what(crowded: Service) -> None:
    """Each GPU says what has it; what others keep private is another user's, and has no name anywhere."""
    document = page(browser(crowded, "ada"))
    assert "6 of 8 free" in document.text
    assert "63 GiB of 64 GiB not reserved" in document.text
    slots = [" ".join(one.text.split()) for one in document.all("li") if "NVIDIA H100" in one.text]
    assert slots == ["0 NVIDIA H10080 GiBfree", "1 NVIDIA H10080 GiBada/hidden trial 1 of ada"]
    assert "/experiments/ada~hidden/trials/1" in document.addresses
    seen = page(browser(crowded, "ben"))
    assert "hidden" not in seen.text and not any("hidden" in one for one in seen.addresses)
    assert "another user's" in seen.text


def test_nodes_of_a_cluster(crowded: Service) -> None:
    """A node shows what a spec can ask of it, and how much of its GPUs is free; which of them, nobody knows."""
    node = replace(
        hardware.empty_node(8, 64 << 30, GPUS),
        name="58b7a01e",
        called="gpu-1, node 58b7",
        free_gpus=("0",),
        free_gpu_parts=(0.5,),
        labels=(("ray.io/node-id", "58b7a01e"), ("zone", "a")),
        custom=(("licence", 2.0),),
        free_custom=(("licence", 1.0),),
    )
    write_cluster(crowded.home.folder, Cluster("head:6379", Capacity((node,))))
    document = page(browser(crowded))
    told = [" ".join(one.text.split()) for one in document.all("dl")]
    assert told == ["GPUs1.5 of 2 free (2 NVIDIA H100, 80 GiB each)licence1 of 2 freeLabelszone: a"]
    assert "can't be used" not in document.text
    away = Cluster("head:6379", Capacity(()), 1772373600.0, "nothing answers there (Connection refused)")
    write_cluster(crowded.home.folder, away)
    text = page(browser(crowded)).text
    assert "The Ray cluster at head:6379 can't be used: nothing answers there (Connection refused). Noticed" in text


def test_the_queue_comes_in_pages(crowded: Service) -> None:
    """Fifty a page, in the order of the turns, each with its reason."""
    one = browser(crowded)
    first = page(one)
    assert f"{WAITING} entries" in first.text
    assert "page 1 of 3" in first.text
    assert "?page=2" in first.addresses
    pages = [page(one, f"/resources?page={number}") for number in (1, 2, 3)]
    shown = [{row.attributes["id"] for row in some.all("tr") if "id" in row.attributes} for some in pages]
    assert [len(some) for some in shown] == [50, 50, 20]
    assert len(set.union(*shown)) == WAITING
    assert "This page of the queue is empty." in page(one, "/resources?page=4").text
    assert one.get("/resources?page=0").status_code == 422


def test_who_may_changes_a_weight(crowded: Service) -> None:
    """Of their own searches, administrators of all; the queue shows the new one. Others see it."""
    ada, vic = browser(crowded, "ada"), browser(crowded, "vic")
    pages = [page(ada, f"/resources?page={number}") for number in (1, 2, 3)]
    forms = {one.attributes["action"] for some in pages for one in some.all("form")}
    assert "/experiments/ada~waiting-000/change" in forms
    assert "/experiments/owner~waiting-001/change" not in forms
    assert not [one for one in page(vic).all("form") if one.attributes["action"].endswith("/change")]
    assert ada.post("/experiments/ada~waiting-000/change", data={"weight": "2.5"}, headers=SENDS).status_code == 303
    assert crowded.as_caller(looks.ADA).experiment("waiting-000").weight == 2.5


def test_what_was_used(crowded: Service) -> None:
    """Everybody's for administrators, one's own for others; against the quota, month by month."""
    crowded.change_user("ada", {"quota": {"cpus": 1, "gpu_hours": 10}})
    everybody = page(browser(crowded))
    assert {"ada", "ben", "owner", "vic"} <= {one.text for one in everybody.all("th", scope="row")}
    own = page(browser(crowded, "ada"))
    assert [one.text for one in own.all("th", scope="row")] == ["ada"]
    assert "What you use" in own.text
    assert any("over" in one.attributes.get("class", "") and one.text.startswith("2 of 1") for one in own.all("td"))
    before = page(browser(crowded, "ada"), "/resources?month=2026-03")
    assert "?month=2026-02" in before.addresses and "?month=2026-04" in before.addresses
    assert "running now" not in before.text
    assert browser(crowded).get("/resources?month=never").status_code == 422
