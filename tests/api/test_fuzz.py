"""Whatever is sent, the answer is one that the document tells of; `./dev fuzz` sends 10,000 requests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.schemas import BaseSchema
from starlette.routing import Route

from tests.api.serving import SPEC, add_trial, api_of
from tunewell.api.routes import ROUTERS
from tunewell.service.service import Service
from tunewell.spec.states import TrialState

#: About how many requests are sent in all.
CASES = int(os.environ.get("TUNEWELL_FUZZ_CASES", "200"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: What there is to ask for, by the name of the parameter.
KNOWN = {"name": "e", "number": 1, "id": 1, "task": "image-classification", "network": "resnet18", "chart": "history"}
OPERATIONS = sorted(route.name for router in ROUTERS for route in router.routes if isinstance(route, Route))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """The document of an app over a home with an experiment, trials and jobs, whose streams end at once."""
    with Service(tmp_path_factory.mktemp("home")) as service:
        service.create(SPEC)
        add_trial(service, 1, TrialState.SUCCEEDED, 0.5)
        add_trial(service, 2, TrialState.FAILED)
        service.stop_job(service.probe("e").id)
        service.evaluate("e")
        app = api_of(service)
        app.state.watcher.close()
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_answer_is_a_surprise(document: BaseSchema, operation: str) -> None:
    """There is no error inside, and status, media type, headers and content are those that are documented."""
    found = document.find_operation_by_id(operation)
    cases = [found.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(max_examples=max(CASES // len(OPERATIONS), 1), deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(cases), known=st.booleans())
    def send(case: Case, known: bool) -> None:
        if known:
            case.path_parameters.update({name: KNOWN[name] for name in case.path_parameters.keys() & KNOWN.keys()})
        case.call_and_validate(checks=CHECKS)

    send()
