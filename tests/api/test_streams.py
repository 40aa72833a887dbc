"""Server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.api.serving import CALLERS, QUICK, SPEC, add_trial, client_of, served
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import TrialState

EVENTS = "/experiments/e/events"
STREAM = {"Accept": "text/event-stream"}


class Sent(NamedTuple):
    """One event."""

    id: str | None
    kind: str
    data: Any


def read(answer: httpx2.Response) -> Iterator[Sent]:
    """Yield the events of a stream; one without data only has an id."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "data" in fields or "id" in fields:
            yield Sent(fields.get("id"), fields.get("event", ""), json.loads(fields.get("data", "null")))
        fields = {}


def report(service: Service, step: int) -> None:
    """Have trial 1 report."""
    with service.store.transaction() as tx:
        tx.add_reports(AttemptKey("e", 1, 1), [Report(step, {"accuracy": 0.5}, 5.0)])


def test_changes_come_as_they_happen(service: Service) -> None:
    """Each tells which experiment or job has changed, the first id where the stream began."""
    with served(service) as client, client.stream("GET", "/events", headers=STREAM) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read(answer)
        begin = next(events)
        assert (begin.id, begin.data) == (str(service.version()), None)
        service.pause("e")
        event = next(events)
        assert (event.kind, event.data["name"], event.id) == ("experiment", "e", str(service.version()))
        job = service.evaluate("e")
        event = next(events)
        assert (event.kind, event.data["id"]) == ("job", job.id)


def test_a_stream_goes_on_after_a_break(service: Service) -> None:
    """Who comes back with the last id gets what was missed, and nothing twice."""
    with served(service) as client:
        with client.stream("GET", "/events", headers=STREAM) as answer:
            last = next(read(answer)).id
        assert last is not None
        service.create({**SPEC, "name": "missed"})
        service.create({**SPEC, "name": "too"})
        with client.stream("GET", "/events", headers={**STREAM, "Last-Event-ID": last}) as answer:
            events = read(answer)
            assert next(events).id == last
            missed = [next(events), next(events)]
        assert [one.data["name"] for one in missed] == ["missed", "too"]
        last = missed[0].id
        with client.stream("GET", "/events", headers={**STREAM, "Last-Event-ID": str(last)}) as answer:
            events = read(answer)
            next(events)
            assert next(events).data["name"] == "too"


def test_changes_of_one_transaction_are_lost_together_or_not_at_all(service: Service) -> None:
    """Only the last event of a version moves the place at which a stream goes on."""
    service.create({**SPEC, "name": "other"})
    before = service.version()
    with service.store.transaction() as tx:
        tx.add_request("e", "pause")
        tx.add_request("other", "pause")
    with served(service) as client, client.stream("GET", f"/events?after={before}", headers=STREAM) as answer:
        events = read(answer)
        next(events)
        first, second = next(events), next(events)
    assert {first.data["name"], second.data["name"]} == {"e", "other"}
    assert first.data["version"] == second.data["version"]
    assert (first.id, second.id) == (None, str(service.version()))


def test_a_version_of_another_database(service: Service) -> None:
    """Whoever comes with one is told to begin again."""
    with served(service) as client, client.stream("GET", "/events?after=999999", headers=STREAM) as answer:
        events = read(answer)
        next(events)
        event = next(events)
    assert (event.kind, event.id) == ("begin-again", str(service.version()))


def test_what_may_not_be_seen_is_in_no_stream(service: Service) -> None:
    """Another's private experiment does not exist there, though something changed at that moment."""
    ada = service.as_caller(CALLERS["ada"])
    ada.create({**SPEC, "name": "hidden"})
    with service.store.transaction() as tx:
        tx.set_facts("ada/hidden", {"visibility": "private"})
    before = service.version()
    with (
        served(service) as client,
        client.stream("GET", f"/events?after={before}", headers={**STREAM, "As": "eve"}) as answer,
        client.stream("GET", f"/events?after={before}", headers={**STREAM, "As": "ada"}) as hers,
    ):
        events, her_events = read(answer), read(hers)
        next(events), next(her_events)
        ada.pause("hidden")
        assert next(her_events).data["name"] == "ada/hidden"
        service.pause("e")
        assert next(events).data["name"] == "e"
        assert client.get("/experiments/ada~hidden/events", headers={**STREAM, "As": "eve"}).status_code == 404


def test_what_happens_to_an_experiment(service: Service) -> None:
    """The audit trail comes from its beginning, then what happens; reports are told without a place of their own."""
    with served(service) as client:
        with client.stream("GET", EVENTS, headers=STREAM) as answer:
            events = read(answer)
            known = [next(events)]
            add_trial(service, 1, TrialState.RUNNING)
            while known[-1].kind != "changed":
                known.append(next(events))
            trail = service.events("e")
            assert [(one.id, one.kind, one.data["id"]) for one in known if one.id] == [
                (str(event.id), event.kind, event.id) for event in trail
            ]
            assert known[0].kind == "created"
            report(service, 1)
            event = next(events)
            assert (event.kind, event.id, event.data["name"]) == ("changed", None, "e")
        with client.stream("GET", EVENTS, headers={**STREAM, "Last-Event-ID": str(trail[0].id)}) as answer:
            assert next(read(answer)).data["id"] == trail[1].id
        with client.stream("GET", EVENTS, params={"trial": 1}, headers=STREAM) as answer:
            events = read(answer)
            assert [next(events).kind, next(events).kind] == ["suggested", "started"]
        assert client.get(EVENTS, params={"trial": 7}, headers=STREAM).status_code == 404


def test_many_streams_ask_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has changed is asked for once for all streams of a caller."""
    asked: list[int] = []
    changes = Service.changes

    def counted(verbs: Service, after: int = 0) -> Any:
        asked.append(after)
        return changes(verbs, after)

    monkeypatch.setattr(Service, "changes", counted)
    with served(service) as client:
        answers = [client.send(client.build_request("GET", "/events", headers=STREAM), stream=True) for _ in range(8)]
        streams = [read(answer) for answer in answers]
        begin = {next(stream).id for stream in streams}
        service.pause("e")
        assert {next(stream).data["name"] for stream in streams} == {"e"}
        assert len(begin) == 1
        for answer in answers:
            answer.close()
    assert len(asked) < 8, asked


def test_a_silent_stream_shows_that_it_lives(service: Service) -> None:
    """A comment comes where nothing has changed."""
    settings = replace(QUICK, heartbeat_seconds=0.05)
    with served(service, settings) as client:
        for address in ("/events", EVENTS):
            with client.stream("GET", address, headers=STREAM) as answer:
                assert next(line for line in answer.iter_lines() if line.startswith(":")) == ": "


def test_a_stream_ends_after_a_while(service: Service) -> None:
    """What there was to tell has been told; whoever still may comes back."""
    api = client_of(service, replace(QUICK, stream_seconds=0.0))
    (begin,) = read(api.get("/events", headers=STREAM))
    assert begin.id == str(service.version())
    assert [event.kind for event in read(api.get(EVENTS, headers=STREAM))] == ["created"]


@pytest.mark.parametrize("last", ["x", "-1", "1e3", "9" * 30])
def test_an_id_that_is_none(service: Service, last: str) -> None:
    """It is refused at once."""
    answer = client_of(service).get("/events", headers={**STREAM, "Last-Event-ID": last})
    assert (answer.status_code, answer.json()["field"]) == (422, "Last-Event-ID")
