"""The life of jobs under the controller."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.controller.fakes import Bench, FakeTask
from tests.controller.test_controller import finish
from tests.schedulers.bench import wait_until
from tunewell.controller import job_run
from tunewell.controller.job_kinds import Conclusion, Context, Finding, NewJob, Part
from tunewell.controller.job_run import checksum
from tunewell.controller.journal import Journal
from tunewell.controller.preparation import Preparation
from tunewell.controller.work import Work
from tunewell.home.home import SET_ASIDE
from tunewell.spec.errors import DataError, UserError
from tunewell.spec.launch import AttemptKey, Ended, Exit, JobKey, Launch, Report, Reported, Resources, WorkKey
from tunewell.spec.states import OPEN_JOB_STATES, Cause, ExperimentState, JobState, TrialState
from tunewell.store.rows import JobRow


@dataclass
class FakeKind:
    """A kind of job whose parts and conclusion are what the test says."""

    amount: int = 1
    resources: Resources = field(default_factory=Resources)
    until_first_report: bool = False
    conclusion: Callable[[Context, Sequence[Path]], Conclusion] = lambda context, folders: Conclusion({"done": True})
    problem: Exception | None = None
    concluded: list[tuple[Path, ...]] = field(default_factory=list)

    def parts(self, context: Context) -> Sequence[Part]:
        """Return as many parts as the test wants."""
        if self.problem is not None:
            raise self.problem
        arguments = dict(context.job.arguments)
        part = Part(self.resources, self._launch, arguments, self.until_first_report)
        return [part] * self.amount

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Do as the test says."""
        self.concluded.append(tuple(folders))
        return self.conclusion(context, folders)

    def _launch(self, folder: Path, attempt: int) -> Launch:
        return Launch(key=JobKey(0, attempt), folder=folder, entry="module:function")


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Iterator[Bench]:
    """A controller that takes all work that there is, with two slots, and knows one kind of job."""
    bench = Bench(tmp_path, database=database)
    bench.work = Work(everything=True)
    bench.crash()
    bench.kinds["kind"] = FakeKind()
    yield bench
    bench.store.close()


def kind(bench: Bench, **facts: Any) -> FakeKind:
    """Have the kind of job be another one."""
    bench.kinds["kind"] = FakeKind(**facts)
    found: FakeKind = bench.kinds["kind"]
    return found


def add(bench: Bench, experiment: str | None = None, after: int | None = None, **arguments: Any) -> int:
    """Record a job."""
    with bench.store.transaction() as tx:
        return tx.add_job("kind", experiment, arguments, "somebody", after)


def job(bench: Bench, number: int) -> JobRow:
    """Return the record of a job."""
    return bench.store.job(number)


def attempt_of(bench: Bench, number: int) -> JobKey:
    """Return the running attempt at a job."""
    return next(key for key in bench.scheduler.alive if isinstance(key, JobKey) and key.job == number)


def end(bench: Bench, number: int, cause: Cause | None = None, detail: str = "", **metrics: float) -> None:
    """Have the running attempt at a job report and end."""
    key = attempt_of(bench, number)
    del bench.scheduler.alive[key]
    if metrics:
        bench.scheduler.events.append(Reported(key, Report(1, metrics, 0.0)))
    bench.scheduler.events.append(Ended(key, Exit(cause, detail, duration_seconds=3.0)))


def test_a_job_runs_to_its_end(bench: Bench) -> None:
    """A recorded job is taken up and run with its arguments; its progress, result and cost are on record."""
    number = add(bench, x=3)
    bench.step(2)
    launch = bench.scheduler.alive[attempt_of(bench, number)]
    assert launch.folder == bench.home.job(number) / "1"
    assert (launch.folder / "job.json").read_text() == '{"x": 3}\n'
    bench.scheduler.events.append(Reported(launch.key, Report(1, {"reading": 0.5}, 0.0)))
    bench.step()
    assert (job(bench, number).state, job(bench, number).progress["reading"]) == (JobState.RUNNING, 0.5)
    end(bench, number)
    bench.step(2)
    row = job(bench, number)
    assert (row.state, row.result, row.cost_seconds) == (JobState.SUCCEEDED, {"done": True}, 3.0)
    assert not bench.controller.busy


def test_a_failed_job_says_why(bench: Bench) -> None:
    """A job whose process fails has its cause and detail; asked for again, it runs again in a folder of its own."""
    number = add(bench)
    bench.step(2)
    end(bench, number, Cause.GPU_OOM, "out of memory")
    bench.step(2)
    assert (job(bench, number).state, job(bench, number).cause) == (JobState.FAILED, Cause.GPU_OOM)
    assert job(bench, number).detail == "out of memory"
    with bench.store.transaction() as tx:
        tx.retry_job(number)
    bench.step(2)
    assert attempt_of(bench, number).attempt == 2
    end(bench, number)
    bench.step(2)
    assert job(bench, number).state is JobState.SUCCEEDED


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_job_is_tried_again(bench: Bench, lost: int) -> None:
    """A job whose machine or process went away is run again, a few times."""
    number = add(bench)
    for _ in range(lost):
        bench.step(2)
        end(bench, number, Cause.NODE_LOST, "gone")
        bench.step()
    bench.step(2)
    end(bench, number)
    bench.step(2)
    assert (job(bench, number).state, job(bench, number).attempt) == (JobState.SUCCEEDED, lost + 1)


def test_a_job_that_gets_further_each_time_may_be_lost_often(bench: Bench) -> None:
    """Machines that are taken away cost a long training time, and nothing else."""
    number = add(bench)
    for reached in range(1, 6):
        bench.step(2)
        bench.scheduler.events.append(Reported(attempt_of(bench, number), Report(reached, {"reading": 0.5}, 0.0)))
        end(bench, number, Cause.NODE_LOST, "gone")
        bench.step()
    bench.step(2)
    end(bench, number)
    bench.step(2)
    assert (job(bench, number).state, job(bench, number).attempt) == (JobState.SUCCEEDED, 6)


def test_a_job_that_is_lost_each_time_fails(bench: Bench) -> None:
    """After the last attempt a lost job has failed."""
    number = add(bench)
    for _ in range(3):
        bench.step(2)
        end(bench, number, Cause.KILLED, "killed")
        bench.step()
    bench.step(2)
    assert (job(bench, number).state, job(bench, number).cause) == (JobState.FAILED, Cause.KILLED)


@pytest.mark.parametrize("gets_further", [False, True])
def test_a_job_that_brings_its_controller_down(bench: Bench, gets_further: bool) -> None:
    """Losses count on when a job ends its machine and with it the controller: it does not begin anew for ever."""
    number = add(bench)
    for reached in range(1, 6):
        bench.step(2)
        if job(bench, number).state is JobState.FAILED:
            break
        step = reached if gets_further else 1
        bench.scheduler.events.append(Reported(attempt_of(bench, number), Report(step, {"reading": 0.5}, 0.0)))
        end(bench, number, Cause.KILLED, "killed")
        bench.step()
        bench.crash()
    assert job(bench, number).attempt == (5 if gets_further else 3)


def test_a_job_with_very_many_attempts(bench: Bench) -> None:
    """What was done of it is known however often it was lost."""
    number = add(bench)
    with bench.store.transaction() as tx:
        for attempt in range(1, 601):
            tx.start_job(number, attempt, str(attempt))
            tx.lose_job(number, attempt, Cause.NODE_LOST, "gone", last_step=attempt)
    assert len(bench.store.job_events(number)) == 1201


def test_parts_go_on_from_one_another(bench: Bench) -> None:
    """A part finds the checkpoint of the one before, a lost one its own; those that are done are not repeated."""
    known = kind(bench, amount=3)
    number = add(bench)
    bench.step(2)
    first = bench.scheduler.alive[attempt_of(bench, number)].folder
    (first / "checkpoint" / "state").write_text("1")
    end(bench, number)
    bench.step(3)
    assert job(bench, number).part == 1
    second = bench.scheduler.alive[attempt_of(bench, number)].folder
    assert (second / "checkpoint" / "state").read_text() == "1"
    (second / "checkpoint" / "state").write_text("half of 2")
    end(bench, number, Cause.KILLED)
    bench.step(3)
    again = bench.scheduler.alive[attempt_of(bench, number)].folder
    assert (again / "checkpoint" / "state").read_text() == "half of 2"
    (again / "checkpoint" / "state").write_text("2")
    end(bench, number)
    bench.step(3)
    third = bench.scheduler.alive[attempt_of(bench, number)].folder
    assert (third / "checkpoint" / "state").read_text() == "2"
    end(bench, number)
    bench.step(2)
    assert job(bench, number).state is JobState.SUCCEEDED
    assert known.concluded == [(first, again, third)]


def test_an_attempt_that_could_not_be_prepared_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt whose folder was prepared in part only is prepared again, and nothing of it is kept or set aside."""
    write = job_run.write_json
    problems = [OSError(errno.ENOSPC, "no space")]

    def full(path: Path, content: Any) -> None:
        if problems:
            raise problems.pop()
        write(path, content)

    monkeypatch.setattr(job_run, "write_json", full)
    number = add(bench)
    wait_until(lambda: bench.scheduler.alive, bench.step)
    assert not problems
    assert attempt_of(bench, number) == JobKey(number, 1)
    assert [path.name for path in bench.home.job(number).iterdir() if path.is_dir()] == ["1"]
    assert not (bench.home.folder / SET_ASIDE).exists()


def test_a_crash_loses_no_part(bench: Bench) -> None:
    """Another controller goes on behind the parts that are done, and with the attempt that lives."""
    known = kind(bench, amount=2)
    number = add(bench)
    bench.step(2)
    first = bench.scheduler.alive[attempt_of(bench, number)].folder
    end(bench, number)
    bench.step(3)
    second = attempt_of(bench, number)
    bench.crash()
    bench.step(3)
    assert attempt_of(bench, number) == second
    end(bench, number)
    bench.step(2)
    assert job(bench, number).state is JobState.SUCCEEDED
    assert known.concluded == [(first, bench.home.job(number) / "2")]


def test_an_attempt_that_is_gone_is_made_again(bench: Bench) -> None:
    """An attempt that did not live on when its controller ended is lost, and the job tried again."""
    number = add(bench)
    bench.step(2)
    bench.crash()
    bench.scheduler.alive.clear()
    bench.step(4)
    assert attempt_of(bench, number).attempt == 2


def test_a_job_that_needs_no_process_is_concluded_at_once(bench: Bench) -> None:
    """A kind without parts starts nothing, and what it brings about runs before what waits for it."""
    found: list[int] = []
    kind(bench, amount=0, conclusion=lambda context, folders: Conclusion({}, jobs=[NewJob("other", {"n": 1})]))
    bench.kinds["other"] = FakeKind()
    bench.create(max_trials=1)
    bench.controller = bench._controller()
    bench.work = Work(everything=True)
    first = add(bench, "e")
    follows = add(bench, "e", after=first)
    bench.step(3)
    assert job(bench, first).state is JobState.SUCCEEDED
    found = [row.id for row in bench.store.jobs("e", kind="other")]
    assert len(found) == 1 and job(bench, follows).state is JobState.WAITING
    end(bench, found[0])
    bench.step(4)
    assert job(bench, found[0]).state is JobState.SUCCEEDED
    assert job(bench, follows).state is JobState.SUCCEEDED


def test_what_two_jobs_find_missing_is_added_once(bench: Bench) -> None:
    """Jobs that conclude side by side bring about each job once, and again only what has failed meanwhile."""
    new = NewJob("other", {"n": 1}, unless=(*OPEN_JOB_STATES, JobState.SUCCEEDED))
    kind(bench, amount=0, conclusion=lambda context, folders: Conclusion({}, jobs=[new]))
    bench.kinds["other"] = FakeKind()
    bench.create(max_trials=1)
    bench.crash()
    for _ in range(2):
        add(bench, "e")
    bench.step(3)
    (other,) = bench.store.jobs("e", kind="other")
    end(bench, other.id, Cause.CRASHED)
    bench.step(2)
    add(bench, "e")
    bench.step(3)
    again, first = bench.store.jobs("e", kind="other")
    assert (first.id, first.state) == (other.id, JobState.FAILED) and not again.state.final
    end(bench, again.id)
    bench.step(2)
    add(bench, "e")
    bench.step(3)
    assert len(bench.store.jobs("e", kind="other")) == 2


def test_results_are_on_record_with_checksums(bench: Bench) -> None:
    """What a job finds out about a trial is a row that names its file with a checksum, in the same transaction."""
    bench.create(max_trials=1)
    bench.step(2)
    finish(bench, 1, 0.5)
    bench.step(2)

    def conclude(context: Context, folders: Sequence[Path]) -> Conclusion:
        (folders[-1] / "artifacts" / "big").write_text("all of it")
        trial = context.store.trial("e", 1)
        found = Finding("evaluation", 1, trial.identity, {"test": {"accuracy": 0.4}}, folders[-1] / "artifacts" / "big")
        return Conclusion({}, [found], notes=["It is so."])

    kind(bench, conclusion=conclude)
    number = add(bench, "e")
    bench.step(2)
    end(bench, number)
    bench.step(2)
    (result,) = bench.store.results("e", "evaluation")
    path = bench.home.job(number) / "1" / "artifacts" / "big"
    assert (bench.home.folder / (result.file or ""), result.sha256) == (path, checksum(path))
    assert (result.data, result.job) == ({"test": {"accuracy": 0.4}}, number)
    assert "It is so." in bench.store.experiment("e").notes


@pytest.mark.parametrize("name", ["predict", "evaluate-model"])
def test_what_is_about_a_callers_own_data_stays_in_the_job(bench: Bench, name: str) -> None:
    """Its notes stand with the job, which its caller alone sees, and not with the experiment, which others see."""
    bench.create(max_trials=1)
    bench.kinds[name] = FakeKind(conclusion=lambda context, folders: Conclusion({}, notes=["secret.png is broken."]))
    with bench.store.transaction() as tx:
        number = tx.add_job(name, "e", {}, "bob")
    bench.step(2)
    end(bench, number)
    bench.step(2)
    assert job(bench, number).notes == ("secret.png is broken.",)
    assert not bench.store.experiment("e").notes
    trail = {eye: bench.store.events("e", seen_by=eye) for eye in ("ada", "bob", "*")}
    assert "secret" not in str(trail["ada"]) and {event.job for event in trail["ada"]} == {None}
    assert "secret" in str(trail["bob"]) and trail["bob"] == trail["*"] == bench.store.events("e")


def test_the_first_report_can_be_all_that_is_wanted(bench: Bench) -> None:
    """A job that is to run to its first report is ended then, and has succeeded."""
    kind(bench, until_first_report=True)
    number = add(bench)
    bench.step(2)
    key = attempt_of(bench, number)
    bench.scheduler.events.append(Reported(key, Report(1, {"accuracy": 0.1}, 0.0)))
    bench.step(3)
    assert [stopped for stopped, _ in bench.scheduler.stops] == [key]
    assert job(bench, number).state is JobState.SUCCEEDED


@pytest.mark.parametrize("running", [True, False])
def test_jobs_are_stopped_on_request(bench: Bench, running: bool) -> None:
    """A job that runs, or waits for room, is stopped for good."""
    kind(bench, resources=Resources(cpus=1 if running else 2))
    if not running:
        bench.create(max_trials=2)
        bench.step(2)
    number = add(bench)
    bench.step(2)
    with bench.store.transaction() as tx:
        tx.add_request(None, "stop_job", job=number)
    bench.step(3)
    assert job(bench, number).state is JobState.STOPPED
    assert not [key for key in bench.scheduler.alive if isinstance(key, JobKey)]


@pytest.mark.parametrize(
    ("problem", "cause", "detail"),
    [
        (UserError("it can't be done"), Cause.DATA_ERROR, "it can't be done."),
        (ZeroDivisionError("a bug"), Cause.CRASHED, "ZeroDivisionError: a bug"),
    ],
)
@pytest.mark.parametrize("at_end", [True, False])
def test_a_broken_kind_fails_its_own_job(
    bench: Bench, problem: Exception, cause: Cause, detail: str, at_end: bool
) -> None:
    """What goes wrong in a kind of job, before or after its process, fails that job, and nothing else."""

    def conclude(context: Context, folders: Sequence[Path]) -> Conclusion:
        raise problem

    kind(bench, **({"conclusion": conclude} if at_end else {"problem": problem}))
    bench.create(max_trials=1)
    number = add(bench)
    bench.step(2)
    if at_end:
        end(bench, number)
    bench.step(2)
    row = job(bench, number)
    assert (row.state, row.cause, row.detail) == (JobState.FAILED, cause, detail)
    finish(bench, 1, 0.5)
    bench.step(2)
    assert bench.store.trial("e", 1).state is TrialState.SUCCEEDED


def test_jobs_and_trials_share_the_slots(bench: Bench) -> None:
    """A job that needs all of the machine gets it although a search would always have something to start."""
    kind(bench, resources=Resources(cpus=2))
    bench.create(max_trials=9)
    bench.step(2)
    number = add(bench)
    bench.step(2)
    for trial in (1, 2):
        finish(bench, trial, 0.5)
    bench.step(2)
    assert list(bench.scheduler.alive) == [JobKey(number, 1)]
    end(bench, number)
    bench.step(2)
    assert sorted(key.trial for key in bench.scheduler.alive) == [3, 4]  # type: ignore[union-attr]


def test_an_interrupted_job_waits_for_the_next_controller(bench: Bench) -> None:
    """An interruption ends what runs of a job; it goes on later, and that costs none of its attempts."""
    number = add(bench)
    bench.step(2)
    bench.controller.interrupt()
    bench.step(3)
    assert (job(bench, number).state, bench.controller.busy) == (JobState.WAITING, False)
    bench.crash()
    bench.step(3)
    end(bench, number)
    bench.step(2)
    assert job(bench, number).state is JobState.SUCCEEDED


def test_two_controllers_never_run_one_job(bench: Bench) -> None:
    """What one controller owns another one leaves alone."""
    number = add(bench)
    bench.step(2)
    other = bench._controller()
    other.step(timeout=0)
    assert not other.busy
    assert job(bench, number).term == 1


def test_another_life_of_a_job_makes_way(bench: Bench) -> None:
    """What lies in a job's place from another database is set aside, not overwritten."""
    old = bench.home.job(1) / "1"
    old.mkdir(parents=True)
    (old / "precious").write_text("x")
    number = add(bench)
    assert number == 1
    bench.step(2)
    assert not (bench.scheduler.alive[attempt_of(bench, 1)].folder / "precious").exists()
    assert [path.read_text() for path in bench.home.folder.glob("set-aside/*/jobs/1/1/precious")] == ["x"]


def test_the_input_is_blamed_in_words(bench: Bench) -> None:
    """A file that a kind of job needs is named in the record."""
    kind(bench, problem=DataError("it is damaged", field="/a/b"))
    number = add(bench)
    bench.step(2)
    assert job(bench, number).detail == "/a/b: it is damaged."


def prepares(bench: Bench, monkeypatch: pytest.MonkeyPatch, **facts: Any) -> None:
    """Have searches prepare their data, by a job that is what the test says."""
    monkeypatch.setattr(FakeTask, "jobs", {"prepare": "module:function"})
    bench.kinds["prepare"] = FakeKind(**facts)


def test_a_search_that_is_prepared_waits_for_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preparation of a task's data is a job, which the first trial waits for; a crash does not repeat it."""
    prepares(bench, monkeypatch)
    bench.create(max_trials=1)
    bench.step(3)
    (prepare,) = bench.store.jobs("e", kind="prepare")
    assert bench.store.trials("e") == []
    bench.crash()
    bench.step(3)
    assert [row.id for row in bench.store.jobs("e", kind="prepare")] == [prepare.id]
    end(bench, prepare.id)
    bench.step(4)
    finish(bench, 1, 0.5)
    bench.step(2)
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED


@pytest.fixture
def followed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The next controller of a search whose trials take up the whole machine: its data is to be prepared again."""
    prepares(bench, monkeypatch)
    bench.create(max_trials=3)
    bench.step(3)
    end(bench, 1)
    bench.step(4)
    bench.crash()
    bench.step(3)
    assert running(bench) == [1, 2]
    assert bench.store.job(2).state is JobState.WAITING
    return bench


def test_what_runs_is_followed_before_its_data_is_prepared_again(followed: Bench) -> None:
    """Trials are followed at once, and their ends count; new ones wait for the data."""
    finish(followed, 1, 0.5)
    followed.step(3)
    assert followed.store.trial("e", 1).value == 0.5
    assert running(followed) == [2]
    assert followed.store.job(2).state is JobState.RUNNING
    end(followed, 2)
    followed.step(4)
    assert running(followed) == [2, 3]
    assert [row.id for row in followed.store.jobs("e", kind="prepare")] == [2, 1]


def test_a_preparation_whose_record_was_undone_is_not_waited_for(bench: Bench) -> None:
    """Its number is known once it is on record: until then there may be no such job, or another one of this number."""
    bench.create()
    preparation, journal = Preparation("e", bench.store, lambda: 1.0), Journal()
    preparation.begin(journal)
    with pytest.raises(ZeroDivisionError), bench.store.transaction() as tx:
        journal.write(tx)
        raise ZeroDivisionError
    assert preparation.under_way and preparation.job is None
    with bench.store.transaction() as tx:
        effects = journal.write(tx)
    for effect in effects:
        effect()
    assert [row.id for row in bench.store.jobs("e", kind="prepare")] == [preparation.job]


def test_what_ends_needs_no_data(followed: Bench) -> None:
    """A search that is stopped, or ends by itself, before its data was prepared again ends that, too."""
    followed.store.request("e", "stop")
    followed.step(4)
    assert followed.store.experiment("e").state is ExperimentState.STOPPED
    assert followed.store.job(2).state is JobState.STOPPED
    assert not followed.scheduler.alive and not followed.store.open_requests() and not followed.controller.busy


def test_a_search_that_goes_on_at_once_is_prepared_anew(followed: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preparation that is being stopped is not waited for as if it was to succeed."""
    finish(followed, 1, 0.5)
    followed.step(3)
    job, stop = attempt_of(followed, 2), followed.scheduler.stop
    monkeypatch.setattr(followed.scheduler, "stop", lambda key, grace_seconds=None: key != job and stop(key))
    followed.store.request("e", "stop")
    followed.step(4)
    assert followed.store.experiment("e").state is ExperimentState.STOPPED
    followed.let_go_on()
    followed.step(3)
    assert [(row.id, row.after) for row in followed.store.jobs("e", kind="prepare")] == [(3, 2), (2, None), (1, None)]
    stop(job)
    followed.step(4)
    end(followed, 3)
    followed.step(4)
    assert followed.store.job(2).state is JobState.STOPPED
    assert running(followed) == [3]


def test_trials_whose_data_can_not_be_prepared_again_go_on_later(followed: Bench) -> None:
    """The search fails, and its trials wait: once the data is there again, it goes on with them."""
    finish(followed, 1, 0.5)
    followed.step(3)
    end(followed, 2, Cause.DATA_ERROR, "the disk is not there")
    followed.step(4)
    row = followed.store.experiment("e")
    assert (row.state, row.detail) == (ExperimentState.FAILED, "the disk is not there.")
    assert "the disk is not there" in str(followed.controller.errors["e"])
    assert [trial.state for trial in followed.store.trials("e")] == [TrialState.SUCCEEDED, TrialState.WAITING]
    followed.let_go_on()
    followed.step(4)
    end(followed, 3)
    followed.step(4)
    assert running(followed) == [2, 3]
    assert followed.store.trial("e", 2).attempt == 2


def test_what_is_ending_is_not_failed_by_its_data(followed: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preparation that fails while a search is being stopped changes nothing about its end."""
    finish(followed, 1, 0.5)
    followed.step(3)
    stop, asked = followed.scheduler.stop, list[WorkKey]()
    monkeypatch.setattr(followed.scheduler, "stop", lambda key, grace_seconds=None: asked.append(key))
    followed.store.request("e", "stop")
    followed.step(2)
    end(followed, 2, Cause.DATA_ERROR, "the disk is not there")
    followed.step(2)
    for key in asked:
        stop(key)
    followed.step(3)
    row = followed.store.experiment("e")
    assert (row.state, row.stop_rule) == (ExperimentState.STOPPED, "by_hand")
    assert "e" not in followed.controller.errors


def running(bench: Bench) -> list[int]:
    """Return the trials that run, of which the scheduler knows."""
    found = [trial.number for trial in bench.store.trials("e") if trial.state is TrialState.RUNNING]
    assert found == sorted(key.trial for key in bench.scheduler.alive if isinstance(key, AttemptKey))
    return found


def test_a_preparation_that_fails_fails_the_search(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with the data is said of the search, which has no trial."""
    prepares(bench, monkeypatch, problem=DataError("it is damaged", field="/data/1.png"))
    bench.create(max_trials=1)
    bench.step(4)
    row = bench.store.experiment("e")
    assert (row.state, row.stop_rule, row.detail) == (ExperimentState.FAILED, "error", "/data/1.png: it is damaged.")
    assert bench.store.trials("e") == []


def test_a_search_can_be_stopped_while_it_is_prepared(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preparation ends, and the search is stopped without a trial."""
    prepares(bench, monkeypatch)
    bench.create(max_trials=1)
    bench.step(3)
    bench.store.request("e", "stop")
    bench.step(6)
    row = bench.store.experiment("e")
    assert (row.state, row.stop_rule) == (ExperimentState.STOPPED, "by_hand")
    assert [job.state for job in bench.store.jobs("e", kind="prepare")] == [JobState.STOPPED]
    assert bench.store.open_requests() == []


def stop(bench: Bench, number: int) -> None:
    """Ask for the end of a job."""
    bench.store.request(None, "stop_job", job=number)


def test_a_kind_that_nobody_knows_fails_its_own_job(bench: Bench) -> None:
    """A job of an unknown kind, as a newer version may have recorded it, fails, and others go on."""
    with bench.store.transaction() as tx:
        unknown = tx.add_job("unheard-of", None, {})
    number = add(bench)
    bench.step(3)
    assert (job(bench, unknown).state, job(bench, number).state) == (JobState.FAILED, JobState.RUNNING)
    assert "unheard-of" in job(bench, unknown).detail


def test_a_running_job_that_can_not_go_on_is_ended(bench: Bench) -> None:
    """If what a running job needs is gone when its next controller begins, its process is ended and it has failed."""
    number = add(bench)
    bench.step(2)
    bench.crash()
    kind(bench, problem=UserError("its data is gone"))
    bench.step(3)
    assert (job(bench, number).state, job(bench, number).detail) == (JobState.FAILED, "its data is gone.")
    assert not bench.scheduler.alive and not bench.controller.busy


def test_a_running_job_with_nothing_left_to_do_is_concluded(bench: Bench) -> None:
    """If others have done meanwhile what a running job is about, it is ended and has succeeded."""
    number = add(bench)
    bench.step(2)
    bench.crash()
    kind(bench, amount=0)
    bench.step(3)
    assert job(bench, number).state is JobState.SUCCEEDED
    assert not bench.scheduler.alive and not bench.controller.busy


@pytest.mark.parametrize("waits", [True, False])
def test_a_job_that_was_running_is_stopped_by_the_next_controller(bench: Bench, waits: bool) -> None:
    """A request that comes while no controller runs is obeyed by the next one, before it knows the job's parts."""
    number = add(bench)
    bench.step(2)
    stop(bench, number)
    bench.waits = waits
    bench.crash()
    bench.step(3)
    bench.settle()
    bench.step(3)
    assert job(bench, number).state is JobState.STOPPED
    assert not bench.scheduler.alive and not bench.store.open_requests()


def test_a_stop_outlives_the_controller_that_has_begun_with_it(bench: Bench) -> None:
    """A job that was asked to end does not go on because its controller was killed meanwhile."""
    number = add(bench)
    bench.step(2)
    stop(bench, number)
    bench.scheduler.silent = True
    bench.step()
    bench.crash()
    bench.scheduler.silent = False
    bench.step(4)
    assert job(bench, number).state is JobState.STOPPED


def test_a_late_stop_is_not_meant_for_the_next_life(bench: Bench) -> None:
    """A request for the end of a job that ends by itself meanwhile does not stop it when it is tried again."""
    number = add(bench)
    bench.step(2)
    end(bench, number, Cause.CRASHED)
    stop(bench, number)
    bench.controller.step(timeout=0)  # too early for a look at the requests
    assert job(bench, number).state is JobState.FAILED
    with bench.store.transaction() as tx:
        tx.retry_job(number)
    bench.step(3)
    assert job(bench, number).state is JobState.RUNNING


def test_what_is_stopped_before_it_begins_leaves_its_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is stopped while its folder is being prepared takes nothing away from others for ever."""
    kind(bench, resources=Resources(cpus=2))
    bench.waits = False
    bench.crash()
    hold, begun = threading.Event(), threading.Event()

    def slow(*_: Any) -> str:
        begun.set()
        hold.wait(30)
        return ""

    with monkeypatch.context() as patched:
        patched.setattr("tunewell.controller.job_run.make_way", slow)
        number = add(bench)
        wait_until(lambda: bench.step() or begun.is_set())
        stop(bench, number)
        bench.step(2)
        assert job(bench, number).state is JobState.STOPPED
        hold.set()
    bench.settle()
    other = add(bench)
    wait_until(lambda: bench.step() or job(bench, other).state is JobState.RUNNING)


def test_a_result_that_can_not_be_written_is_one_jobs_matter(bench: Bench) -> None:
    """A job that brings what no store can hold has failed, and others are recorded all the same."""
    kind(bench, conclusion=lambda context, folders: Conclusion({"found": object()}))
    numbers = [add(bench), add(bench)]
    bench.step(2)
    end(bench, numbers[0])
    bench.step(3)
    row = job(bench, numbers[0])
    assert (row.state, row.cause) == (JobState.FAILED, Cause.CRASHED) and "object" in row.detail
    bench.scheduler.events.append(Reported(attempt_of(bench, numbers[1]), Report(1, {"reading": 0.5}, 0.0)))
    bench.step(2)
    assert job(bench, numbers[1]).progress["reading"] == 0.5
