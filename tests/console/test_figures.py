"""What the head of a search says of its result."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.console.markup import parse
from tests.service.published import SPEC
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import TrialState
from tunewell.store.rows import AttemptEnd


def test_a_default_that_is_the_best_has_no_gain_over_itself(service: Service, administrator: TestClient) -> None:
    """That it is the best is said in words, as among the results; a gain of 0 over itself would tell nothing."""
    service.create(SPEC)
    for number, origin, value in ((1, "default", 0.5), (2, "random", 0.6)):
        key = AttemptKey("e", number, 1)
        with service.store.transaction() as tx:
            tx.add_trial("e", number, {"x": number / 10}, origin, 1.0, None, 1.0)
            tx.start_attempt(key, f"{number}" * 32, 2.0)
            tx.finish_trial(key, AttemptEnd(TrialState.SUCCEEDED, value=value, now=3.0, seconds=1.0))
        page = parse(administrator.get("/experiments/e").text)
        told = [one.text for one in page.all("dd")]
        assert ("the default is the best" in told) == (number == 1)
    assert "+0.1 from 0.5" in told
