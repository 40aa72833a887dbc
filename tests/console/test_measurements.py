"""What is offered to measure a model on."""

from __future__ import annotations

import pytest

from tests.service.published import add_pictures
from tunewell.console.results.measurements import measured_of
from tunewell.service.service import Service
from tunewell.service.types import DataSet, Page

TASK = "image-classification"


def test_data_sets_that_the_model_can_read_come_first(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read as another task comes last, so that it is not the one that is chosen unless somebody means it."""
    add_pictures(service, "any")
    (any_one,) = service.datasets().items
    read_as = {"boxes": "object-detection", "unknown": None, "refused": "image-classification", "signs": TASK}
    found = [any_one.model_copy(update={"name": name, "job_task": task}) for name, task in read_as.items()]
    found[2] = found[2].model_copy(update={"suggested_task": "object-detection"})
    monkeypatch.setattr(Service, "datasets", lambda *_, **__: Page[DataSet](items=tuple(found)))
    assert measured_of(service, TASK).datasets == ["signs", "unknown", "boxes", "refused"]
