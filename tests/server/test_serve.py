"""`tunewell serve` as a whole: its processes, and what becomes of each other's work when they end."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import psutil
import pytest

from tests.postgres import Server
from tests.server.serving import WAITING, Serving, serving, wait_until
from tests.service import published
from tunewell.server import launcher
from tunewell.server.options import Options
from tunewell.server.worker import FINISH_SECONDS
from tunewell.service.service import Service
from tunewell.spec.errors import UserError
from tunewell.spec.secrets import passwords
from tunewell.spec.states import ExperimentState, TrialState

pytestmark = pytest.mark.timeout(300)  # on a busy machine each start takes its time


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home; what lives on of its trials ends with the test."""
    (tmp_path / "work").mkdir()
    yield tmp_path / "home"
    with Service(tmp_path / "home") as service:
        for row in service.store.open_experiments():
            service.stop(row.name)
    if (tmp_path / "work" / "pid").exists():
        (tmp_path / "work" / "go").touch()


def start_waiting(home: Path) -> psutil.Process:
    """Have the service begin a trial that waits; return its process."""
    work = home.parent / "work"
    with Service(home) as service:
        service.create({**WAITING, "working_directory": str(work)})
    wait_until(lambda: (work / "pid").exists() and (work / "pid").read_text().strip())
    return psutil.Process(int((work / "pid").read_text()))


def let_go(home: Path) -> None:
    """Let the waiting trial end, and wait until that is on record, with one attempt."""
    (home.parent / "work" / "go").touch()
    with Service(home) as service:
        wait_until(lambda: service.store.experiment("waiting").state.final)
        assert service.store.experiment("waiting").state is ExperimentState.COMPLETED
        (trial,) = service.store.trials("waiting")
        assert (trial.state, trial.attempt) == (TrialState.SUCCEEDED, 1)


def test_it_is_ready_and_says_where(home: Path) -> None:
    """One line says where the service is and how to sign in; it is alive and ready then, and tells its figures."""
    with serving(home) as service:
        assert re.search(r"at http://127\.0\.0\.1:\d+ - sign in: http://127\.0\.0\.1:\d+/\S{40,}$", service.said)
        assert service.get("/healthz").json() == {"status": "alive"}
        answer = service.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert answer.headers["x-request-id"]
        figures = wait_until(lambda: service.get("/metrics").text)
        for name in (
            'tunewell_experiments{state="running"} 0.0',
            'tunewell_http_requests_total{method="GET",route="/readyz",status="200"}',
            "tunewell_controller_step_seconds_count",
            "tunewell_model_request_seconds_count",
        ):
            assert name in figures
        wait_until(lambda: "tunewell_models_loaded 0.0" in service.get("/metrics").text)
        # Of services on several machines with one home, each has a folder of its own.
        assert [path.name for path in home.glob("figures-*")] == [
            f"figures-{socket.gethostname()}-{service.url.rpartition(':')[2]}"
        ]
        assert service.end() == 0
    assert not list(home.glob("figures-*"))


def test_a_link_is_shown_until_somebody_has_signed_in(home: Path) -> None:
    """Whoever never used the link of the first start gets another one at the next; whoever did needs none."""
    links = []
    for name in ("first", "second", "third"):
        with serving(home, name=name) as service:
            found = re.search(r"sign in: \S+(/sign-in\?link=(\S+))$", service.said)
            links.append(found is not None)
            if name == "second":
                assert found is not None
                answer = httpx2.post(service.url + "/sign-in", data={"link": found[2]}, headers={"Origin": service.url})
                assert answer.status_code == 303
            assert service.end() == 0
    assert links == [True, True, False]


#: The program of a trial that knows nothing of its folder.
REPORTING = """
import json, os, sys, urllib.request

for step in (1, 2):
    body = {"reports": [{"step": step, "metrics": {"accuracy": float(sys.argv[1]) * step}}]}
    request = urllib.request.Request(os.environ["TUNEWELL_REPORT_URL"], json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + os.environ["TUNEWELL_REPORT_TOKEN"])
    request.add_header("Content-Type", "application/json")
    assert urllib.request.urlopen(request).status == 201
print(os.environ["TUNEWELL_REPORT_TOKEN"])
sys.exit("no")
"""


def test_a_program_reports_over_the_network(home: Path) -> None:
    """An attempt is told where it reports, and with what; what it has reported so is on record, its credential not."""
    program = home.parent / "program.py"
    program.write_text(REPORTING)
    spec = {**WAITING, "name": "e", "command": [sys.executable, str(program), "{x}"]}
    foreign = {"TUNEWELL_REPORT_TOKEN": "of-another-service", "TUNEWELL_REPORT_URL": "http://127.0.0.1:1/"}
    with serving(home, "--root-path", "/tunewell", environment=foreign), Service(home) as record:
        record.create(spec)
        wait_until(lambda: record.store.experiment("e").state.final)
        trial = record.trial("e", 1)
        found = {report.step: report.metrics["accuracy"] for report in record.reports("e", 1)}
        assert found == {step: pytest.approx(trial.parameters["x"] * step) for step in (1, 2)}
        secret = record.log("e", 1).data.decode().split()[0]
        assert secret.startswith("twa_")
        assert secret not in trial.model_dump_json() and "no" in trial.detail


def test_figures_are_those_of_all_workers(home: Path) -> None:
    """Whichever web worker is asked counts the requests that the others have answered, too; also below a path."""
    with serving(home, "--workers", "2", "--root-path", "/tunewell") as service:
        assert f"at {service.url}/tunewell" in service.said
        for _ in range(20):
            service.get("/healthz")
        found = re.search(r'route="/healthz",status="200"} (\S+)', service.get("/metrics").text)
        assert found is not None and float(found[1]) == 20


def test_a_trial_lives_on_and_the_next_start_adopts_it(home: Path) -> None:
    """An orderly stop ends no trial; the next start takes it over, in the same attempt."""
    with serving(home) as service:
        trial = start_waiting(home)
        assert service.end() == 0
        assert trial.is_running()
    with serving(home):
        let_go(home)


def test_trials_end_with_it_if_asked(home: Path) -> None:
    """With --stop-trials, an orderly stop ends what runs, and the next start begins it again."""
    with serving(home, "--stop-trials") as service:
        trial = start_waiting(home)
        assert service.end() == 0
        wait_until(lambda: not trial.is_running())
        with Service(home) as record:
            (row,) = record.store.trials("waiting")
            assert (row.state, row.attempt) == (TrialState.WAITING, 1)
    (home.parent / "work" / "go").touch()
    with serving(home), Service(home) as record:
        wait_until(lambda: record.store.experiment("waiting").state.final)
        assert record.store.experiment("waiting").state is ExperimentState.COMPLETED


def test_a_second_signal_ends_it_at_once(home: Path) -> None:
    """Who does not want to wait for trials sends a second signal; the trials live on."""
    with serving(home, "--stop-trials") as service:
        trial = start_waiting(home)
        controller = service.child("controller")
        assert controller is not None
        controller.suspend()  # it would end the trial, and then itself
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in service.err.read_text())
        assert service.end() == 0
        assert trial.is_running() and not controller.is_running()
    with serving(home):
        let_go(home)


@pytest.mark.parametrize("module", ["controller", "worker"])
def test_what_dies_is_started_again(home: Path, module: str) -> None:
    """A controller or web worker that is killed has a successor, which goes on with the trials that run."""
    with serving(home) as service:
        start_waiting(home)
        victim = service.child(module)
        assert victim is not None
        victim.kill()
        wait_until(lambda: (found := service.child(module)) is not None and found.pid != victim.pid)
        wait_until(service.is_ready)
        let_go(home)
        assert "started again" in service.err.read_text()
        assert service.end() == 0


def test_it_says_that_no_controller_is_at_work(home: Path) -> None:
    """While the controller is away, the service is not ready, and says why; it answers all the same."""
    with serving(home) as service:
        launcher, controller = psutil.Process(service.process.pid), service.child("controller")
        assert controller is not None
        launcher.suspend()  # or it would start another one
        controller.kill()
        wait_until(lambda: not service.is_ready())
        answer = service.get("/readyz")
        assert (answer.status_code, answer.json()["database"], answer.json()["controller"]) == (503, True, False)
        launcher.resume()
        wait_until(service.is_ready)


def test_on_postgresql(home: Path, postgres: Server) -> None:
    """On a server two services share a home; what one of them runs the other takes over; no password is shown."""
    with postgres.new_database("tables") as database:
        place = {"TUNEWELL_DATABASE": database}
        with serving(home, environment=place) as first, Service(home, database) as record:
            work = home.parent / "work"
            record.create({**WAITING, "working_directory": str(work)})
            wait_until(lambda: (work / "pid").exists())
            with serving(home, "--log-level", "debug", environment=place, name="second") as second:
                assert first.end() == 0
                wait_until(lambda: "taken over" in second.err.read_text())
                (work / "go").touch()
                wait_until(lambda: record.store.experiment("waiting").state.final)
                for said in (first, second):
                    assert not any(part in said.err.read_text() + said.out.read_text() for part in passwords(database))
            (trial,) = record.store.trials("waiting")
            assert (trial.state, trial.attempt) == (TrialState.SUCCEEDED, 1)


def test_nothing_outlives_a_launcher_that_is_killed_but_trials(home: Path) -> None:
    """However the launcher dies, its processes end, and the next one finds port and home free."""
    with serving(home) as service:
        trial = start_waiting(home)
        children = [service.child(module) for module in ("controller", "worker")]
        port = service.url.rpartition(":")[2]
        service.end(signal.SIGKILL)
        wait_until(lambda: not any(child is not None and child.is_running() for child in children))
        assert trial.is_running()
    with serving(home, "--port", port) as service:
        assert service.url.endswith(port)
        let_go(home)


#: Makes web workers take for ever to import what they need.
IMPORTING = """
import sys, time
from pathlib import Path

if "tunewell.server.worker" in sys.orig_argv:
    class Slow:
        def find_spec(self, name, *_):
            if name == "tunewell.server.worker":
                (Path(__file__).parent / "importing").touch()
                time.sleep(1000)

    sys.meta_path.insert(0, Slow())
"""


def test_a_process_that_is_being_started_ends_with_the_launcher(home: Path, tmp_path: Path) -> None:
    """A launcher that is killed while its processes are at their imports leaves no port taken."""
    (tmp_path / "sitecustomize.py").write_text(IMPORTING)
    one = Serving(home, environment={"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"})
    wait_until((tmp_path / "importing").exists)
    children = psutil.Process(one.process.pid).children()
    one.end(signal.SIGKILL)
    try:
        _, left = psutil.wait_procs(children, timeout=60)
        assert not left
    finally:
        for child in left:
            child.kill()


def refused(*options: str) -> str:
    """Return what is said where `tunewell serve` refuses to start."""
    done = subprocess.run(
        [sys.executable, "-m", "tunewell", "serve", *options], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """A port that is taken is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--home", str(tmp_path / "home"), "--port", str(port))
    assert f"listens on port {port}" in said and "--port" in said


def test_commands_know_where_it_is(home: Path) -> None:
    """While it serves, links that are printed lead to it; afterwards it is said that there is none."""

    def link() -> tuple[str, str]:
        command = [sys.executable, "-m", "tunewell", "users", "link", "owner", "--home", str(home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
        return done.stdout, done.stderr

    with serving(home, "--url", "https://tune.example/team/") as service:
        assert "at https://tune.example/team - sign in: https://tune.example/team/sign-in?link=" in service.said
        assert link()[0].startswith("https://tune.example/team/sign-in?link=")
        assert service.end() == 0
    told, hint = link()
    assert told.startswith("http://127.0.0.1:8700/") and "No service of this home runs here now" in hint
    (home / "serve.url").write_text("https://gone.example")
    assert "gone" not in link()[0], "its service was killed"


def test_two_on_one_home(home: Path) -> None:
    """The controller of a home with a file for a database is one: a second service is refused, the first goes on."""
    with serving(home) as service:
        assert "a service or controller (process" in refused("--home", str(home), "--port", "0")
        assert service.is_ready()


def test_what_is_refused_costs_few_processes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all web workers but one, none starts before it is known that the controller can do its work."""
    started = []

    def start(*arguments: Any, **named: Any) -> subprocess.Popen[bytes]:
        started.append(arguments)
        return subprocess.Popen(*arguments, **named)

    with serving(home), monkeypatch.context() as patch:
        patch.setattr(
            launcher,
            "subprocess",
            SimpleNamespace(Popen=start, **{name: getattr(subprocess, name) for name in ("DEVNULL", "TimeoutExpired")}),
        )
        with pytest.raises(UserError, match="runs this home already"):
            launcher.Launcher(Options(home, port=0, workers=4), print, lambda: print).run()
    assert len(started) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "--allowed-host"),
        (("--host", "no.such.host.invalid"), "no address of this machine"),
        (("--root-path", "tunewell/"), "slash"),
        (("--url", "tune.example"), "no address of a service"),
        (("--url", "https://tune.example", "--root-path", "/team"), "does not end with the root path"),
        (("--workers", "0"), "processes can answer requests"),
        (("--workers", "100000"), "processes can answer requests"),
        (("--port", "70000"), "65535"),
        (("--log-level", "loud"), "debug"),
        (("--trial-user", "no-such-user"), "no-such-user"),
        (("--database", "sqlite:////dev/null/x.db"), "/dev/null"),
    ],
)
def test_options_that_are_wrong(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    """What can't be done as it was asked for is said in one sentence, and nothing runs."""
    assert words in refused("--home", str(tmp_path / "home"), "--port", "0", *options)


def test_streams_end_at_a_stop(home: Path) -> None:
    """A stop does not wait for event streams: their answers end in good order, so that clients ask again."""
    with serving(home) as service, Service(home) as record:
        record.create({**WAITING, "working_directory": str(home.parent / "work")})
        begun = {path: threading.Event() for path in ("/events", "/experiments/waiting/events")}
        ended = {path: threading.Event() for path in begun}

        def follow(path: str) -> None:
            with httpx2.stream("GET", f"{service.url}/api/v1{path}", timeout=60.0, headers=service.proof) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                for _ in answer.iter_bytes():
                    begun[path].set()
            ended[path].set()  # no error: the answer was complete

        threads = [threading.Thread(target=follow, args=(path,)) for path in begun]
        for thread in threads:
            thread.start()
        assert all(event.wait(30) for event in begun.values())
        assert "tunewell_event_streams 2.0" in service.get("/metrics").text
        began = time.monotonic()
        assert service.end() == 0
        assert time.monotonic() - began < FINISH_SECONDS
        for thread in threads:
            thread.join(30)
        assert all(event.is_set() for event in ended.values())


def test_a_token_for_programs(home: Path) -> None:
    """--token-file has a token that its owner alone may read, even if others could read what was there."""
    file = home.parent / "token"
    file.write_text("old")
    file.chmod(0o644)
    with serving(home, "--token-file", str(file)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(file.read_text().strip()) >= 40


def test_logs_say_what_they_are_about_and_no_secret(home: Path) -> None:
    """Each line about an experiment or trial has it; requests have their numbers; no secret is in any line."""
    with serving(home, "--log-format", "json", "--log-level", "debug") as service:
        start_waiting(home)
        let_go(home)
        secret = service.said.rpartition("=")[2]
        service.get(f"/nothing/{secret}?token={secret}", **{"X-Request-Id": "mine"})
        assert service.end() == 0
        lines = service.logged()
        assert secret not in service.err.read_text()
    about = [line for line in lines if line.get("experiment") == "waiting"]
    assert {line["state"] for line in about if "state" in line} >= {"running", "completed", "succeeded"}
    assert any(line.get("trial") == 1 and line["attempt"] == 1 for line in about)
    (request,) = [line for line in lines if line.get("request_id") == "mine" and line["event"] == "request"]
    assert (request["status"], request["process"]) == (404, "web-1")


def test_a_trial_sees_no_secret_of_the_service(home: Path) -> None:
    """What the service's processes are told by their environment is in no trial's."""
    database = f"sqlite:///{home.parent / 'elsewhere.db'}"
    private = {"TUNEWELL_DATABASE": database, "TUNEWELL_TOKEN": "canary-of-a-token", "PGPASSWORD": "canary-password"}
    dump = home.parent / "environment"
    spec = {**WAITING, "name": "e", "command": ["sh", "-c", f"env > {dump}; echo accuracy={{x}}"]}
    with serving(home, environment=private), Service(home, database) as record:
        record.create(spec)
        wait_until(lambda: record.store.experiment("e").state.final)
    text = dump.read_text()
    assert "TUNEWELL_TRIAL=1" in text
    for part in (*private, "canary", "elsewhere.db", "PROMETHEUS"):
        assert part not in text


def test_a_process_that_dies_again_and_again_is_given_up(home: Path, tmp_path: Path) -> None:
    """Where a process dies each time it starts, the launcher ends with a word about it instead of trying for ever."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'tunewell.server.controller' in sys.orig_argv: sys.exit(7)\n"
    )
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-m", "tunewell", "serve", "--home", str(home), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 1
    assert "controller has died 5 times" in done.stderr


@pytest.mark.slow
def test_models_are_kept_by_a_process_of_their_own(home: Path) -> None:
    """Web workers ask it; killed, it is started again, with nothing of its models left; it ends with the service."""
    with Service(home) as service:
        service.create(published.SPEC)
        published.add_trial(service, 1, 0.9, real=True)
        service.publish("e", "signs")
    files = {"pictures": ("cat.png", published.picture().content)}

    def asked(one: Serving) -> int:
        return httpx2.post(
            f"{one.url}/api/v1/models/signs/predict", files=files, headers=one.proof, timeout=100.0
        ).status_code

    with serving(home) as one:
        assert asked(one) == 200
        keeper = wait_until(lambda: one.child("models"))
        (model,) = keeper.children()
        keeper.kill()
        wait_until(lambda: not model.is_running() or model.status() == psutil.STATUS_ZOMBIE)
        assert asked(one) == 200, "who asks meanwhile waits"
        (model,) = wait_until(lambda: one.child("models")).children()
        model.kill()
        wait_until(lambda: not model.is_running())
        assert asked(one) == 200
        assert one.end() == 0 and not list((home / "run").iterdir())


def test_nothing_of_the_folder_where_it_was_started_is_imported(tmp_path: Path) -> None:
    """A file that is called as a module of Python's own is no part of the service, which stands in its folder."""
    (tmp_path / "queue.py").write_text("import pathlib; pathlib.Path(__file__ + '.ran').touch(); raise SystemExit(1)")
    with serving(tmp_path / "home"):
        assert not (tmp_path / "queue.py.ran").exists()
