"""What the verbs promise, wherever they are carried out."""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Barrier
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from tests.client.serving import serving
from tests.schedulers.bench import wait_until
from tests.store.faulty import Fault, Faults, faulty
from tunewell.schedulers.records import make_folder, write_exit
from tunewell.schedulers.report_reader import ReportReader
from tunewell.service.following import follow
from tunewell.service.paging import every
from tunewell.service.runs import Given
from tunewell.service.service import Service
from tunewell.service.types import Caller, GivenReport, Page, Range, Taken, TrialFilter
from tunewell.service.verbs import MOST, Verbs
from tunewell.spec.errors import ConflictError, DataError, JobFailed, NotFoundError, SpecError, UserError
from tunewell.spec.launch import AttemptKey, Exit, Report
from tunewell.spec.names import ExperimentOrder
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.store.rows import AttemptEnd
from tunewell.tasks.image_classification.digits import write_digits

#: What there is no way to ask a server for, since it is about a path of its machine.
IN_PROCESS = pytest.mark.in_process("it names a path of the machine")
NOBODY_RUNS = pytest.mark.in_process("a server leaves it to its controller, and here is none")
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
OTHER = Caller(name="ada", role="administrator")
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING
SUCCEEDED, FAILED, STOPPED = TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED


@dataclass(frozen=True)
class Bench:
    """Verbs, and the service that carries them out, to arrange what they meet."""

    verbs: Verbs
    service: Service
    #: The verbs of another caller.
    as_caller: Callable[[Caller], Verbs]

    def add(self, number: int, state: TrialState = SUCCEEDED, value: float | None = None, name: str = "e") -> None:
        """Record a trial."""
        key, cause = AttemptKey(name, number, 1), Cause.CRASHED if state is FAILED else None
        with self.service.store.transaction() as tx:
            tx.add_trial(name, number, {"x": number / 1000}, "random", 1.0, None, 1.0)
            if state is not WAITING:
                tx.start_attempt(key, f"{name} {number}", 2.0)
            if state.final:
                tx.finish_trial(key, AttemptEnd(state, cause=cause, value=value, now=3.0, seconds=1.0))

    def end(self, name: str = "e") -> None:
        """Record the end of an experiment."""
        with self.service.store.transaction() as tx:
            tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
            end = {"stop_rule": "max_trials", "detail": "All trials have ended."}
            tx.set_experiment_state(name, ExperimentState.RUNNING, ExperimentState.COMPLETED, **end)


@contextmanager
def in_process(home: Path, database: str) -> Iterator[Bench]:
    """Give the verbs of this very process."""
    with Service(home, database) as service:
        yield Bench(service, service, service.as_caller)


@contextmanager
def over_http(home: Path, database: str) -> Iterator[Bench]:
    """Give the verbs of clients of a server, which all prove themselves by tokens; nothing is asked for twice."""
    with serving(home, database) as served:
        yield Bench(served.client(), served.service, served.client)


#: Implementation → what gives it on an empty home, and an empty database.
IMPLEMENTATIONS: Mapping[str, Any] = {"in process": in_process, "over HTTP": over_http}


@pytest.fixture(params=IMPLEMENTATIONS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Bench]:
    """One implementation after the other, on an empty home."""
    with IMPLEMENTATIONS[request.param](tmp_path, database) as bench:
        yield bench


@pytest.fixture
def verbs(bench: Bench) -> Verbs:
    """The verbs, with the experiment `e`, which has not begun."""
    bench.verbs.create(SPEC)
    return bench.verbs


@pytest.fixture
def ran(bench: Bench, verbs: Verbs) -> Verbs:
    """The verbs, with the experiment `e`, which has run to its end."""
    assert bench.service.run("e", Given(follow_up=False))
    return verbs


# Reading --------------------------------------------------------------------------------------------------

#: Every verb that reads what an experiment that has run has, by what is asked.
READS: Mapping[str, Callable[[Verbs], Any]] = {
    "check": lambda verbs: verbs.check(SPEC, line="epoch 3 accuracy=0.5"),
    "experiments": lambda verbs: verbs.experiments(),
    "experiment": lambda verbs: verbs.experiment("e"),
    "result": lambda verbs: verbs.result("e"),
    "top": lambda verbs: verbs.top("e"),
    "overview": lambda verbs: verbs.overview("e"),
    "export": lambda verbs: "".join(verbs.export("e")),
    "export csv": lambda verbs: "".join(verbs.export("e", "csv")),
    "report": lambda verbs: verbs.report("e"),
    "chart": lambda verbs: verbs.chart("e"),
    "importances": lambda verbs: verbs.importances("e"),
    "events": lambda verbs: verbs.events("e"),
    "watch": lambda verbs: list(verbs.watch("e")),
    "trials": lambda verbs: verbs.trials("e"),
    "trial": lambda verbs: verbs.trial("e", 1),
    "export_trials": lambda verbs: verbs.export_trials("e"),
    "reports": lambda verbs: verbs.reports("e", 1),
    "log": lambda verbs: verbs.log("e", 1),
    "artifacts": lambda verbs: verbs.artifacts("e", 1),
    "artifact": lambda verbs: b"".join(verbs.artifact("e", 1, "number")),
    "evaluations": lambda verbs: verbs.evaluations("e"),
    "finalists": lambda verbs: verbs.finalists("e"),
    "trained_models": lambda verbs: verbs.trained_models("e"),
    "workers": lambda verbs: verbs.workers("e"),
    "clone": lambda verbs: verbs.clone("e"),
    "jobs": lambda verbs: verbs.jobs(),
    "version": lambda verbs: verbs.version(),
    "changes": lambda verbs: verbs.changes(),
    "tasks": lambda verbs: verbs.tasks(),
    "network": lambda verbs: verbs.network("resnet18"),
    "algorithms": lambda verbs: verbs.algorithms(),
    "queue": lambda verbs: verbs.queue(),
    "about": lambda verbs: verbs.about(),
    "resources": lambda verbs: verbs.resources(),
    "usage": lambda verbs: verbs.usage(),
    "me": lambda verbs: verbs.me(),
    "users": lambda verbs: verbs.users(),
    "user": lambda verbs: verbs.user("owner"),
    "create_token": lambda verbs: verbs.create_token("a program"),
    "tokens": lambda verbs: verbs.tokens(),
    "sign_in_link": lambda verbs: verbs.sign_in_link("owner"),
    "audit": lambda verbs: verbs.audit(),
    "audited_verbs": lambda verbs: verbs.audited_verbs(),
}
#: Those that ask for one experiment by name, and may be told of another.
OF_ONE = {
    "experiment": lambda verbs, name: verbs.experiment(name),
    "result": lambda verbs, name: verbs.result(name),
    "top": lambda verbs, name: verbs.top(name),
    "overview": lambda verbs, name: verbs.overview(name),
    "export": lambda verbs, name: verbs.export(name),
    "export csv": lambda verbs, name: verbs.export(name, "csv"),
    "report": lambda verbs, name: verbs.report(name),
    "chart": lambda verbs, name: verbs.chart(name),
    "importances": lambda verbs, name: verbs.importances(name),
    "events": lambda verbs, name: verbs.events(name),
    "watch": lambda verbs, name: verbs.watch(name),
    "trials": lambda verbs, name: verbs.trials(name),
    "trial": lambda verbs, name: verbs.trial(name, 1),
    "export_trials": lambda verbs, name: verbs.export_trials(name),
    "reports": lambda verbs, name: verbs.reports(name, 1),
    "log": lambda verbs, name: verbs.log(name, 1),
    "artifacts": lambda verbs, name: verbs.artifacts(name, 1),
    "artifact": lambda verbs, name: verbs.artifact(name, 1, "number"),
    "evaluations": lambda verbs, name: verbs.evaluations(name),
    "finalists": lambda verbs, name: verbs.finalists(name),
    "trained_models": lambda verbs, name: verbs.trained_models(name),
    "jobs": lambda verbs, name: verbs.jobs(experiment=name),
    "compare": lambda verbs, name: verbs.compare(["e", name]),
    "update": lambda verbs, name: verbs.update(name, {"max_trials": 5}),
    "clone": lambda verbs, name: verbs.clone(name),
    "delete": lambda verbs, name: verbs.delete(name),
    "add_trial": lambda verbs, name: verbs.add_trial(name, {"x": 0.5}),
    "add_reports": lambda verbs, name: verbs.add_reports(name, 1, 1, [GivenReport(metrics={"accuracy": 1})]),
    "suggest": lambda verbs, name: verbs.suggest(name, "gpu-7", wait=0),
    "heartbeat": lambda verbs, name: verbs.heartbeat(name, 1, 1),
    "add_log": lambda verbs, name: verbs.add_log(name, 1, 1, 0, b"ready"),
    "complete": lambda verbs, name: verbs.complete(name, 1, 1, 0.5),
    "workers": lambda verbs, name: verbs.workers(name),
    "write_report": lambda verbs, name: verbs.write_report(name),
    "stop": lambda verbs, name: verbs.stop(name),
    "pause": lambda verbs, name: verbs.pause(name),
    "resume": lambda verbs, name: verbs.resume(name),
    "retry": lambda verbs, name: verbs.retry(name),
    "stop_trial": lambda verbs, name: verbs.stop_trial(name, 1),
    "retry_trial": lambda verbs, name: verbs.retry_trial(name, 1),
    "train_finalists": lambda verbs, name: verbs.train_finalists(name),
    "evaluate": lambda verbs, name: verbs.evaluate(name),
    "repeat_finalists": lambda verbs, name: verbs.repeat_finalists(name),
    "retrain": lambda verbs, name: verbs.retrain(name),
    "predict": lambda verbs, name: verbs.predict(name, [Path()]),
    "export_model": lambda verbs, name: verbs.export_model(name, Path("out")),
}


def models_in(answer: Any) -> list[BaseModel]:
    """Return the wire types that an answer consists of."""
    if isinstance(answer, BaseModel):
        return [answer]
    return [part for part in answer if isinstance(part, BaseModel)] if isinstance(answer, tuple) else []


def test_every_answer_survives_the_wire(ran: Verbs) -> None:
    """What is read comes back from JSON as it was, and its moments are RFC 3339 in UTC with milliseconds."""
    for verb, read in READS.items():
        for model in models_in(read(ran)):
            kind = type(model)
            again = kind.model_validate_json(model.model_dump_json())
            assert again == model, verb
    written = json.loads(ran.experiment("e").model_dump_json())["created_at"]
    assert datetime.fromisoformat(written).utcoffset() == timedelta(0)
    assert written.endswith("+00:00") and len(written) == len("2026-03-01T14:05:00.000+00:00")


def test_secrets_are_in_no_answer(ran: Verbs) -> None:
    """What the spec's `environment` holds can be read nowhere, not even in an error."""
    for verb, read in READS.items():
        answer = read(ran)
        text = "".join(model.model_dump_json() for model in models_in(answer)) or str(answer)
        assert SECRET not in text, verb
    assert "TOKEN" in ran.experiment("e").model_dump_json()
    with pytest.raises(ConflictError) as caught:
        ran.create({**SPEC, "environment": {"TOKEN": "another-one-than-before"}})
    assert SECRET not in str(caught.value) and "another-one" not in str(caught.value)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(set(OF_ONE) - {"export_model"}, id="verbs"),
        pytest.param({"export_model"}, id="export_model", marks=IN_PROCESS),
    ],
)
def test_an_unknown_experiment(verbs: Verbs, asked: set[str]) -> None:
    """Whoever asks for an experiment that is not there is told so, and which one may be meant."""
    for verb in sorted(asked):
        with pytest.raises(NotFoundError, match=r"There is no experiment 'ee'\. Did you mean 'e'\?|Known: e"):
            OF_ONE[verb](verbs, "ee")


def test_an_experiment_that_has_run(ran: Verbs) -> None:
    """Its states, figures and times are told alike by each verb."""
    one, (line,), result = ran.experiment("e"), ran.experiments().items, ran.result("e")
    assert line.model_dump() == {name: value for name, value in one.model_dump().items() if name in line.model_dump()}
    assert (one.state, one.stop_rule, one.running) == (ExperimentState.COMPLETED, result.stop_rule, False)
    assert one.trials == result.trials and one.trials[SUCCEEDED] == 3
    assert one.best is not None and result.best is not None
    assert (one.best.number, one.best.value) == (result.best.number, result.best.value)
    assert result.top == ran.top("e", 5) and len(ran.top("e", 2)) == 2
    assert one.started_at is not None and one.ended_at is not None
    assert one.created_at <= one.started_at <= one.ended_at <= datetime.now(UTC)
    assert (one.max_trials, one.algorithm, one.objective.goal) == (3, "random", "maximize")
    assert one.version > 0


def test_a_result_has_the_keys_that_are_promised(ran: Verbs) -> None:
    """The JSON of a result is what programs read from `tunewell search --json`."""
    result = json.loads(ran.result("e").model_dump_json())
    assert list(result) == [
        "experiment", "project", "tags", "description", "state", "stop_rule", "detail", "objective", "best", "default",
        "top", "trials",
        "elapsed_seconds", "notes", "failures", "advice", "test", "uncertainty", "finalists", "repeats",
        "rank_agreement", "command",
    ]  # fmt: skip
    assert list(result["best"]) == ["number", "parameters", "value", "origin"]
    assert list(result["objective"]) == ["metric", "goal", "target"]
    assert result["trials"] == {"waiting": 0, "running": 0, "succeeded": 3, "stopped": 0, "pruned": 0, "failed": 0}


def test_a_trial_with_all_that_is_about_it(ran: Verbs) -> None:
    """Trial, attempts, reports, output and files agree with each other."""
    trial = ran.trial("e", 2)
    assert (trial.state, trial.attempts, trial.lineage) == (SUCCEEDED, 1, (2,))
    (attempt,) = trial.attempt_list
    assert (attempt.state, attempt.value, attempt.exit_code) == ("succeeded", trial.value, 0)
    (report,) = ran.reports("e", 2)
    assert report.metrics == {"accuracy": trial.value}
    assert ran.reports("e", 2, after=report.step) == ()
    part = ran.log("e", 2)
    assert part.data.startswith(b"accuracy=") and part.ended and part.path == trial.log
    (artifact,) = ran.artifacts("e", 2)
    assert (artifact.path, artifact.size_bytes) == ("number", 2)
    assert b"".join(ran.artifact("e", 2, "number")) == b"2\n"


def test_a_trial_beside_default_and_best(bench: Bench, verbs: Verbs) -> None:
    """Why it was proposed is told in a sentence; where it differs from others, with both values."""
    space = {
        "x": {"low": 0.0, "high": 1.0},
        "kind": ["a", "b", 1, True],
        "y": {"low": 1, "high": 9, "when": {"kind": "b"}},
    }
    verbs.create({**SPEC, "name": "f", "command": ["true"], "parameters": space, "max_trials": 9})
    configurations = [
        ({"x": 0.5, "kind": "a"}, "default", 0.25, 1.0),
        ({"x": 0.5, "kind": "b", "y": 3}, "random", 0.75, 1.0),
        ({"x": 0.25, "kind": 1}, "own", None, 1.0),
        ({"x": 0.25, "kind": True}, "read in the stars", 0.5, 0.5),
    ]
    with bench.service.store.transaction() as tx:
        for number, (parameters, origin, value, fidelity) in enumerate(configurations, 1):
            tx.add_trial("f", number, parameters, origin, fidelity, None)
            tx.start_attempt(AttemptKey("f", number, 1))
            tx.finish_trial(AttemptKey("f", number, 1), AttemptEnd(SUCCEEDED, value=value))
    default, best, own, other = (verbs.trial("f", number) for number in (1, 2, 3, 4))
    assert default.beside_default is None and best.beside_best is None
    assert default.beside_best is not None and (default.beside_best.number, default.beside_best.gain) == (2, -0.5)
    assert {name: (one.own, one.other, one.active_in) for name, one in default.beside_best.parameters.items()} == {
        "kind": ("a", "b", "both"),
        "y": (None, 3, "other"),
    }
    assert best.beside_default is not None and best.beside_default.gain == 0.5
    assert best.beside_default.parameters["y"].active_in == "own"
    assert own.beside_best is not None and own.beside_best.gain is None
    assert own.beside_best.parameters["kind"].own == 1
    assert other.beside_default is not None and other.beside_default.gain is None, "it was trained in part"
    assert (default.reason, own.reason, other.reason) == (
        "It is the default configuration, tried so that everything else can be compared with it.",
        "Somebody added it while the search was running.",
        "Its origin is on record as 'read in the stars'.",
    )


def test_what_can_be_no_name(verbs: Verbs) -> None:
    """What no experiment can be called is not there, like any other."""
    for verb in ("experiment", "jobs", "evaluate"):
        for name in ("e" * 10_000, "\udcff", "e\0", "", "/", "a/b/c"):
            with pytest.raises(NotFoundError, match="There is no experiment"):
                OF_ONE[verb](verbs, name)


@pytest.mark.in_process("a server says first which numbers it takes")
@pytest.mark.parametrize("number", [2**31, 2**63, 10**30, -(2**63) - 1])
def test_numbers_that_nothing_can_have(bench: Bench, verbs: Verbs, number: int) -> None:
    """A number that no trial, job or page can have is one that none has."""
    bench.add(1, SUCCEEDED, 0.5)
    for ask in (
        lambda: verbs.trial("e", number),
        lambda: verbs.reports("e", number),
        lambda: verbs.log("e", number),
        lambda: verbs.artifacts("e", number),
        lambda: verbs.events("e", trial=number),
        lambda: verbs.log("e", 1, attempt=number),
        lambda: verbs.stop_trial("e", number),
        lambda: verbs.retry("e", [number]),
        lambda: verbs.retrain("e", number),
        lambda: verbs.job(number),
        lambda: verbs.job_log(number),
        lambda: verbs.stop_job(number),
        lambda: verbs.retry_job(number),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert verbs.reports("e", 1, attempt=number) == ()
    if number > 0:
        assert verbs.trials("e", filter=TrialFilter(within={"number": (number,)})).items == ()
        assert verbs.export_trials("e", filter=TrialFilter(within={"number": Range(low=number)})).items == ()
        assert verbs.reports("e", 1, after=number) == ()
        assert verbs.events("e", after=number) == ()
        assert verbs.changes(number).items == ()
        for ask in (lambda: verbs.trials("e", cursor=str(number)), lambda: verbs.jobs(cursor=str(number))):
            with suppress(SpecError):
                ask()


def test_an_unknown_trial(verbs: Verbs) -> None:
    """There is nothing to be read of a trial that there is not."""
    for verb in ("trial", "reports", "log", "artifacts"):
        with pytest.raises(NotFoundError, match="'e' has no trial 7"):
            getattr(verbs, verb)("e", 7)


def test_reports_begin_behind_a_step(bench: Bench, verbs: Verbs) -> None:
    """Asked for again and again behind the last step, each report comes once; what is not finite is none."""
    bench.add(1, RUNNING)
    values = [0.1, 0.2, float("nan"), 0.4, 0.5]
    with bench.service.store.transaction() as tx:
        tx.add_reports(
            AttemptKey("e", 1, 1), [Report(step, {"accuracy": value}, 5.0) for step, value in enumerate(values)]
        )
    found = list(verbs.reports("e", 1, limit=2))
    while part := verbs.reports("e", 1, after=found[-1].step, limit=2):
        found += part
    assert [report.step for report in found] == [0, 1, 2, 3, 4]
    assert [report.metrics["accuracy"] for report in found] == [0.1, 0.2, None, 0.4, 0.5]
    assert verbs.reports("e", 1, attempt=2) == ()
    assert [report.step for report in verbs.reports("e", 1, points=5)] == [0, 1, 2, 3, 4]
    few = [report.step for report in verbs.reports("e", 1, points=2)]
    assert len(few) < 5 and few[-1] == 4
    assert [report.step for report in verbs.reports("e", 1, after=3, points=1)] == [4]
    with pytest.raises(UserError, match="points"):
        verbs.reports("e", 1, points=0)


def test_a_log_is_read_in_parts(bench: Bench, ran: Verbs) -> None:
    """The parts make up the whole; a part that begins at the end is empty; an end is told when all is read."""
    whole, read, offset = ran.log("e", 1), b"", 0
    parts = []
    while not parts or not parts[-1].ended:
        parts.append(ran.log("e", 1, offset=offset, limit=4))
        read, offset = read + parts[-1].data, parts[-1].next
    assert read == whole.data and len(parts) > 2
    assert {part.size_bytes for part in (whole, *parts)} == {len(whole.data)}
    assert ran.log("e", 1, offset=len(whole.data)).data == b""
    bench.service.store.request("e", "retry", data={"trials": [1]})
    bench.add(4, RUNNING)
    assert not ran.log("e", 4).ended and not ran.log("e", 4).exists
    with pytest.raises(SpecError, match=r"^offset: "):
        ran.log("e", 1, offset=-1)
    with pytest.raises(NotFoundError, match="has no attempt 2: it has been tried 1 times"):
        ran.log("e", 1, attempt=2)
    bench.add(5, WAITING)
    with pytest.raises(NotFoundError, match="it has not been started yet"):
        ran.log("e", 5)


def test_only_what_a_trial_has_left_is_given(bench: Bench, ran: Verbs) -> None:
    """No path leads out of the folder of a trial's files, links neither."""
    log = bench.service.trial("e", 1).log
    assert log is not None
    link = Path(log).parent / "artifacts" / "link"
    link.symlink_to(Path(log))
    for path in ("../output.log", "/etc/passwd", "..\\output.log", "", ".", "nothing", "link", "a\0b", "x" * 3000):
        with pytest.raises(NotFoundError, match="There is no file"):
            ran.artifact("e", 1, path)
    assert [artifact.path for artifact in ran.artifacts("e", 1)] == ["number"]


def test_an_export_holds_all_trials(ran: Verbs) -> None:
    """JSON and CSV hold the same trials as the pages do."""
    exported = json.loads("".join(ran.export("e")))
    assert exported["experiment"] == "e" and exported["created_at"].endswith("+00:00")
    pages = every(lambda cursor: ran.export_trials("e", cursor=cursor, limit=2))
    assert exported["trials"] == [trial.to_json() for trial in pages]
    rows = list(csv.DictReader(io.StringIO("".join(ran.export("e", "csv")))))
    assert [float(row["parameter:x"]) for row in rows] == [trial["parameters"]["x"] for trial in exported["trials"]]


def test_a_report_is_one_file(bench: Bench, ran: Verbs) -> None:
    """It is given as a text, and written for its owner alone, where the experiment then says it is."""
    assert ran.experiment("e").report is None
    assert "<html" in ran.report("e")
    written = ran.write_report("e")
    assert ran.experiment("e").report == written
    assert stat.S_IMODE(Path(bench.service.write_report("e").path).stat().st_mode) == 0o600


def test_charts(ran: Verbs) -> None:
    """A chart is an SVG; one that there is not is told."""
    names = ("history", "history-over-time", "learning-curves", "outcomes", "timeline", "parallel", "importance")
    for chart in (*names, "ribbon", "lineage"):
        drawn = ran.chart("e", chart)
        assert drawn.svg is None or drawn.svg.startswith("<svg ")
    assert "data-trial" in (ran.chart("e").svg or "")
    assert ran.chart("e", "slice", of=["x"]).title == "x"
    assert ran.chart("e", filter=TrialFilter(within={"x": Range(low=0.5)})).title == ran.chart("e").title
    with pytest.raises(SpecError, match=r"^in\.y: "):
        ran.chart("e", filter=TrialFilter(within={"y": Range(low=0.5)}))
    for of in ([], ["x", "x"]):
        with pytest.raises(SpecError, match="about 1 parameter"):
            ran.chart("e", "slice", of=of)
    with pytest.raises(NotFoundError, match="no parameter 'y'"):
        ran.chart("e", "slice", of=["y"])
    with pytest.raises((NotFoundError, SpecError), match=r"\bhistory\b"):
        ran.chart("e", "histery")  # type: ignore[arg-type]


def test_events_begin_behind_one(ran: Verbs) -> None:
    """The audit trail can be read to its end in parts."""
    whole = ran.events("e")
    first = ran.events("e", limit=3)
    assert first + ran.events("e", after=first[-1].id) == whole
    assert whole[0].kind == "created" and len(whole) > 6


def test_events_of_a_trial(ran: Verbs) -> None:
    """They are those of the whole trail that are about it, and can be read in parts as well."""
    mine = ran.events("e", trial=2)
    assert mine == tuple(event for event in ran.events("e") if event.trial == 2)
    assert [event.kind for event in mine] == ["suggested", "started", "ended"]
    assert ran.events("e", mine[0].id, 1, trial=2) == mine[1:2]
    with pytest.raises(NotFoundError, match="'e' has no trial 7"):
        ran.events("e", trial=7)


def test_an_overview_is_a_search_at_one_moment(bench: Bench, verbs: Verbs) -> None:
    """It has what runs and waits, how far that is, what ended last, the latest first, and why trials failed."""
    for number, state in enumerate((SUCCEEDED, FAILED, RUNNING, WAITING), 1):
        bench.add(number, state, 0.5 if state is SUCCEEDED else None)
    with bench.service.store.transaction() as tx:
        tx.add_reports(AttemptKey("e", 3, 1), [Report(4, {"accuracy": 0.3}, 5.0)])
    now = verbs.overview("e", recent=1)
    assert [trial.number for trial in now.unfinished] == [3, 4]
    assert [trial.number for trial in now.ended] == [2]
    later, earlier = verbs.overview("e", recent=9).ended_places
    assert (later,) == now.ended_places and later > earlier
    assert (now.latest[3].step, now.latest[3].value, now.ended_count) == (4, 0.3, 2)
    assert (now.failures, now.remaining_seconds) == ({Cause.CRASHED: 1}, None)
    assert [(one.cause, one.trials, one.number) for one in now.result.failures] == [(Cause.CRASHED, 1, 2)]
    assert now.experiment == verbs.experiment("e") and now.result == verbs.result("e")


def test_what_was_gained_over_the_default(bench: Bench, verbs: Verbs) -> None:
    """Default, target and gain are told alike by lists and results; a default trained in part has no value yet."""
    verbs.update("e", {"objective.target": 0.9})
    store = bench.service.store
    with store.transaction() as tx:
        tx.add_trial("e", 1, {"x": 0.5}, "default", 0.5, None)
        tx.start_attempt(AttemptKey("e", 1, 1))
        tx.finish_trial(AttemptKey("e", 1, 1), AttemptEnd(SUCCEEDED, value=0.25))
    bench.add(2, SUCCEEDED, 0.75)
    (line,) = verbs.experiments().items
    assert (line.default, line.gain, verbs.result("e").gain) == (None, None, None)
    with store.transaction() as tx:
        tx.add_trial("e", 3, {"x": 0.5}, "promoted from trial 1", 1.0, 1)
        tx.start_attempt(AttemptKey("e", 3, 1))
        tx.finish_trial(AttemptKey("e", 3, 1), AttemptEnd(SUCCEEDED, value=0.5))
    (line,), result = verbs.experiments().items, verbs.result("e")
    assert line.default is not None and result.default is not None
    assert (line.default.number, line.default.value, line.gain) == (3, 0.5, 0.25)
    assert (result.default.number, result.default.value, result.gain) == (3, 0.5, 0.25)
    assert line.objective == result.objective and line.objective.target == 0.9


# Lists ----------------------------------------------------------------------------------------------------


def numbers(page: Page[Any]) -> list[Any]:
    """Return what tells the items of a page apart."""
    return [getattr(item, "number", None) or getattr(item, "name", None) or item.id for item in page.items]


def test_pages_of_experiments_stay_while_new_ones_come(bench: Bench) -> None:
    """Read to the end, each experiment that was there comes once, the newest first, whatever begins meanwhile."""
    verbs = bench.verbs
    for number in range(7):
        verbs.create({**SPEC, "name": f"e{number}"})
    page = verbs.experiments(limit=3)
    found = numbers(page)
    while page.next is not None:
        verbs.create({**SPEC, "name": f"later{len(found)}"})
        page = verbs.experiments(limit=3, cursor=page.next)
        found += numbers(page)
    assert found == [f"e{number}" for number in reversed(range(7))]
    assert numbers(verbs.experiments(search="LATER", limit=1)) == ["later6"]
    bench.end("e3")
    assert numbers(verbs.experiments(states=[ExperimentState.COMPLETED])) == ["e3"]


@pytest.mark.parametrize("sort", get_args(ExperimentOrder))
def test_experiments_are_sorted(bench: Bench, sort: ExperimentOrder) -> None:
    """A list goes by name or age, either way round, over its pages, which stay while others come and go."""
    verbs, created = bench.verbs, ["m", "b", "z", "a", "k"]
    for name in created:
        verbs.create({**SPEC, "name": name})
    wanted = sorted(created) if sort.endswith("name") else created
    page = verbs.experiments(sort=sort, limit=2)
    found = numbers(page)
    bench.end(found[-1])
    verbs.delete(found[-1])
    while page.next is not None:
        page = verbs.experiments(sort=sort, limit=2, cursor=page.next)
        found += numbers(page)
    assert found == (wanted[::-1] if sort.startswith("-") else wanted)


def test_an_order_that_is_none(bench: Bench) -> None:
    """What experiments can't be sorted by is refused, with what they can be."""
    with pytest.raises(SpecError, match="sort") as caught:
        bench.verbs.experiments(sort="best")  # type: ignore[arg-type]
    assert "-created" in str(caught.value)


@pytest.mark.parametrize("sort", ["number", "-number", "value", "-value", "x", "-duration"])
def test_pages_of_trials_stay_while_new_ones_come(bench: Bench, verbs: Verbs, sort: str) -> None:
    """Read to the end in any order, each trial that was there comes once and in its place."""
    values = {1: 0.5, 2: None, 3: 0.5, 4: 0.1, 5: 0.9, 6: None, 7: 0.2}
    for number, value in values.items():
        bench.add(number, SUCCEEDED if value is not None else FAILED, value)
    page = verbs.trials("e", sort=sort, limit=2)
    assert page.count == len(values)
    found, later = numbers(page), 8
    while page.next is not None:
        bench.add(later, SUCCEEDED, 0.5)
        later += 1
        page = verbs.trials("e", sort=sort, limit=2, cursor=page.next)
        assert page.count == later - 1
        found += numbers(page)
    kept = [number for number in found if number in values]
    sign = -1 if sort.startswith("-") else 1

    def place(number: int) -> tuple[bool, float, int]:
        value = (values[number] or 0.0) if sort.endswith("value") else 0.0
        return sort.endswith("value") and values[number] is None, sign * value, sign * number

    assert kept == sorted(values, key=place)
    assert len(found) == len(set(found))


def test_trials_of_a_kind(bench: Bench, verbs: Verbs) -> None:
    """States, causes, origins and values choose among the trials, alike in lists and exports, and are counted."""
    for number, state in enumerate((SUCCEEDED, FAILED, RUNNING, WAITING, FAILED), 1):
        bench.add(number, state, 0.5 if state is SUCCEEDED else None)
    selections = [
        (TrialFilter(), [1, 2, 3, 4, 5]),
        (TrialFilter(states=(FAILED, RUNNING)), [2, 3, 5]),
        (TrialFilter(causes=(Cause.CRASHED, Cause.TIMEOUT)), [2, 5]),
        (TrialFilter(causes=(Cause.GPU_OOM,)), []),
        (TrialFilter(origins=("random", "model")), [1, 2, 3, 4, 5]),
        (TrialFilter(origins=("model",)), []),
        (TrialFilter(within={"number": Range(low=4)}), [4, 5]),
        (TrialFilter(within={"number": (4, 2)}), [2, 4]),
        (TrialFilter(within={"x": Range(low=0.002, high=0.004)}), [2, 3, 4]),
        (TrialFilter(within={"x": Range(high=0.004), "value": Range()}), [1]),
        (TrialFilter(within={"value": (0.5, 0.6)}, states=(SUCCEEDED,)), [1]),
        (TrialFilter(within={"start": Range(low=2), "end": Range(high=2.5)}), []),
        (TrialFilter(within={"duration": (1.0,)}), [1, 2, 5]),
    ]
    for wanted, chosen in selections:
        page = verbs.trials("e", filter=wanted, sort="-number", limit=1)
        assert (numbers(page), page.count) == (chosen[-1:], len(chosen)), wanted
        pages = every(lambda cursor: verbs.trials("e", filter=wanted, cursor=cursor, limit=2))  # noqa: B023 - at once
        assert [trial.number for trial in pages] == chosen, wanted
        exported = every(lambda cursor: verbs.export_trials("e", filter=wanted, cursor=cursor, limit=2))  # noqa: B023
        assert [trial.number for trial in exported] == chosen, wanted
        rows = csv.DictReader(io.StringIO("".join(verbs.export("e", "csv", filter=wanted))))
        assert [int(row["number"]) for row in rows] == chosen, wanted
        whole = json.loads("".join(verbs.export("e", filter=wanted)))
        assert [trial["number"] for trial in whole["trials"]] == chosen, wanted


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"sort": "-xx"}, r"^sort: 'xx' is neither a parameter nor one of number, value.*\. Did you mean 'x'\?"),
        ({"filter": TrialFilter(within={"valu": Range()})}, r"^in\.valu: 'valu' is neither.*Did you mean 'value'\?"),
        ({"filter": TrialFilter(within={"x": ("a",)})}, r"^in\.x: 'a' is no number\. Write it like 0\.001\.\.0\.1"),
        ({"filter": TrialFilter(within={"x": Range(low=2, high=1)})}, r"^in\.x: 2\.\.1 is empty\. Write 1\.\.2"),
        ({"filter": TrialFilter(origins=("modell",))}, r"^origin: 'modell' is none\. Did you mean 'model'\?"),
        ({"sort": "value", "cursor": "no cursor"}, r"^cursor: 'no cursor' is none"),
        ({"cursor": "nan 1"}, r"^cursor: 'nan 1' is none"),
    ],
)
def test_selections_that_are_none(verbs: Verbs, asked: Mapping[str, Any], told: str) -> None:
    """What is asked for and can't be is told with field, value and remedy."""
    with pytest.raises(SpecError, match=told):
        verbs.trials("e", **asked)


#: Verbs that give pages → what they are about.
PAGES = {"experiments": (), "trials": ("e",), "export_trials": ("e",), "jobs": ()}


def test_limits_are_checked(verbs: Verbs) -> None:
    """A page has an item at least, and no more than can be read at once."""
    for verb, about in PAGES.items():
        for limit in (0, -1, MOST + 1):
            with pytest.raises(SpecError, match=r"^limit: "):
                getattr(verbs, verb)(*about, limit=limit)


def test_cursors_that_nobody_gave(verbs: Verbs) -> None:
    """Anything else than the `next` of a page is refused."""
    for verb, about in PAGES.items():
        with pytest.raises(SpecError, match=r"^cursor: "):
            getattr(verbs, verb)(*about, cursor="no cursor")


def test_what_has_changed_is_told_by_versions(bench: Bench, verbs: Verbs) -> None:
    """Each experiment and job that was touched is told once, with its own version; nothing where nothing was."""
    before = verbs.changes()
    assert [(one.kind, one.name) for one in before.items] == [("experiment", "e")]
    assert verbs.changes(before.version).items == ()
    verbs.create({**SPEC, "name": "f"})
    job = verbs.evaluate("f")
    bench.add(1)
    now = verbs.changes(before.version)
    assert [(one.kind, one.name, one.id) for one in now.items] == [
        ("experiment", "f", None),
        ("job", None, job.id),
        ("experiment", "e", None),
    ]
    assert now.version == now.items[-1].version == verbs.experiment("e").version
    assert verbs.changes(now.version).version == now.version


# Submitting -----------------------------------------------------------------------------------------------


def test_a_check_tells_what_follows_and_records_nothing(bench: Bench) -> None:
    """Algorithm, number of trials, parameters and what a line says are told; wrong specs are refused."""
    checked = bench.verbs.check(SPEC, line="step 3: accuracy=0.5")
    assert (checked.experiment, checked.algorithm, checked.max_trials) == ("e", "random", 3)
    (parameter,) = checked.parameters
    assert (parameter.name, parameter.domain, parameter.fixed) == ("x", "0 … 1", False)
    assert parameter.declaration == {"low": 0.0, "high": 1.0, "type": "float"}
    assert 1 <= checked.at_once <= 3 and "at once" in checked.concurrency and checked.estimate is None
    assert checked.line is not None and checked.line.metrics == {"accuracy": 0.5}
    assert bench.verbs.experiments().items == ()
    with pytest.raises(SpecError, match="max_trials"):
        bench.verbs.check({**SPEC, "max_trials": 0})
    for_ever = {**SPEC, "metric_pattern": r"(?P<name>(a+)+)=(?P<value>.*)$"}
    with pytest.raises(SpecError, match="metric_pattern: it takes longer than 1 s for this line"):
        bench.verbs.check(for_ever, line="a" * 60 + "!")


def test_an_earlier_search_tells_how_long_a_new_one_takes(bench: Bench, ran: Verbs) -> None:
    """It must have trained the same; who may not see it is told nothing."""
    checked = ran.check({**SPEC, "name": "new", "max_trials": 30, "max_concurrency": 1})
    assert checked.estimate is not None and checked.estimate.experiment == "e"
    assert checked.estimate.trials > 0 and f"of {checked.estimate.experiment}" in checked.estimate.told
    assert checked.estimate.seconds == pytest.approx(30 * checked.estimate.trial_seconds)
    assert checked.estimate.trial_seconds > 0
    other = {**SPEC, "name": "new", "command": ["sh", "-c", "echo accuracy=1 {x}"]}
    assert ran.check(other).estimate is None
    unknown = ran.check(other, measure=True)
    assert unknown.estimate is None and "only its program knows" in unknown.not_estimated
    ran.update("e", {"visibility": "private"})
    there = bench.as_caller(Caller(name="ada", role="user", run_code=True))
    assert there.check({**SPEC, "name": "new"}).estimate is None


def test_what_becomes_of_a_spec(bench: Bench) -> None:
    """A new name begins, a known one goes on, one that ended is finished, another spec is refused or renamed."""
    verbs = bench.verbs
    assert verbs.create(SPEC).kind == "new"
    assert verbs.create(SPEC).kind == "continued"
    bench.end()
    assert verbs.create(SPEC).kind == "finished"
    assert verbs.create({**SPEC, "max_trials": 5}).kind == "continued"
    with pytest.raises(ConflictError, match="exists with another spec"):
        verbs.create({**SPEC, "seed": 7})
    assert verbs.create({**SPEC, "seed": 7}, new="always").name == "e-2"
    with pytest.raises(UserError):
        verbs.create({**SPEC, "name": "wrong", "parameters": {}})
    assert [one.name for one in verbs.experiments().items] == ["e-2", "e"]


def test_a_search_that_is_continued_from_elsewhere_goes_on(bench: Bench) -> None:
    """Nobody there runs it, so its controller is asked to, where it rests; one that goes on anyway needs nothing."""
    there = bench.as_caller(Caller(name="ada", role="user", run_code=True))
    for _ in range(2):
        there.create(SPEC)
    assert bench.service.store.requests("ada/e") == []
    with bench.service.store.transaction() as tx:
        tx.set_experiment_state("ada/e", ExperimentState.CREATED, ExperimentState.PAUSED)
    assert there.create(SPEC).kind == "continued"
    assert [request.verb for request in bench.service.store.requests("ada/e")] == ["resume"]


#: What lets a search go on that has ended, with a trial that failed among its own, and what does not.
GOING_ON: Mapping[str, Callable[[Verbs], object]] = {
    "create": lambda verbs: verbs.create({**SPEC, "max_trials": 5}),
    "update": lambda verbs: verbs.update("e", {"max_trials": 5, "tags": ["longer"]}),
    "retry": lambda verbs: verbs.retry("e"),
    "retry_trial": lambda verbs: verbs.retry_trial("e", 1),
}
STAYING: Mapping[str, Callable[[Verbs], object]] = {
    "create": lambda verbs: verbs.create({**SPEC, "max_concurrency": 2}),
    "update": lambda verbs: verbs.update("e", {"max_trials": 2, "max_concurrency": 2}),
    "facts": lambda verbs: verbs.update("e", {"tags": ["seen"]}),
}


@pytest.mark.parametrize("verb", GOING_ON)
def test_nobody_sees_the_old_end_of_a_search_that_goes_on(bench: Bench, verbs: Verbs, verb: str) -> None:
    """Once it is answered that it goes on, it has not ended, whether or not a controller is there to run it."""
    bench.add(1, FAILED)
    bench.service.store.request("e", "stop")  # was meant for what has ended
    bench.end()
    assert verbs.experiment("e").detail and verbs.experiment("e").ended_at
    GOING_ON[verb](verbs)
    one = verbs.experiment("e")
    assert (one.state, one.running, one.stop_rule, one.detail) == (ExperimentState.RUNNING, False, None, "")
    assert one.ended_at is None and "stop" not in dict(asked(bench))


@pytest.mark.parametrize("verb", STAYING)
def test_an_end_stays_where_nothing_lets_the_search_go_on(bench: Bench, verbs: Verbs, verb: str) -> None:
    """A change that leaves it nothing to do does not have it run for nothing."""
    bench.end()
    STAYING[verb](verbs)
    assert verbs.experiment("e").state is ExperimentState.COMPLETED
    assert (
        verbs.create({**SPEC, "max_concurrency": 2, **({"max_trials": 2} if verb == "update" else {})}).kind
        == "finished"
    )


def test_names_are_taken_as_addresses_write_them(bench: Bench, verbs: Verbs) -> None:
    """Who copies `OWNER~NAME` from an address means the same experiment."""
    there = bench.as_caller(Caller(name="ada", role="user", run_code=True))
    there.create(SPEC)
    for name in ("ada~e", "ada/e"):
        assert verbs.experiment(name) == there.experiment("e")
    assert verbs.experiment("owner~e") == verbs.experiment("e")
    verbs.pause("ada~e")
    assert [request.verb for request in bench.service.store.requests("ada/e")] == ["pause"]
    for name in ("ada~f", "ada~e~f", "ada~"):
        with pytest.raises(NotFoundError):
            verbs.experiment(name)


def test_a_budget_can_be_changed(verbs: Verbs) -> None:
    """What says how far a search goes can be changed, nothing else, and to nothing that is wrong."""
    changed = verbs.update("e", {"max_trials": 8, "objective.target": 0.9})
    assert changed.max_trials == 8 and changed.spec["objective"]["target"] == 0.9
    assert changed == verbs.experiment("e")
    with pytest.raises(SpecError, match="seed: it can't be changed"):
        verbs.update("e", {"seed": 3})
    with pytest.raises(SpecError, match="max_trials"):
        verbs.update("e", {"max_trials": -1})
    assert verbs.experiment("e") == changed


def test_a_budget_holds_what_has_begun(bench: Bench, verbs: Verbs) -> None:
    """A search can't be given fewer trials than it has begun, only just as many: then it ends with those."""
    for number in (1, 2):
        bench.add(number, SUCCEEDED, 0.5)
    with pytest.raises(SpecError, match=r"max_trials: 2 trials have begun already.*or stop the search"):
        verbs.update("e", {"max_trials": 1})
    assert verbs.update("e", {"max_trials": 2}).max_trials == 2


def test_the_version_grows_with_every_change(verbs: Verbs) -> None:
    """It is what changes are counted by, and stays the same while there are none."""
    before = verbs.version()
    assert verbs.version() == before >= verbs.changes().version
    verbs.update("e", {"max_trials": 8})
    assert verbs.version() > before
    assert [one.name for one in verbs.changes(before).items] == ["e"]


def test_what_people_set_of_an_experiment(verbs: Verbs) -> None:
    """Facts are there at once, with a budget or without; one wrong value, and nothing is changed."""
    facts = {"description": "first try\n", "tags": ["a", "b", "a"], "project": "signs", "weight": 2, "max_trials": 8}
    changed = verbs.update("e", {**facts, "visibility": "private"})
    assert (changed.description, changed.tags, changed.project) == ("first try", ("a", "b"), "signs")
    assert (changed.weight, changed.visibility, changed.max_trials) == (2.0, "private", 8)
    assert [one.name for one in verbs.experiments(project="signs").items] == ["e"]
    for field, value in (
        ("weight", 0),
        ("weight", float("inf")),
        ("weight", True),
        ("tags", 5),
        ("tags", ["a, b"]),
        ("tags", ["a\x1b[0m"]),
        ("tags", [""]),
        ("tags", [str(number) for number in range(21)]),
        ("tags", ["a" * 51]),
        ("project", "a\nb"),
        ("description", "a" * 10_001),
        ("description", "\ud800"),
        ("visibility", "all"),
    ):
        with pytest.raises(SpecError, match=field):
            verbs.update("e", {"max_trials": 9, field: value})
    assert verbs.experiment("e") == changed
    with pytest.raises(SpecError, match=r"tag: it can't be changed\. Did you mean 'tags'"):
        verbs.update("e", {"tag": []})


def test_experiments_are_found_by_their_tags(verbs: Verbs) -> None:
    """By whole ones, whatever is in them."""
    verbs.update("e", {"tags": ["a", 'b "] ["c', "ä"]})
    for tags, found in (
        (["a"], ["e"]),
        (["ä"], ["e"]),
        (['b "] ["c'], ["e"]),
        (["ä", "a", "a"], ["e"]),
        (["a", "b"], []),
        (["b"], []),
        (['"'], []),
        ([""], []),
    ):
        assert [one.name for one in verbs.experiments(tags=tags, states=[ExperimentState.CREATED]).items] == found
    with pytest.raises(SpecError, match="21 are too many"):
        verbs.experiments(tags=[str(number) for number in range(21)])


def test_what_people_say_stands_in_the_spec(bench: Bench, verbs: Verbs) -> None:
    """It is there from the start, and in whatever tells of the experiment; a clone has it as it is by then."""
    said = {"project": " signs ", "tags": "first", "description": "What was meant.\r\nNext line. "}
    assert verbs.create({**SPEC, **said, "name": "told"}).kind == "new"
    read, result, exported = verbs.experiment("told"), verbs.result("told"), json.loads("".join(verbs.export("told")))
    for one in (read, result):
        assert (one.project, one.tags, one.description) == ("signs", ("first",), "What was meant.\nNext line.")
    assert (exported["project"], exported["tags"]) == ("signs", ["first"]) and exported["description"]
    verbs.update("told", {"project": "", "tags": ["second"]})
    cloned = verbs.clone("told").spec
    assert (cloned["project"], cloned["tags"]) == (None, ["second"])
    assert verbs.experiment("told").spec["tags"] == ["second"]


def test_a_list_of_a_project_comes_in_pages(bench: Bench, verbs: Verbs) -> None:
    """However few of all experiments are of it; what is private is on nobody else's pages."""
    for number in range(5):
        said = {"project": "p" if number % 2 == 0 else "q", "tags": ["t", str(number)]}
        verbs.create({**SPEC, **said, "name": f"of-{number}"})
    verbs.update("of-2", {"visibility": "private"})

    def names(of: Verbs) -> list[str]:
        return [one.name for one in every(lambda at: of.experiments(project="p", tags=["t"], cursor=at, limit=1))]

    assert names(verbs) == ["of-4", "of-2", "of-0"]
    assert names(bench.as_caller(Caller(name="eve", role="viewer"))) == ["of-4", "of-0"]


def test_a_change_is_meant_for_what_its_caller_has_seen(bench: Bench, verbs: Verbs) -> None:
    """A revision grows with every change of spec or facts, and with nothing else; an older one changes nothing."""
    seen = verbs.experiment("e")
    bench.add(1, value=0.5)
    assert verbs.experiment("e").version > seen.version and verbs.experiment("e").revision == seen.revision
    changed = verbs.update("e", {"weight": 2}, revision=seen.revision)
    assert changed.revision > seen.revision
    with pytest.raises(ConflictError, match="changed meanwhile") as caught:
        verbs.update("e", {"max_trials": 9}, revision=seen.revision)
    assert caught.value.kind == "stale"
    assert verbs.experiment("e") == changed
    assert verbs.update("e", {"max_trials": 9}, revision=changed.revision).max_trials == 9


def test_changes_of_several_callers_are_all_kept(bench: Bench, verbs: Verbs) -> None:
    """At the same moment, each changes its field, and none is lost."""
    fields = {"max_trials": 8, "max_concurrency": 2, "max_attempts": 5, "objective.target": 0.5, "max_failed_trials": 3}
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda field: verbs.update("e", {field: fields[field]}), fields))
    spec = verbs.experiment("e").spec
    assert {**spec, "objective.target": spec["objective"]["target"]}.items() >= fields.items()


def test_a_budget_is_changed_while_the_search_runs(bench: Bench, tmp_path: Path) -> None:
    """A running search goes on with it, and takes a configuration of one's own, which is told like every other."""
    go_on = tmp_path / "go on"
    command = ["sh", "-c", f"while [ ! -e '{go_on}' ]; do sleep 0.05; done; echo accuracy={{x}}"]
    bench.verbs.create({**SPEC, "command": command, "max_trials": 1})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.service.run, "e", Given(follow_up=False))
        wait_until(lambda: bench.verbs.experiment("e").trials[RUNNING] == 1)
        assert bench.verbs.update("e", {"max_trials": 3, "max_concurrency": 2}).max_trials == 3
        assert bench.verbs.add_trial("e", {"x": 0.75}).parameters == {"x": 0.75}
        wait_until(lambda: not asked(bench))
        go_on.touch()
        assert running.result()
    trials = bench.verbs.trials("e").items
    assert [trial.state for trial in trials] == [SUCCEEDED] * 3
    assert [(trial.parameters["x"], trial.value) for trial in trials if trial.origin == "own"] == [(0.75, 0.75)]


def test_configurations_that_are_not_taken(bench: Bench, verbs: Verbs) -> None:
    """What is none of the space, was tried, or finds no trial left is refused at once, and says why."""
    with pytest.raises(SpecError, match=r"parameters\.y: there is no such parameter\. Known: x"):
        verbs.add_trial("e", {"x": 0.5, "y": 0.5})
    with pytest.raises(SpecError, match=r"parameters\.x: it is active here but has no value"):
        verbs.add_trial("e", {})
    with pytest.raises(SpecError, match=r"parameters\.x: 2 is outside 0 … 1"):
        verbs.add_trial("e", {"x": 2})
    bench.add(1, value=0.5)
    with pytest.raises(ConflictError, match="trial 1 has this configuration already"):
        verbs.add_trial("e", {"x": 0.001})
    verbs.add_trial("e", {"x": 0.5})
    with pytest.raises(ConflictError, match="has been added already"):
        verbs.add_trial("e", {"x": 0.5})
    verbs.add_trial("e", {"x": 0.25})
    with pytest.raises(ConflictError, match=r"makes 3 trials, and all of them are given out.*Raise `max_trials`"):
        verbs.add_trial("e", {"x": 0.125})
    assert asked(bench) == [("add_trial", None)] * 2
    bench.end()
    with pytest.raises(ConflictError, match="has ended already"):
        verbs.add_trial("e", {"x": 0.125})
    population = {"algorithm": {"name": "evolutionary"}, "resumable": True, "max_trials": 8}
    verbs.create({**SPEC, **population, "name": "p"})
    with pytest.raises(ConflictError, match="trains a population in rounds"):
        verbs.add_trial("p", {"x": 0.5})


def test_a_clone_is_a_spec_to_submit(bench: Bench, verbs: Verbs) -> None:
    """It has another name and the changes, no value of the environment, and is taken as it is."""
    clone = verbs.clone("e", {"max_trials": 7, "objective.target": 0.5})
    assert (clone.spec["name"], clone.spec["max_trials"], clone.environment) == ("e-2", 7, ("TOKEN",))
    assert "environment" not in clone.spec and clone.spec["objective"]["target"] == 0.5
    assert verbs.create(clone.spec).kind == "new"
    assert verbs.clone("e").spec["name"] == "e-3"
    assert bench.as_caller(OTHER).clone("owner/e").spec["name"] == "e"
    with pytest.raises(SpecError, match=r"max_trails: there is no such field\. Did you mean 'max_trials'"):
        verbs.clone("e", {"max_trails": 7})


# The bin --------------------------------------------------------------------------------------------------


def test_what_is_in_the_bin_is_out_of_the_way(bench: Bench, ran: Verbs) -> None:
    """It is in no list but that of the bin, keeps its name, can't be commanded, and comes back as it was."""
    before = ran.experiment("e")
    waiting = ran.evaluate("e")
    ran.delete("e")
    assert ran.experiments().items == () == ran.jobs().items
    assert [one.name for one in ran.experiments(deleted=True).items] == ["e"]
    for verb in (ran.experiment, ran.delete, ran.stop, ran.evaluate):
        with pytest.raises(NotFoundError, match=r"There is no experiment 'e': it is in the bin\. Restore it"):
            verb("e")
    with pytest.raises(ConflictError, match=r"'e' is in the bin\. Restore it"):
        ran.create(SPEC)
    restored = ran.restore("e")
    assert restored.model_copy(update={"version": 0, "revision": 0}) == before.model_copy(
        update={"version": 0, "revision": 0}
    )
    assert ran.job(waiting.id).state is JobState.STOPPED
    with pytest.raises(NotFoundError, match=r"'e' is not in the bin\. Delete it first"):
        ran.restore("e")


def test_what_goes_on_is_not_put_into_the_bin(bench: Bench, verbs: Verbs) -> None:
    """Neither a search that has not ended nor one with a job that runs; nothing is changed then."""
    with pytest.raises(ConflictError, match=r"has not ended \(it is created\)\. Stop it first"):
        verbs.delete("e")
    bench.end()
    job = verbs.evaluate("e")
    with bench.service.store.transaction() as tx:
        tx.start_job(job.id, 1, "identity")
    with pytest.raises(ConflictError, match=rf"job {job.id} \(evaluate\) about experiment 'e' is running"):
        verbs.delete("e")
    with bench.service.home.lock("e"), pytest.raises(ConflictError):
        verbs.delete("e")
    assert verbs.experiment("e").state is ExperimentState.COMPLETED


def test_what_is_removed_is_gone(bench: Bench, ran: Verbs) -> None:
    """Nothing of it is left on record or on the disk, others have lost nothing, and its name is free."""
    ran.create({**SPEC, "name": "f"})
    job = ran.evaluate("e")
    bench.service.carry_out(job.id)
    folder = Path(bench.service.experiment("e").folder)
    with pytest.raises(NotFoundError, match="in the bin"):
        ran.purge("e")
    ran.delete("e")
    ran.purge("e")
    assert not folder.exists() and not (bench.service.home.folder / "jobs" / str(job.id)).exists()
    assert not list((bench.service.home.folder / "removed").iterdir())
    assert ran.experiments(deleted=True).items == ()
    assert [one.name for one in ran.experiments().items] == ["f"]
    assert ran.create(SPEC).kind == "new"
    assert ran.trials("e").items == () and len(ran.events("e")) == 1
    assert ran.evaluate("e").id > job.id
    assert bench.service.run("e", Given(follow_up=False))
    assert ran.experiment("e").trials[SUCCEEDED] == 3


# Reports over the network ---------------------------------------------------------------------------------


def running_attempt(bench: Bench) -> Path:
    """Record trial 1 as running, with a folder as it has then; return that."""
    bench.add(1, RUNNING)
    bench.service.home.claim("e")
    folder = bench.service.home.place(AttemptKey("e", 1, 1))
    make_folder(folder, "e 1")
    return folder


def test_reports_go_where_the_program_would_have_written_them(bench: Bench, verbs: Verbs) -> None:
    """They are read from the attempt's folder like all others; sent twice under a key, they count once."""
    folder = running_attempt(bench)
    first = [GivenReport(step=n, metrics={"accuracy": n / 10}, time=datetime.now(UTC)) for n in (1, 2)]
    for _ in range(2):
        assert verbs.add_reports("e", 1, 1, first, key="first") == Taken(reports=2, should_stop=False)
    (folder / "stop.json").write_text("{}")
    nan = GivenReport.model_validate_json('{"metrics": {"accuracy": "NaN"}}')
    assert verbs.add_reports("e", 1, 1, [nan]).should_stop
    found = ReportReader(folder, "accuracy").read_rest()
    assert [report.step for report in found] == [1, 2, 3]
    assert [report.metrics["accuracy"] for report in found[:2]] == [0.1, 0.2] and found[2].metrics["accuracy"] != 0
    assert first[0].time is not None and abs(found[0].time - first[0].time.timestamp()) < 1e-3


def test_reports_that_are_not_taken(bench: Bench, verbs: Verbs) -> None:
    """Only the attempt that runs reports, and no more at once than can be read at once."""
    folder = running_attempt(bench)
    one = GivenReport(metrics={"accuracy": 0.5})
    with pytest.raises(ConflictError, match="attempt 2 at trial 1 of 'e' does not run") as caught:
        verbs.add_reports("e", 1, 2, [one])
    assert caught.value.kind == "attempt-over"
    with pytest.raises(NotFoundError, match="'e' has no trial 7"):
        verbs.add_reports("e", 7, 1, [one])
    for reports in ([], [one] * (MOST + 1)):
        with pytest.raises(SpecError, match=r"^reports: "):
            verbs.add_reports("e", 1, 1, reports)
    with pytest.raises(SpecError, match="bytes"):
        verbs.add_reports("e", 1, 1, [GivenReport(metrics={f"{n:0200}": 1.0 for n in range(200)})] * 40)
    write_exit(folder, Exit())
    with pytest.raises(ConflictError, match="does not run"):
        verbs.add_reports("e", 1, 1, [one])
    assert ReportReader(folder, "accuracy").read_rest() == []


def test_a_table_becomes_an_experiment(bench: Bench) -> None:
    """Its trials are on record as a finished experiment, or none of them are."""
    verbs = bench.verbs
    with pytest.raises(DataError, match=r"t\.csv, row 3"):
        verbs.import_table(SPEC, b"x,accuracy\n0.5,0.7\n7,0.5\n", "t.csv")
    assert verbs.experiments().items == ()
    assert verbs.import_table(SPEC, b"x,accuracy\n0.5,0.7\n", "t.csv").name == "e"
    one = verbs.experiment("e")
    assert (one.state, one.trials[SUCCEEDED]) == (ExperimentState.COMPLETED, 1)
    with pytest.raises(ConflictError):
        verbs.import_table(SPEC, b"x,accuracy\n0.5,0.7\n", "t.csv")


def test_a_search_is_watched_to_its_end(bench: Bench, tmp_path: Path) -> None:
    """What happens comes as it happens, each entry once; it begins where it is to, and ends with the search."""
    go_on = tmp_path / "go on"
    command = ["sh", "-c", f"while [ ! -e '{go_on}' ]; do sleep 0.05; done; echo accuracy={{x}}"]
    bench.verbs.create({**SPEC, "command": command, "max_trials": 1})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.service.run, "e", Given(follow_up=False))
        watched = bench.verbs.watch("e")
        try:
            seen = [next(watched) for _ in range(4)]
        finally:
            go_on.touch()
        seen += watched
        assert running.result()
    assert not any(event.data.get("new") == "completed" for event in seen[:4])
    assert seen == list(bench.service.events("e")) and seen[-1].data["new"] == "completed"
    assert list(bench.verbs.watch("e", seen[0].id)) == seen[1:]


# Commanding -----------------------------------------------------------------------------------------------


def asked(bench: Bench) -> list[tuple[str, int | None]]:
    """Return what the controller of `e` is asked for."""
    return [(request.verb, request.trial) for request in bench.service.store.requests("e")]


def test_what_a_controller_is_asked_for(bench: Bench, verbs: Verbs) -> None:
    """Commands wait for the controller of the experiment, in their order."""
    for number, state in enumerate((RUNNING, FAILED, STOPPED), 1):
        bench.add(number, state)
    verbs.pause("e")
    verbs.resume("e")
    verbs.stop_trial("e", 1)
    assert verbs.retry("e", [3, 2, 3]) == (3, 2)
    assert verbs.retry("e") == (2,)
    assert verbs.retry("e", cause=Cause.CRASHED) == (2,)
    verbs.retry_trial("e", 3)
    assert asked(bench) == [("pause", None), ("resume", None), ("stop_trial", 1), *[("retry", None)] * 4]


def test_commands_that_contradict_the_state(bench: Bench, verbs: Verbs) -> None:
    """What has ended can't be stopped, and only what failed or was stopped runs again; nothing is asked for."""
    bench.add(1, SUCCEEDED, 0.5)
    with pytest.raises(ConflictError, match="Trial 1 of 'e' has ended already"):
        verbs.stop_trial("e", 1)
    with pytest.raises(ConflictError, match="is succeeded: only failed and stopped ones are retried"):
        verbs.retry_trial("e", 1)
    with pytest.raises(ConflictError, match="has no failed trial with cause gpu_oom"):
        verbs.retry("e", cause=Cause.GPU_OOM)
    with pytest.raises(NotFoundError):
        verbs.stop_trial("e", 9)
    with pytest.raises(ConflictError, match="is not paused"):
        verbs.resume("e")
    bench.end()
    for command in (verbs.stop, verbs.pause, verbs.resume):
        with pytest.raises(ConflictError, match="has ended already"):
            command("e")
    assert asked(bench) == []


@NOBODY_RUNS
def test_a_search_that_nobody_runs_is_stopped(verbs: Verbs) -> None:
    """Its end does not wait for a controller."""
    verbs.stop("e")
    assert verbs.experiment("e").state is ExperimentState.STOPPED


def test_a_stop_from_elsewhere_waits_for_a_controller(bench: Bench, verbs: Verbs) -> None:
    """Whoever asks over a network has nothing run in the process that is asked: the request is on record."""
    bench.as_caller(Caller(name="ada", role="administrator")).stop("owner/e")
    assert not verbs.experiment("e").state.final
    assert [request.verb for request in bench.service.store.requests("e")] == ["stop"]


# Jobs -----------------------------------------------------------------------------------------------------


def test_a_job_waits_and_then_has_a_result(bench: Bench, ran: Verbs) -> None:
    """A job is on record before anything of it is done, and its result afterwards."""
    job = bench.as_caller(OTHER).evaluate("owner/e")
    assert (job.kind, job.experiment, job.state, job.caller) == ("evaluate", "e", JobState.WAITING, OTHER.name)
    assert ran.job(job.id) == job
    bench.service.carry_out(job.id)
    assert follow(ran, job) == {"trials": []}
    done = ran.job(job.id)
    assert done.state is JobState.SUCCEEDED and done.version > job.version
    assert done.ended_at is not None and done.created_at <= done.ended_at


def test_a_job_that_fails_says_why(bench: Bench, tmp_path: Path) -> None:
    """A training that ends badly is a failed job with a cause; it can be tried again."""
    mark = tmp_path / "fail"
    command = ["sh", "-c", f"[ -e {mark} ] && exit 3; echo accuracy={{x}}"]
    bench.verbs.create({**SPEC, "command": command})
    assert bench.service.run("e", Given(follow_up=False))
    job = bench.verbs.retrain("e")
    mark.touch()
    bench.service.carry_out(job.id)
    with pytest.raises(JobFailed) as caught:
        follow(bench.verbs, job)
    assert caught.value.cause is Cause.CRASHED is bench.verbs.job(job.id).cause
    mark.unlink()
    bench.verbs.retry_job(job.id)
    bench.service.carry_out(job.id)
    assert follow(bench.verbs, job)["is_model"] is False


def test_a_training_is_of_the_trial_that_was_the_best_when_it_was_asked_for(bench: Bench, ran: Verbs) -> None:
    """A trial that becomes the best afterwards is not taken for the one whose parameters the training had."""
    (best,) = ran.top("e", 1)
    job = ran.retrain("e")
    bench.add(4, SUCCEEDED, value=1e9)
    assert ran.top("e", 1)[0].number == 4
    bench.service.carry_out(job.id)
    assert follow(ran, job)["trial"] == best.number


def test_a_probe_says_what_a_trial_costs(bench: Bench, verbs: Verbs) -> None:
    """The default configuration runs to its first report; time, metrics and memory are the result, and no trial."""
    job = verbs.probe("e")
    bench.service.carry_out(job.id)
    result = follow(verbs, job)
    assert result["seconds"] >= 0 and result["peak_memory_bytes"] > 0
    assert set(result["metrics"]) == {"accuracy"}
    assert verbs.trials("e").items == ()


@IN_PROCESS
def test_data_are_looked_at_as_a_job(bench: Bench, tmp_path: Path) -> None:
    """Every item of a data set is opened; findings and a page are the job's."""
    write_digits(tmp_path / "digits")
    spec = {
        "name": "d",
        "task": "image-classification",
        "data": str(tmp_path / "digits"),
        "network": "small-cnn",
    }
    job = bench.verbs.check_data(spec)
    bench.service.carry_out(job.id)
    result = follow(bench.verbs, job)
    assert result["view"]["broken"] == 0 and result["findings"]
    assert b"<html" in b"".join(bench.verbs.job_artifact(job.id, result["page"]))
    with pytest.raises(SpecError, match="only built-in tasks know their data"):
        bench.verbs.check_data(SPEC)


@IN_PROCESS
def test_an_import_may_take_long(bench: Bench, tmp_path: Path) -> None:
    """A table is imported as a job; what is wrong with it is the job's failure, and a password is refused at once."""
    table = tmp_path / "t.csv"
    table.write_text("x,accuracy\n0.5,0.7\n")
    job = bench.verbs.import_in_background({**SPEC, "name": "t"}, table=table)
    bench.service.carry_out(job.id)
    assert follow(bench.verbs, job) == {"experiment": "t"}
    assert [trial.value for trial in bench.verbs.trials("t").items] == [0.7]
    again = bench.verbs.import_in_background({**SPEC, "name": "t"}, table=table)
    bench.service.carry_out(again.id)
    with pytest.raises(JobFailed, match="'t' exists already"):
        follow(bench.verbs, again)
    with pytest.raises(SpecError, match="holds a password"):
        bench.verbs.import_in_background(SPEC, storage="postgresql://me:s3cret@host/db")
    with pytest.raises(SpecError, match="a table or a storage"):
        bench.verbs.import_in_background(SPEC)


def test_what_is_asked_for_again_is_one_job(bench: Bench, verbs: Verbs) -> None:
    """While a job has not ended, the same wish of the same caller is that job; another wish, or caller, has its own."""
    bench.add(1, value=0.5)
    job = verbs.evaluate("e")
    assert verbs.evaluate("e").id == job.id
    others = [
        bench.as_caller(OTHER).evaluate("owner/e"),
        verbs.evaluate("e", key="once more"),
        verbs.train_finalists("e"),
        verbs.retrain("e"),
        verbs.probe("e"),
        verbs.repeat_finalists("e"),
        verbs.repeat_finalists("e", 5),
    ]
    assert len({job.id, *(other.id for other in others)}) == 8
    assert verbs.repeat_finalists("e").id == others[-2].id
    verbs.stop_job(job.id)
    for other in others[:2]:
        verbs.stop_job(other.id)
    assert verbs.evaluate("e").id > others[-1].id


@pytest.mark.parametrize("seeds", [0, -1, 101])
def test_a_number_of_seeds_is_from_1_to_100(verbs: Verbs, seeds: int) -> None:
    """Another one is refused, and nothing is done."""
    with pytest.raises(SpecError, match="seeds"):
        verbs.repeat_finalists("e", seeds)
    assert verbs.jobs(kind="repeats").items == ()


def test_pages_of_jobs(bench: Bench, verbs: Verbs) -> None:
    """Jobs are listed with the newest first, also those of a kind, about an experiment, or in a state alone."""
    ids = [verbs.evaluate("e", key=str(number)).id for number in range(5)]
    verbs.train_finalists("e")
    page = verbs.jobs(kind="evaluate", limit=2)
    found = numbers(page)
    while page.next is not None:
        verbs.evaluate("e", key=f"after {page.next}")
        page = verbs.jobs(kind="evaluate", limit=2, cursor=page.next)
        found += numbers(page)
    assert found == ids[::-1]
    verbs.stop_job(ids[0])
    assert numbers(verbs.jobs(states=[JobState.STOPPED])) == [ids[0]]
    assert len(verbs.jobs(experiment="e", kind="finalists").items) == 1


def test_jobs_that_contradict_the_state(verbs: Verbs) -> None:
    """What has ended can't be stopped, and what waits is not tried again."""
    job = verbs.evaluate("e")
    with pytest.raises(ConflictError, match="only failed and stopped ones are retried"):
        verbs.retry_job(job.id)
    assert verbs.stop_job(job.id).state is JobState.STOPPED
    with pytest.raises(ConflictError, match="has ended already"):
        verbs.stop_job(job.id)
    assert verbs.retry_job(job.id).state is JobState.WAITING
    for verb in (verbs.stop_job, verbs.retry_job):
        with pytest.raises(NotFoundError, match="There is no job 99"):
            verb(99)
    for read in (verbs.job, verbs.job_log, verbs.job_artifacts):
        with pytest.raises(NotFoundError, match="There is no job 99"):
            read(99)
    with pytest.raises(NotFoundError, match="There is no file"):
        verbs.job_artifact(job.id, "../job.json")
    assert not verbs.job_log(job.id).exists and verbs.job_artifacts(job.id) == ()
    with pytest.raises(NotFoundError, match="has no trial 7"):
        verbs.retrain("e", 7)


# Doing once -----------------------------------------------------------------------------------------------

#: Every verb that changes something → how it is called, with another argument, too, and what it leaves.
Call = Callable[..., Any]
CHANGES: Mapping[str, tuple[Call, Call]] = {
    "create": (lambda v, **k: v.create(SPEC, new="always", **k), lambda v, **k: v.create({**SPEC, "seed": 1}, **k)),
    "update": (
        lambda v, **k: v.update("e", {"max_trials": 8}, **k),
        lambda v, **k: v.update("e", {"max_trials": 9}, **k),
    ),
    "update of facts": (
        lambda v, **k: v.update("e", {"tags": ["a"], "max_trials": 8}, **k),
        lambda v, **k: v.update("e", {"tags": ["b"]}, **k),
    ),
    "add_trial": (lambda v, **k: v.add_trial("f", {"x": 0.5}, **k), lambda v, **k: v.add_trial("f", {"x": 0.7}, **k)),
    "delete": (lambda v, **k: v.delete("ended", **k), lambda v, **k: v.delete("f", **k)),
    "restore": (lambda v, **k: v.restore("binned", **k), lambda v, **k: v.delete("binned", **k)),
    "purge": (lambda v, **k: v.purge("binned", **k), lambda v, **k: v.restore("binned", **k)),
    "import_table": (
        lambda v, **k: v.import_table({**SPEC, "name": "t"}, b"x,accuracy\n0.5,0.7\n", "t.csv", **k),
        lambda v, **k: v.import_table({**SPEC, "name": "t"}, b"x,accuracy\n0.5,0.8\n", "t.csv", **k),
    ),
    "write_report": (lambda v, **k: v.write_report("e", **k), lambda v, **k: v.evaluate("e", **k)),
    "pause": (lambda v, **k: v.pause("e", **k), lambda v, **k: v.resume("e", **k)),
    "resume": (lambda v, **k: v.resume("e", **k), lambda v, **k: v.pause("e", **k)),
    "retry": (lambda v, **k: v.retry("e", [2], **k), lambda v, **k: v.retry("e", [2, 3], **k)),
    "stop_trial": (lambda v, **k: v.stop_trial("e", 1, **k), lambda v, **k: v.stop_trial("e", 4, **k)),
    "retry_trial": (lambda v, **k: v.retry_trial("e", 2, **k), lambda v, **k: v.retry_trial("e", 3, **k)),
    "evaluate": (lambda v, **k: v.evaluate("e", **k), lambda v, **k: v.train_finalists("e", **k)),
    "train_finalists": (lambda v, **k: v.train_finalists("e", **k), lambda v, **k: v.evaluate("e", **k)),
    "repeat_finalists": (
        lambda v, **k: v.repeat_finalists("e", 2, **k),
        lambda v, **k: v.repeat_finalists("e", 3, **k),
    ),
    "retrain": (lambda v, **k: v.retrain("e", 2, **k), lambda v, **k: v.retrain("e", 3, **k)),
    "stop_job": (lambda v, **k: v.stop_job(1, **k), lambda v, **k: v.stop_job(2, **k)),
    "retry_job": (lambda v, **k: v.retry_job(3, **k), lambda v, **k: v.retry_job(1, **k)),
    "add_user": (lambda v, **k: v.add_user("new", **k), lambda v, **k: v.add_user("newer", **k)),
    "change_user": (
        lambda v, **k: v.change_user("ada", {"weight": 2.0}, **k),
        lambda v, **k: v.change_user("ada", {"weight": 3.0}, **k),
    ),
}


@pytest.fixture
def busy(bench: Bench) -> Bench:
    """Verbs whose experiment `e` is to pause, and has trials and jobs in all states."""
    return make_busy(bench)


def make_busy(bench: Bench) -> Bench:
    """Arrange what `busy` has, in an empty home."""
    verbs = bench.service
    verbs.add_user("ada")
    verbs.create(SPEC)
    verbs.pause("e")
    verbs.create({**SPEC, "name": "f", "max_trials": 20})
    for name in ("ended", "binned"):
        verbs.create({**SPEC, "name": name})
        bench.end(name)
    verbs.delete("binned")
    for number, state in enumerate((RUNNING, FAILED, STOPPED, RUNNING), 1):
        bench.add(number, state)
    for wish in range(3):
        verbs.evaluate("e", key=str(wish))
    verbs.stop_job(3)
    return bench


def left_by(bench: Bench) -> tuple[Any, ...]:
    """Return all that commands may leave; numbers of jobs aside, which have gaps where a transaction was undone."""
    verbs = bench.verbs
    jobs = [(job.kind, job.state) for job in verbs.jobs().items]
    spec = verbs.experiment("e").spec
    names = [[one.name for one in verbs.experiments(deleted=deleted).items] for deleted in (False, True)]
    wishes = [(request.verb, request.data) for request in bench.service.store.requests("f")]
    return asked(bench), wishes, names, jobs, spec, len(verbs.events("e"))


@pytest.fixture(scope="module")
def left_undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, ...]]:
    """Of a verb, what it leaves where all goes well; it is the same for all implementations."""

    @cache
    def left(verb: str) -> tuple[Any, ...]:
        home = tmp_path_factory.mktemp("undisturbed")
        with in_process(home, f"sqlite:///{home}/tunewell.sqlite") as bench:
            CHANGES[verb][0](make_busy(bench).verbs, key="k")
            return left_by(bench)

    return left


@pytest.mark.parametrize("verb", CHANGES)
def test_a_key_does_a_thing_once(busy: Bench, verb: str) -> None:
    """Asked again under its key, nothing more is done, and the answer is the same.

    A key that was used for something else is refused, and nothing is done; another caller's is another key.
    """
    call, other = CHANGES[verb]
    answer = call(busy.verbs, key="k")
    left = left_by(busy)
    assert call(busy.verbs, key="k") == answer
    assert left_by(busy) == left
    with pytest.raises(ConflictError, match="'k' was used for another request"):
        other(busy.verbs, key="k")
    assert left_by(busy) == left
    if verb in ("pause", "retry", "evaluate"):
        getattr(busy.as_caller(OTHER), verb)("owner/e", key="k")
        assert left_by(busy) != left


@pytest.mark.parametrize("verb", CHANGES)
def test_a_key_does_a_thing_once_even_at_once(
    busy: Bench, verb: str, left_undisturbed: Callable[[str], tuple[Any, ...]]
) -> None:
    """Asked several times at the same moment, a thing is done once, and all get the same answer."""
    call, _ = CHANGES[verb]
    together = Barrier(8)

    def ask(_: int) -> Any:
        together.wait(60)
        return call(busy.verbs, key="k")

    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(ask, range(8))
    assert others == [first] * 7
    assert left_by(busy) == left_undisturbed(verb)


def test_new_names_at_once(bench: Bench) -> None:
    """However many ask for a new experiment at the same moment, each gets one of its own."""
    together = Barrier(8)

    def ask(number: int) -> str:
        together.wait(60)
        submission = bench.verbs.create({**SPEC, "seed": number % 2}, new="always", key=str(number))
        assert submission.kind == "new"
        return submission.name

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(ask, range(8)))
    assert names == {"e", *(f"e-{number}" for number in range(2, 9))}


def test_what_was_restored_once_was_restored(busy: Bench) -> None:
    """Asked again under its key, a restoration has its first answer, whatever was done since."""
    first = busy.verbs.restore("binned", key="k")
    busy.verbs.delete("binned")
    assert busy.verbs.restore("binned", key="k") == first
    assert [one.name for one in busy.verbs.experiments(deleted=True).items] == ["binned"]
    busy.verbs.purge("binned")
    assert busy.verbs.restore("binned", key="k") == first


@pytest.mark.one_database("what fails stands before the database")
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.TIME_OUT, Fault.DONE_THEN_ERROR])
@pytest.mark.parametrize("verb", CHANGES)
def test_an_answer_that_was_lost(
    busy: Bench, verb: str, fault: Fault, left_undisturbed: Callable[[str], tuple[Any, ...]]
) -> None:
    """Asked again under its key after any failure of the store, a thing has been done once in the end."""
    call, _ = CHANGES[verb]
    faults = Faults({1: fault, 3: fault}, on=["transaction"])
    busy.service.store = faulty(busy.service.store, faults)
    for _ in range(4):
        with suppress(UserError):
            call(busy.verbs, key="k")
            break
    else:
        pytest.fail("it never succeeded")
    assert faults.happened[fault] >= 1
    faults.active = False
    assert left_by(busy) == left_undisturbed(verb)


def test_a_wish_that_was_refused_may_be_repeated(busy: Bench) -> None:
    """An error is no answer: under the same key it can be tried again."""
    with pytest.raises(ConflictError):
        busy.verbs.retry_job(1, key="k")
    busy.verbs.stop_job(1)
    assert busy.verbs.retry_job(1, key="k").state is JobState.WAITING


@NOBODY_RUNS
def test_what_was_stopped_once_is_stopped(verbs: Verbs) -> None:
    """A stop that is asked for again under its key is no error although the search has ended meanwhile."""
    verbs.stop("e", key="k")
    verbs.stop("e", key="k")
    with pytest.raises(ConflictError, match="has ended already"):
        verbs.stop("e")


# The service ----------------------------------------------------------------------------------------------


def test_what_there_is(bench: Bench) -> None:
    """Tasks, their networks and the machine are described."""
    tasks = {task.name: task for task in bench.verbs.tasks()}
    assert "resnet18" in tasks["image-classification"].networks
    network = bench.verbs.network("resnet18")
    assert {"image-classification", "multilabel-classification"} <= set(network.tasks)
    algorithms = {algorithm.name: algorithm for algorithm in bench.verbs.algorithms()}
    assert next(iter(algorithms)) == "auto"
    (option,) = algorithms["bayesian"].options
    assert (option.name, option.low, option.high, option.default) == ("initial_trials", 1, 20, 8)
    assert any(parameter.name == "learning_rate" and parameter.source for parameter in network.parameters)
    rate = next(parameter for parameter in network.parameters if parameter.name == "learning_rate")
    assert rate.declaration["log"] and rate.declaration["default"] == rate.default
    assert next(iter(tasks["image-classification"].metrics.items())) == ("accuracy", "maximize")
    with pytest.raises(NotFoundError, match=r"There is no task or network 'resnet1'\. Did you mean 'resnet18'"):
        bench.verbs.network("resnet1")
    (node, *_) = bench.verbs.resources().nodes
    assert node.cpus >= 1 and 0 < node.free_memory_bytes <= node.memory_bytes
