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
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.store.faulty import Fault, Faults, faulty
from tunewell.service.following import JobFailed, follow
from tunewell.service.paging import every
from tunewell.service.running import Given
from tunewell.service.service import Service
from tunewell.service.types import OWNER, Caller, Page
from tunewell.service.verbs import MOST, Verbs
from tunewell.spec.errors import ConflictError, DataError, NotFoundError, SpecError, UserError
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.store.rows import AttemptEnd
from tunewell.tasks.image_classification.digits import write_digits

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
OTHER = Caller(name="somebody else", role="user")
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING
SUCCEEDED, FAILED, STOPPED = TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED


@dataclass(frozen=True)
class Bench:
    """Verbs, and the service that carries them out, to arrange what they meet."""

    verbs: Verbs
    service: Service

    def add(self, number: int, state: TrialState = SUCCEEDED, value: float | None = None, name: str = "e") -> None:
        """Record a trial."""
        key, cause = AttemptKey(name, number, 1), Cause.CRASHED if state is FAILED else None
        with self.service.store.transaction() as tx:
            tx.add_trial(name, number, {"x": number / 1000}, "random", 1.0, None, 1.0)
            if state is not WAITING:
                tx.start_attempt(key, f"identity {name} {number}", 2.0)
            if state.final:
                tx.finish_trial(key, AttemptEnd(state, cause=cause, value=value, now=3.0, seconds=1.0))

    def end(self, name: str = "e") -> None:
        """Record the end of an experiment."""
        with self.service.store.transaction() as tx:
            tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
            tx.set_experiment_state(name, ExperimentState.RUNNING, ExperimentState.COMPLETED)


@contextmanager
def in_process(home: Path, database: str) -> Iterator[Bench]:
    """Give the verbs of this very process."""
    with Service(home, database) as service:
        yield Bench(service, service)


#: Implementation → what gives it on an empty home, and an empty database.
IMPLEMENTATIONS: Mapping[str, Any] = {"in process": in_process}


@pytest.fixture(params=IMPLEMENTATIONS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Bench]:
    """One implementation after the other, on an empty home."""
    with IMPLEMENTATIONS[request.param](tmp_path, database) as bench:
        yield bench


@pytest.fixture
def verbs(bench: Bench) -> Verbs:
    """The verbs, with the experiment `e`, which has not begun."""
    bench.verbs.create(SPEC, caller=OWNER)
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
    "snapshot": lambda verbs: verbs.snapshot("e"),
    "export": lambda verbs: "".join(verbs.export("e")),
    "export csv": lambda verbs: "".join(verbs.export("e", "csv")),
    "report": lambda verbs: verbs.report("e"),
    "chart": lambda verbs: verbs.chart("e"),
    "events": lambda verbs: verbs.events("e"),
    "trials": lambda verbs: verbs.trials("e"),
    "trial": lambda verbs: verbs.trial("e", 1),
    "export_trials": lambda verbs: verbs.export_trials("e"),
    "reports": lambda verbs: verbs.reports("e", 1),
    "log": lambda verbs: verbs.log("e", 1),
    "artifacts": lambda verbs: verbs.artifacts("e", 1),
    "artifact": lambda verbs: b"".join(verbs.artifact("e", 1, "number")),
    "evaluations": lambda verbs: verbs.evaluations("e"),
    "finalists": lambda verbs: verbs.finalists("e"),
    "models": lambda verbs: verbs.models("e"),
    "jobs": lambda verbs: verbs.jobs(),
    "changes": lambda verbs: verbs.changes(),
    "tasks": lambda verbs: verbs.tasks(),
    "network": lambda verbs: verbs.network("resnet18"),
    "resources": lambda verbs: verbs.resources(),
}
#: Those that ask for one experiment by name, and may be told of another.
OF_ONE = {
    "experiment": lambda verbs, name: verbs.experiment(name),
    "result": lambda verbs, name: verbs.result(name),
    "top": lambda verbs, name: verbs.top(name),
    "snapshot": lambda verbs, name: verbs.snapshot(name),
    "export": lambda verbs, name: verbs.export(name),
    "export csv": lambda verbs, name: verbs.export(name, "csv"),
    "report": lambda verbs, name: verbs.report(name),
    "chart": lambda verbs, name: verbs.chart(name),
    "events": lambda verbs, name: verbs.events(name),
    "trials": lambda verbs, name: verbs.trials(name),
    "trial": lambda verbs, name: verbs.trial(name, 1),
    "export_trials": lambda verbs, name: verbs.export_trials(name),
    "reports": lambda verbs, name: verbs.reports(name, 1),
    "log": lambda verbs, name: verbs.log(name, 1),
    "artifacts": lambda verbs, name: verbs.artifacts(name, 1),
    "artifact": lambda verbs, name: verbs.artifact(name, 1, "number"),
    "evaluations": lambda verbs, name: verbs.evaluations(name),
    "finalists": lambda verbs, name: verbs.finalists(name),
    "models": lambda verbs, name: verbs.models(name),
    "jobs": lambda verbs, name: verbs.jobs(experiment=name),
    "update": lambda verbs, name: verbs.update(name, {"max_trials": 5}, caller=OWNER),
    "write_report": lambda verbs, name: verbs.write_report(name, caller=OWNER),
    "stop": lambda verbs, name: verbs.stop(name, caller=OWNER),
    "pause": lambda verbs, name: verbs.pause(name, caller=OWNER),
    "resume": lambda verbs, name: verbs.resume(name, caller=OWNER),
    "retry": lambda verbs, name: verbs.retry(name, caller=OWNER),
    "stop_trial": lambda verbs, name: verbs.stop_trial(name, 1, caller=OWNER),
    "retry_trial": lambda verbs, name: verbs.retry_trial(name, 1, caller=OWNER),
    "train_finalists": lambda verbs, name: verbs.train_finalists(name, caller=OWNER),
    "evaluate": lambda verbs, name: verbs.evaluate(name, caller=OWNER),
    "retrain": lambda verbs, name: verbs.retrain(name, caller=OWNER),
    "predict": lambda verbs, name: verbs.predict(name, [Path()], caller=OWNER),
    "export_model": lambda verbs, name: verbs.export_model(name, Path("out"), caller=OWNER),
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
        ran.create({**SPEC, "environment": {"TOKEN": "another-one-than-before"}}, caller=OWNER)
    assert SECRET not in str(caught.value) and "another-one" not in str(caught.value)


@pytest.mark.parametrize("verb", OF_ONE)
def test_an_unknown_experiment(verbs: Verbs, verb: str) -> None:
    """Whoever asks for an experiment that is not there is told so, and which one may be meant."""
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
        "experiment", "state", "stop_rule", "detail", "objective", "best", "default", "top", "trials",
        "elapsed_seconds", "notes", "test", "finalists", "rank_agreement",
    ]  # fmt: skip
    assert list(result["best"]) == ["number", "parameters", "value", "origin"]
    assert list(result["objective"]) == ["metric", "goal"]
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


@pytest.mark.parametrize("verb", ["trial", "reports", "log", "artifacts"])
def test_an_unknown_trial(verbs: Verbs, verb: str) -> None:
    """There is nothing to be read of a trial that there is not."""
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


def test_a_log_is_read_in_parts(bench: Bench, ran: Verbs) -> None:
    """The parts make up the whole; a part that begins at the end is empty; an end is told when all is read."""
    whole, read, offset = ran.log("e", 1), b"", 0
    parts = []
    while not parts or not parts[-1].ended:
        parts.append(ran.log("e", 1, offset=offset, limit=4))
        read, offset = read + parts[-1].data, parts[-1].next
    assert read == whole.data and len(parts) > 2
    assert ran.log("e", 1, offset=len(whole.data)).data == b""
    bench.service.store.request("e", "retry", data={"trials": [1]})
    bench.add(4, RUNNING)
    assert not ran.log("e", 4).ended and not ran.log("e", 4).exists
    with pytest.raises(SpecError, match="offset: -1 is negative"):
        ran.log("e", 1, offset=-1)
    with pytest.raises(NotFoundError, match="has no attempt 2: it has been tried 1 times"):
        ran.log("e", 1, attempt=2)
    bench.add(5, WAITING)
    with pytest.raises(NotFoundError, match="it has not been started yet"):
        ran.log("e", 5)


@pytest.mark.parametrize("path", ["../output.log", "/etc/passwd", "..\\output.log", "", ".", "nothing", "link", "a\0b"])
def test_only_what_a_trial_has_left_is_given(bench: Bench, ran: Verbs, path: str) -> None:
    """No path leads out of the folder of a trial's files, links neither."""
    log = ran.trial("e", 1).log
    assert log is not None
    link = Path(log).parent / "artifacts" / "link"
    link.symlink_to(Path(log))
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


def test_a_report_is_one_file(ran: Verbs) -> None:
    """It is given as a text, and written for its owner alone, where the experiment then says it is."""
    assert ran.experiment("e").report is None
    assert "<html" in ran.report("e")
    written = ran.write_report("e", caller=OWNER)
    assert ran.experiment("e").report == written
    assert stat.S_IMODE(Path(written.path).stat().st_mode) == 0o600


def test_charts(ran: Verbs) -> None:
    """A chart is a Plotly figure; one that there is not is told."""
    for chart in ("history", "history-over-time", "learning-curves", "outcomes", "timeline", "parallel", "importance"):
        drawn = ran.chart("e", chart)
        assert drawn.figure is None or {"data", "layout"} <= drawn.figure.keys()
    assert ran.chart("e").figure is not None
    with pytest.raises(NotFoundError, match=r"There is no chart 'histery'\. Did you mean 'history'"):
        ran.chart("e", "histery")  # type: ignore[arg-type]


def test_events_begin_behind_one(ran: Verbs) -> None:
    """The audit trail can be read to its end in parts."""
    whole = ran.events("e")
    first = ran.events("e", limit=3)
    assert first + ran.events("e", after=first[-1].id) == whole
    assert whole[0].kind == "created" and len(whole) > 6


def test_a_snapshot_is_a_search_at_one_moment(bench: Bench, verbs: Verbs) -> None:
    """It has what runs and waits, how far that is, and what ended last, the latest first."""
    for number, state in enumerate((SUCCEEDED, FAILED, RUNNING, WAITING), 1):
        bench.add(number, state, 0.5 if state is SUCCEEDED else None)
    with bench.service.store.transaction() as tx:
        tx.add_reports(AttemptKey("e", 3, 1), [Report(4, {"accuracy": 0.3}, 5.0)])
    now = verbs.snapshot("e", recent=1)
    assert [trial.number for trial in now.unfinished] == [3, 4]
    assert [trial.number for trial in now.ended] == [2]
    assert (now.latest[3].step, now.latest[3].value, now.ended_count) == (4, 0.3, 2)


# Lists ----------------------------------------------------------------------------------------------------


def numbers(page: Page[Any]) -> list[Any]:
    """Return what tells the items of a page apart."""
    return [getattr(item, "number", None) or getattr(item, "name", None) or item.id for item in page.items]


def test_pages_of_experiments_stay_while_new_ones_come(bench: Bench) -> None:
    """Read to the end, each experiment that was there comes once, the newest first, whatever begins meanwhile."""
    verbs = bench.verbs
    for number in range(7):
        verbs.create({**SPEC, "name": f"e{number}"}, caller=OWNER)
    page = verbs.experiments(limit=3)
    found = numbers(page)
    while page.next is not None:
        verbs.create({**SPEC, "name": f"later{len(found)}"}, caller=OWNER)
        page = verbs.experiments(limit=3, cursor=page.next)
        found += numbers(page)
    assert found == [f"e{number}" for number in reversed(range(7))]
    assert numbers(verbs.experiments(search="LATER", limit=1)) == ["later6"]
    bench.end("e3")
    assert numbers(verbs.experiments(states=[ExperimentState.COMPLETED])) == ["e3"]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["number", "value"])
def test_pages_of_trials_stay_while_new_ones_come(bench: Bench, verbs: Verbs, sort: Any, descending: bool) -> None:
    """Read to the end in any order, each trial that was there comes once and in its place."""
    values = {1: 0.5, 2: None, 3: 0.5, 4: 0.1, 5: 0.9, 6: None, 7: 0.2}
    for number, value in values.items():
        bench.add(number, SUCCEEDED if value is not None else FAILED, value)
    page = verbs.trials("e", sort=sort, descending=descending, limit=2)
    found, later = numbers(page), 8
    while page.next is not None:
        bench.add(later, SUCCEEDED, 0.5)
        later += 1
        page = verbs.trials("e", sort=sort, descending=descending, limit=2, cursor=page.next)
        found += numbers(page)
    kept = [number for number in found if number in values]
    sign = -1 if descending else 1
    order = {
        "number": lambda number: sign * number,
        "value": lambda number: (values[number] is None, sign * (values[number] or 0.0), sign * number),
    }
    assert kept == sorted(values, key=order[sort])
    assert len(found) == len(set(found))


def test_trials_of_a_kind(bench: Bench, verbs: Verbs) -> None:
    """States, causes and a first number choose among the trials."""
    for number, state in enumerate((SUCCEEDED, FAILED, RUNNING, WAITING, FAILED), 1):
        bench.add(number, state, 0.5 if state is SUCCEEDED else None)
    assert numbers(verbs.trials("e", states=[FAILED, RUNNING])) == [2, 3, 5]
    assert numbers(verbs.trials("e", cause=Cause.CRASHED)) == [2, 5]
    assert numbers(verbs.trials("e", cause=Cause.GPU_OOM)) == []
    assert numbers(verbs.trials("e", after=3)) == [4, 5]
    assert numbers(verbs.export_trials("e", after=3)) == [4, 5]
    with pytest.raises(SpecError, match="after: it goes with the order of numbers only"):
        verbs.trials("e", after=3, sort="value")


@pytest.mark.parametrize("limit", [0, -1, MOST + 1])
@pytest.mark.parametrize("verb", ["experiments", "trials", "export_trials", "jobs"])
def test_limits_are_checked(verbs: Verbs, verb: str, limit: int) -> None:
    """A page has an item at least, and no more than can be read at once."""
    arguments = [] if verb in ("experiments", "jobs") else ["e"]
    with pytest.raises(SpecError, match=f"limit: {limit} is not possible. Give 1 to {MOST}"):
        getattr(verbs, verb)(*arguments, limit=limit)


@pytest.mark.parametrize("verb", ["experiments", "trials", "export_trials", "jobs"])
def test_cursors_that_nobody_gave(verbs: Verbs, verb: str) -> None:
    """Anything else than the `next` of a page is refused."""
    arguments = [] if verb in ("experiments", "jobs") else ["e"]
    with pytest.raises(SpecError, match=r"^cursor: "):
        getattr(verbs, verb)(*arguments, cursor="no cursor")


def test_what_has_changed_is_told_by_versions(bench: Bench, verbs: Verbs) -> None:
    """Each experiment and job that was touched is told once, with its own version; nothing where nothing was."""
    before = verbs.changes()
    assert [(one.kind, one.name) for one in before.items] == [("experiment", "e")]
    assert verbs.changes(before.version).items == ()
    verbs.create({**SPEC, "name": "f"}, caller=OWNER)
    job = verbs.evaluate("f", caller=OWNER)
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
    assert checked.line is not None and checked.line.metrics == {"accuracy": 0.5}
    assert bench.verbs.experiments().items == ()
    with pytest.raises(SpecError, match="max_trials"):
        bench.verbs.check({**SPEC, "max_trials": 0})


def test_what_becomes_of_a_spec(bench: Bench) -> None:
    """A new name begins, a known one goes on, one that ended is finished, another spec is refused or renamed."""
    verbs = bench.verbs
    assert verbs.create(SPEC, caller=OWNER).kind == "new"
    assert verbs.create(SPEC, caller=OWNER).kind == "continued"
    bench.end()
    assert verbs.create(SPEC, caller=OWNER).kind == "finished"
    assert verbs.create({**SPEC, "max_trials": 5}, caller=OWNER).kind == "continued"
    with pytest.raises(ConflictError, match="exists with another spec"):
        verbs.create({**SPEC, "seed": 7}, caller=OWNER)
    assert verbs.create({**SPEC, "seed": 7}, new="always", caller=OWNER).name == "e-2"
    with pytest.raises(UserError):
        verbs.create({**SPEC, "name": "wrong", "parameters": {}}, caller=OWNER)
    assert [one.name for one in verbs.experiments().items] == ["e-2", "e"]


def test_a_budget_can_be_changed(verbs: Verbs) -> None:
    """What says how far a search goes can be changed, nothing else, and to nothing that is wrong."""
    changed = verbs.update("e", {"max_trials": 8, "objective.target": 0.9}, caller=OWNER)
    assert changed.max_trials == 8 and changed.spec["objective"]["target"] == 0.9
    assert changed == verbs.experiment("e")
    with pytest.raises(SpecError, match="seed: it can't be changed"):
        verbs.update("e", {"seed": 3}, caller=OWNER)
    with pytest.raises(SpecError, match="max_trials"):
        verbs.update("e", {"max_trials": -1}, caller=OWNER)
    assert verbs.experiment("e") == changed


def test_a_table_becomes_an_experiment(bench: Bench) -> None:
    """Its trials are on record as a finished experiment, or none of them are."""
    verbs = bench.verbs
    with pytest.raises(DataError, match=r"t\.csv, row 3"):
        verbs.import_table(SPEC, b"x,accuracy\n0.5,0.7\n7,0.5\n", "t.csv", caller=OWNER)
    assert verbs.experiments().items == ()
    assert verbs.import_table(SPEC, b"x,accuracy\n0.5,0.7\n", "t.csv", caller=OWNER).name == "e"
    one = verbs.experiment("e")
    assert (one.state, one.trials[SUCCEEDED]) == (ExperimentState.COMPLETED, 1)
    with pytest.raises(ConflictError):
        verbs.import_table(SPEC, b"x,accuracy\n0.5,0.7\n", "t.csv", caller=OWNER)


# Commanding -----------------------------------------------------------------------------------------------


def asked(bench: Bench) -> list[tuple[str, int | None]]:
    """Return what the controller of `e` is asked for."""
    return [(request.verb, request.trial) for request in bench.service.store.requests("e")]


def test_what_a_controller_is_asked_for(bench: Bench, verbs: Verbs) -> None:
    """Commands wait for the controller of the experiment, in their order."""
    for number, state in enumerate((RUNNING, FAILED, STOPPED), 1):
        bench.add(number, state)
    verbs.pause("e", caller=OWNER)
    verbs.resume("e", caller=OWNER)
    verbs.stop_trial("e", 1, caller=OWNER)
    assert verbs.retry("e", [3, 2, 3], caller=OWNER) == (3, 2)
    assert verbs.retry("e", caller=OWNER) == (2,)
    assert verbs.retry("e", cause=Cause.CRASHED, caller=OWNER) == (2,)
    verbs.retry_trial("e", 3, caller=OWNER)
    assert asked(bench) == [("pause", None), ("resume", None), ("stop_trial", 1), *[("retry", None)] * 4]


def test_commands_that_contradict_the_state(bench: Bench, verbs: Verbs) -> None:
    """What has ended can't be stopped, and only what failed or was stopped runs again; nothing is asked for."""
    bench.add(1, SUCCEEDED, 0.5)
    with pytest.raises(ConflictError, match="Trial 1 of 'e' has ended already"):
        verbs.stop_trial("e", 1, caller=OWNER)
    with pytest.raises(ConflictError, match="is succeeded: only failed and stopped ones are retried"):
        verbs.retry_trial("e", 1, caller=OWNER)
    with pytest.raises(ConflictError, match="has no failed trial with cause gpu_oom"):
        verbs.retry("e", cause=Cause.GPU_OOM, caller=OWNER)
    with pytest.raises(NotFoundError):
        verbs.stop_trial("e", 9, caller=OWNER)
    with pytest.raises(ConflictError, match="is not paused"):
        verbs.resume("e", caller=OWNER)
    bench.end()
    for command in (verbs.stop, verbs.pause, verbs.resume):
        with pytest.raises(ConflictError, match="has ended already"):
            command("e", caller=OWNER)
    assert asked(bench) == []


def test_a_search_that_nobody_runs_is_stopped(verbs: Verbs) -> None:
    """Its end does not wait for a controller."""
    verbs.stop("e", caller=OWNER)
    assert verbs.experiment("e").state is ExperimentState.STOPPED


# Jobs -----------------------------------------------------------------------------------------------------


def test_a_job_waits_and_then_has_a_result(bench: Bench, ran: Verbs) -> None:
    """A job is on record before anything of it is done, and its result afterwards."""
    job = ran.evaluate("e", caller=OTHER)
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
    bench.verbs.create({**SPEC, "command": command}, caller=OWNER)
    assert bench.service.run("e", Given(follow_up=False))
    job = bench.verbs.retrain("e", caller=OWNER)
    mark.touch()
    bench.service.carry_out(job.id)
    with pytest.raises(JobFailed) as caught:
        follow(bench.verbs, job)
    assert caught.value.cause is Cause.CRASHED is bench.verbs.job(job.id).cause
    mark.unlink()
    bench.verbs.retry_job(job.id, caller=OWNER)
    bench.service.carry_out(job.id)
    assert follow(bench.verbs, job)["is_model"] is False


def test_a_training_is_of_the_trial_that_was_the_best_when_it_was_asked_for(bench: Bench, ran: Verbs) -> None:
    """A trial that becomes the best afterwards is not taken for the one whose parameters the training had."""
    (best,) = ran.top("e", 1)
    job = ran.retrain("e", caller=OWNER)
    bench.add(4, SUCCEEDED, value=1e9)
    assert ran.top("e", 1)[0].number == 4
    bench.service.carry_out(job.id)
    assert follow(ran, job)["trial"] == best.number


def test_a_probe_says_what_a_trial_costs(bench: Bench, verbs: Verbs) -> None:
    """The default configuration runs to its first report; time, metrics and memory are the result, and no trial."""
    job = verbs.probe("e", caller=OWNER)
    bench.service.carry_out(job.id)
    result = follow(verbs, job)
    assert result["seconds"] >= 0 and result["peak_memory_bytes"] > 0
    assert set(result["metrics"]) == {"accuracy"}
    assert verbs.trials("e").items == ()


def test_data_are_looked_at_as_a_job(bench: Bench, tmp_path: Path) -> None:
    """Every item of a data set is opened; findings and a page are the job's."""
    write_digits(tmp_path / "digits")
    spec = {
        "name": "d",
        "task": "image-classification",
        "data": str(tmp_path / "digits"),
        "network": "small-cnn",
    }
    job = bench.verbs.check_data(spec, caller=OWNER)
    bench.service.carry_out(job.id)
    result = follow(bench.verbs, job)
    assert result["view"]["broken"] == 0 and result["findings"]
    assert b"<html" in b"".join(bench.verbs.job_artifact(job.id, result["page"]))
    with pytest.raises(SpecError, match="only built-in tasks know their data"):
        bench.verbs.check_data(SPEC, caller=OWNER)


def test_an_import_may_take_long(bench: Bench, tmp_path: Path) -> None:
    """A table is imported as a job; what is wrong with it is the job's failure, and a password is refused at once."""
    table = tmp_path / "t.csv"
    table.write_text("x,accuracy\n0.5,0.7\n")
    job = bench.verbs.import_in_background({**SPEC, "name": "t"}, table=table, caller=OWNER)
    bench.service.carry_out(job.id)
    assert follow(bench.verbs, job) == {"experiment": "t"}
    assert [trial.value for trial in bench.verbs.trials("t").items] == [0.7]
    again = bench.verbs.import_in_background({**SPEC, "name": "t"}, table=table, caller=OWNER)
    bench.service.carry_out(again.id)
    with pytest.raises(JobFailed, match="'t' exists already"):
        follow(bench.verbs, again)
    with pytest.raises(SpecError, match="holds a password"):
        bench.verbs.import_in_background(SPEC, storage="postgresql://me:s3cret@host/db", caller=OWNER)
    with pytest.raises(SpecError, match="a table or a storage"):
        bench.verbs.import_in_background(SPEC, caller=OWNER)


def test_what_is_asked_for_again_is_one_job(bench: Bench, verbs: Verbs) -> None:
    """While a job has not ended, the same wish of the same caller is that job; another wish, or caller, has its own."""
    bench.add(1, value=0.5)
    job = verbs.evaluate("e", caller=OWNER)
    assert verbs.evaluate("e", caller=OWNER).id == job.id
    others = [
        verbs.evaluate("e", caller=OTHER),
        verbs.evaluate("e", caller=OWNER, key="once more"),
        verbs.train_finalists("e", caller=OWNER),
        verbs.retrain("e", caller=OWNER),
        verbs.retrain("e", output=Path("here"), caller=OWNER),
    ]
    assert len({job.id, *(other.id for other in others)}) == 6
    verbs.stop_job(job.id, caller=OWNER)
    for other in others[:2]:
        verbs.stop_job(other.id, caller=OWNER)
    assert verbs.evaluate("e", caller=OWNER).id > others[-1].id


def test_pages_of_jobs(bench: Bench, verbs: Verbs) -> None:
    """Jobs are listed with the newest first, also those of a kind, about an experiment, or in a state alone."""
    ids = [verbs.evaluate("e", caller=OWNER, key=str(number)).id for number in range(5)]
    verbs.train_finalists("e", caller=OWNER)
    page = verbs.jobs(kind="evaluate", limit=2)
    found = numbers(page)
    while page.next is not None:
        verbs.evaluate("e", caller=OWNER, key=f"after {page.next}")
        page = verbs.jobs(kind="evaluate", limit=2, cursor=page.next)
        found += numbers(page)
    assert found == ids[::-1]
    verbs.stop_job(ids[0], caller=OWNER)
    assert numbers(verbs.jobs(states=[JobState.STOPPED])) == [ids[0]]
    assert len(verbs.jobs(experiment="e", kind="finalists").items) == 1


def test_jobs_that_contradict_the_state(verbs: Verbs) -> None:
    """What has ended can't be stopped, and what waits is not tried again."""
    job = verbs.evaluate("e", caller=OWNER)
    with pytest.raises(ConflictError, match="only failed and stopped ones are retried"):
        verbs.retry_job(job.id, caller=OWNER)
    assert verbs.stop_job(job.id, caller=OWNER).state is JobState.STOPPED
    with pytest.raises(ConflictError, match="has ended already"):
        verbs.stop_job(job.id, caller=OWNER)
    assert verbs.retry_job(job.id, caller=OWNER).state is JobState.WAITING
    for verb in (verbs.stop_job, verbs.retry_job):
        with pytest.raises(NotFoundError, match="There is no job 99"):
            verb(99, caller=OWNER)
    for read in (verbs.job, verbs.job_log, verbs.job_artifacts):
        with pytest.raises(NotFoundError, match="There is no job 99"):
            read(99)
    with pytest.raises(NotFoundError, match="There is no file"):
        verbs.job_artifact(job.id, "../job.json")
    assert not verbs.job_log(job.id).exists and verbs.job_artifacts(job.id) == ()
    with pytest.raises(NotFoundError, match="has no trial 7"):
        verbs.retrain("e", 7, caller=OWNER)


# Doing once -----------------------------------------------------------------------------------------------

#: Every verb that changes something → how it is called, with another argument, too, and what it leaves.
Call = Callable[..., Any]
CHANGES: Mapping[str, tuple[Call, Call]] = {
    "create": (lambda v, **k: v.create(SPEC, new="always", **k), lambda v, **k: v.create({**SPEC, "seed": 1}, **k)),
    "update": (
        lambda v, **k: v.update("e", {"max_trials": 8}, **k),
        lambda v, **k: v.update("e", {"max_trials": 9}, **k),
    ),
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
    "retrain": (lambda v, **k: v.retrain("e", 2, **k), lambda v, **k: v.retrain("e", 3, **k)),
    "stop_job": (lambda v, **k: v.stop_job(1, **k), lambda v, **k: v.stop_job(2, **k)),
    "retry_job": (lambda v, **k: v.retry_job(3, **k), lambda v, **k: v.retry_job(1, **k)),
}


@pytest.fixture
def busy(bench: Bench) -> Bench:
    """Verbs whose experiment `e` is to pause, and has trials and jobs in all states."""
    return make_busy(bench)


def make_busy(bench: Bench) -> Bench:
    """Arrange what `busy` has, in an empty home."""
    verbs = bench.verbs
    verbs.create(SPEC, caller=OWNER)
    verbs.pause("e", caller=OWNER)
    for number, state in enumerate((RUNNING, FAILED, STOPPED, RUNNING), 1):
        bench.add(number, state)
    for wish in range(3):
        verbs.evaluate("e", caller=OWNER, key=str(wish))
    verbs.stop_job(3, caller=OWNER)
    return bench


def left_by(bench: Bench) -> tuple[Any, ...]:
    """Return all that commands may leave; numbers of jobs aside, which have gaps where a transaction was undone."""
    verbs = bench.verbs
    jobs = [(job.kind, job.state) for job in verbs.jobs().items]
    spec = verbs.experiment("e").spec
    return asked(bench), [one.name for one in verbs.experiments().items], jobs, spec, len(verbs.events("e"))


@pytest.mark.parametrize("verb", CHANGES)
def test_a_key_does_a_thing_once(busy: Bench, verb: str) -> None:
    """Asked again under its key, nothing more is done, and the answer is the same; without a key it is a new wish."""
    call, _ = CHANGES[verb]
    answer = call(busy.verbs, caller=OWNER, key="k")
    left = left_by(busy)
    assert call(busy.verbs, caller=OWNER, key="k") == answer
    assert left_by(busy) == left


@pytest.mark.parametrize("verb", CHANGES)
def test_a_key_is_for_one_thing(busy: Bench, verb: str) -> None:
    """A key that was used for something else is refused, and nothing is done; another caller's is another key."""
    call, other = CHANGES[verb]
    call(busy.verbs, caller=OWNER, key="k")
    left = left_by(busy)
    with pytest.raises(ConflictError, match="'k' was used for another request"):
        other(busy.verbs, caller=OWNER, key="k")
    assert left_by(busy) == left
    if verb in ("pause", "retry", "evaluate"):
        call(busy.verbs, caller=OTHER, key="k")
        assert left_by(busy) != left


def test_a_key_does_a_thing_once_even_at_once(busy: Bench) -> None:
    """Asked several times at the same moment, a thing is done once, and all get the same answer."""
    before = len(asked(busy))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: busy.verbs.retry("e", [3], caller=OWNER, key="k"), range(12)))
    assert answers == [(3,)] * 12
    assert len(asked(busy)) == before + 1


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.TIME_OUT, Fault.DONE_THEN_ERROR])
@pytest.mark.parametrize("verb", CHANGES)
def test_an_answer_that_was_lost(
    busy: Bench,
    verb: str,
    fault: Fault,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    new_database: Callable[[], str],
) -> None:
    """Asked again under its key after any failure of the store, a thing has been done once in the end."""
    call, _ = CHANGES[verb]
    with IMPLEMENTATIONS[request.node.callspec.params["bench"]](tmp_path / "undisturbed", new_database()) as other:
        call(make_busy(other).verbs, caller=OWNER, key="k")
        expected = left_by(other)
    faults = Faults({1: fault, 3: fault}, on=["transaction"])
    busy.service.store = faulty(busy.service.store, faults)
    for _ in range(4):
        with suppress(UserError):
            call(busy.verbs, caller=OWNER, key="k")
            break
    else:
        pytest.fail("it never succeeded")
    assert faults.happened[fault] >= 1
    faults.active = False
    assert left_by(busy) == expected


def test_a_wish_that_was_refused_may_be_repeated(busy: Bench) -> None:
    """An error is no answer: under the same key it can be tried again."""
    with pytest.raises(ConflictError):
        busy.verbs.retry_job(1, caller=OWNER, key="k")
    busy.verbs.stop_job(1, caller=OWNER)
    assert busy.verbs.retry_job(1, caller=OWNER, key="k").state is JobState.WAITING


def test_what_was_stopped_once_is_stopped(verbs: Verbs) -> None:
    """A stop that is asked for again under its key is no error although the search has ended meanwhile."""
    verbs.stop("e", caller=OWNER, key="k")
    verbs.stop("e", caller=OWNER, key="k")
    with pytest.raises(ConflictError, match="has ended already"):
        verbs.stop("e", caller=OWNER)


# The service ----------------------------------------------------------------------------------------------


def test_what_there_is(bench: Bench) -> None:
    """Tasks, their networks and the machine are described."""
    tasks = {task.name: task for task in bench.verbs.tasks()}
    assert "resnet18" in tasks["image-classification"].networks
    network = bench.verbs.network("resnet18")
    assert {"image-classification", "multilabel-classification"} <= set(network.tasks)
    assert any(parameter.name == "learning_rate" and parameter.source for parameter in network.parameters)
    with pytest.raises(NotFoundError, match=r"There is no task or network 'resnet1'\. Did you mean 'resnet18'"):
        bench.verbs.network("resnet1")
    (node, *_) = bench.verbs.resources().nodes
    assert node.cpus >= 1 and 0 < node.free_memory_bytes <= node.memory_bytes
