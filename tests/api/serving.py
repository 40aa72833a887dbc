"""An app to ask: who asks is known, and what it is asked about is arranged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.listening import listening
from tunewell.api.app import Api, make_app
from tunewell.api.settings import Settings
from tunewell.schedulers.records import make_folder
from tunewell.service.service import Service
from tunewell.service.types import Caller
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.store.rows import AttemptEnd

SECRET = "hunter2-and-more"
SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["sh", "-c", "echo accuracy={x}; echo $TUNEWELL_TRIAL > {output_dir}/number"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "algorithm": "random",
    "max_trials": 3,
    "environment": {"TOKEN": SECRET},
}
BASE = "/api/v1"
CALLERS = {
    "owner": Caller(name="owner", role="administrator", run_code=True),
    "ada": Caller(name="ada", role="user", run_code=True),
    "eve": Caller(name="eve", role="viewer"),
}
QUICK = Settings(look_seconds=0.02)


class Known:
    """Takes everybody for whom the header `As` names, by default the person whose home it is."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say who asks."""
        name = dict(scope.get("headers", ())).get(b"as", b"owner").decode()
        scope.setdefault("state", {})["caller"] = CALLERS[name]
        await self._app(scope, receive, send)


def api_of(service: Service, settings: Settings = QUICK) -> Api:
    """Return the app over a service, in which everybody is known."""
    app = make_app(service, settings)
    app.add_middleware(Known)
    return app


def client_of(service: Service, settings: Settings = QUICK) -> TestClient:
    """Return who asks the app within this process."""
    return TestClient(api_of(service, settings), base_url=f"http://testserver{BASE}")


@contextmanager
def served(service: Service, settings: Settings = QUICK) -> Iterator[httpx2.Client]:
    """Give who asks a real server, which streams are to be read from."""
    app = api_of(service, settings)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    with listening() as place:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        address = f"http://127.0.0.1:{place.getsockname()[1]}{BASE}"
        with httpx2.Client(base_url=address, timeout=60) as client:
            try:
                yield client
            finally:  # while the client may still hold streams
                app.state.watcher.close()
                server.should_exit = True
                thread.join()


def add_trial(service: Service, number: int, state: TrialState, value: float | None = None, name: str = "e") -> Path:
    """Record a trial, and return the folder of its attempt, which is there."""
    key, identity = AttemptKey(name, number, 1), f"identity {name} {number}"
    with service.store.transaction() as tx:
        tx.add_trial(name, number, {"x": number / 1000}, "random", 1.0, None, 1.0)
        if state is not TrialState.WAITING:
            tx.start_attempt(key, identity, 2.0)
    folder = service.home.place(key)
    make_folder(folder, identity)
    if state.final:
        end_trial(service, number, state, value, name)
    return folder


def end(service: Service, name: str) -> None:
    """Record the end of an experiment."""
    with service.store.transaction() as tx:
        tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
        tx.set_experiment_state(name, ExperimentState.RUNNING, ExperimentState.COMPLETED)


def add_model(service: Service, name: str) -> None:
    """Have the best trial of an experiment leave a model of two files."""
    model = add_trial(service, 1, TrialState.SUCCEEDED, 0.5, name) / "artifacts" / "model"
    (model / "parts").mkdir(parents=True)
    (model / "model.json").write_text('{"task": "image-classification"}')
    (model / "parts" / "weights").write_bytes(bytes(100_000))


def end_trial(service: Service, number: int, state: TrialState, value: float | None = None, name: str = "e") -> None:
    """Record the end of a trial."""
    cause = Cause.CRASHED if state is TrialState.FAILED else None
    with service.store.transaction() as tx:
        tx.finish_trial(AttemptKey(name, number, 1), AttemptEnd(state, cause=cause, value=value, now=3.0, seconds=1.0))
