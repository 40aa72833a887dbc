"""Who may do what, verb by verb, and what nobody learns who may not see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.test_verbs_contract import FAILED, IN_PROCESS, SPEC, SUCCEEDED, Bench, bench, models_in
from tunewell.service.types import Caller, GivenReport
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ConflictError, ForbiddenError, NotFoundError, UserError
from tunewell.spec.names import Visibility
from tunewell.store.rows import DataSetRow, ModelRow, ModelVersionRow

__all__ = ["bench"]  # a fixture

OWNER = Caller(name="ada", role="user", run_code=True, local=True)
USER = Caller(name="bob", role="user", run_code=True, local=True)
VIEWER = Caller(name="vera", role="viewer", local=True)
ADMINISTRATOR = Caller(name="root", role="administrator", run_code=True, local=True)
CALLERS = {"viewer": VIEWER, "user": USER, "owner": OWNER, "administrator": ADMINISTRATOR}
VISIBILITIES: tuple[Visibility, ...] = ("team", "private")


class Right(Enum):
    """What a verb takes."""

    #: Nothing: everybody may.
    NONE = "none"
    #: Not to be there for looking only.
    ACT = "act"
    #: To see the experiment.
    SEE = "see"
    #: To see it, and not to be there for looking only.
    USE = "use"
    #: To own it, or to be an administrator.
    COMMAND = "command"
    #: The same, of one in the bin.
    COMMAND_BIN = "command in the bin"
    #: The same, of a data set in the bin, which nobody else sees.
    OWN_BIN = "own in the bin"
    #: To be an administrator.
    ADMINISTER = "administer"


#: Verb → what it takes, and how it is called about an experiment and a job about that.
VERBS: Mapping[str, tuple[Right, Callable[[Any, str, int], Any]]] = {
    "check": (Right.ACT, lambda v, e, job: v.check({**SPEC, "name": "new"})),
    "create": (Right.ACT, lambda v, e, job: v.create({**SPEC, "name": "new"})),
    "import_table": (
        Right.ACT,
        lambda v, e, job: v.import_table({**SPEC, "name": "t"}, b"x,accuracy\n0.5,0.7\n", "t"),
    ),
    "import_study": (Right.ACT, lambda v, e, job: v.import_study({**SPEC, "name": "t"}, "sqlite:///nothing.db")),
    "import_in_background": (
        Right.ACT,
        lambda v, e, job: v.import_in_background({**SPEC, "name": "t"}, table=Path("t.csv")),
    ),
    "check_data": (Right.ACT, lambda v, e, job: v.check_data({**SPEC, "name": "new"})),
    "create_upload": (Right.ACT, lambda v, e, job: v.create_upload("a.zip", 1)),
    "add_dataset": (Right.ACT, lambda v, e, job: v.add_dataset("new", upload="0" * 32)),
    "add_code": (Right.ACT, lambda v, e, job: v.add_code("0" * 32)),
    "experiments": (Right.NONE, lambda v, e, job: v.experiments()),
    "changes": (Right.NONE, lambda v, e, job: v.changes()),
    "tasks": (Right.NONE, lambda v, e, job: v.tasks()),
    "network": (Right.NONE, lambda v, e, job: v.network("resnet18")),
    "algorithms": (Right.NONE, lambda v, e, job: v.algorithms()),
    "about": (Right.NONE, lambda v, e, job: v.about()),
    "resources": (Right.NONE, lambda v, e, job: v.resources()),
    "queue": (Right.NONE, lambda v, e, job: v.queue()),
    "version": (Right.NONE, lambda v, e, job: v.version()),
    "usage": (Right.NONE, lambda v, e, job: v.usage()),
    "me": (Right.NONE, lambda v, e, job: v.me()),
    "tokens": (Right.NONE, lambda v, e, job: v.tokens()),
    "create_token": (Right.NONE, lambda v, e, job: v.create_token("laptop")),
    "revoke_token": (Right.NONE, lambda v, e, job: v.revoke_token(v.create_token("laptop").token.id)),
    # Whatever is an upload's, or is found by a checksum, does not exist for others.
    "uploads": (Right.NONE, lambda v, e, job: v.uploads()),
    "upload": (Right.NONE, lambda v, e, job: v.upload("0" * 32)),
    "put_part": (Right.NONE, lambda v, e, job: v.put_part("0" * 32, 0, [])),
    "finish_upload": (Right.NONE, lambda v, e, job: v.finish_upload("0" * 32)),
    "abandon_upload": (Right.NONE, lambda v, e, job: v.abandon_upload("0" * 32)),
    "code": (Right.NONE, lambda v, e, job: v.code("0" * 64)),
    "code_files": (Right.NONE, lambda v, e, job: v.code_files("0" * 64)),
    "find_content": (Right.NONE, lambda v, e, job: v.find_content("0" * 64)),
    "datasets": (Right.NONE, lambda v, e, job: v.datasets()),
    "allowed_folders": (Right.NONE, lambda v, e, job: v.allowed_folders()),
    "channels": (Right.NONE, lambda v, e, job: v.channels()),
    "channel": (Right.NONE, lambda v, e, job: v.channel(1)),
    "deliveries": (Right.NONE, lambda v, e, job: v.deliveries(1)),
    "add_channel": (Right.ACT, lambda v, e, job: v.add_channel("ftp://nowhere")),
    # Whose channel it is, `test_notifications_contract` is about.
    "change_channel": (Right.ACT, lambda v, e, job: v.change_channel(1, {})),
    "remove_channel": (Right.ACT, lambda v, e, job: v.remove_channel(1)),
    "confirm_channel": (Right.ACT, lambda v, e, job: v.confirm_channel(1, "1")),
    "test_channel": (Right.ACT, lambda v, e, job: v.test_channel(1)),
    "redeliver": (Right.ACT, lambda v, e, job: v.redeliver(1, 1)),
    "allowed_hosts": (Right.NONE, lambda v, e, job: v.allowed_hosts()),
    "allow_host": (Right.ADMINISTER, lambda v, e, job: v.allow_host("hooks.example.org")),
    "withdraw_host": (Right.ADMINISTER, lambda v, e, job: v.withdraw_host("hooks.example.org")),
    "users": (Right.ADMINISTER, lambda v, e, job: v.users()),
    "user": (Right.ADMINISTER, lambda v, e, job: v.user("ada")),
    "add_user": (Right.ADMINISTER, lambda v, e, job: v.add_user("eve")),
    "change_user": (Right.ADMINISTER, lambda v, e, job: v.change_user("bob", {"weight": 2})),
    "sign_in_link": (Right.ADMINISTER, lambda v, e, job: v.sign_in_link("bob")),
    "audit": (Right.ADMINISTER, lambda v, e, job: v.audit()),
    "audited_verbs": (Right.ADMINISTER, lambda v, e, job: v.audited_verbs()),
    "allow_folder": (Right.ADMINISTER, lambda v, e, job: v.allow_folder(Path("data"))),
    "withdraw_folder": (Right.ADMINISTER, lambda v, e, job: v.withdraw_folder(Path("data"))),
    "disk": (Right.ADMINISTER, lambda v, e, job: v.disk()),
    "change_disk": (Right.ADMINISTER, lambda v, e, job: v.change_disk({"budget_bytes": "1G"})),
    "garbage": (Right.ADMINISTER, lambda v, e, job: v.garbage()),
    "collect_garbage": (Right.ADMINISTER, lambda v, e, job: v.collect_garbage()),
    "backup": (Right.ADMINISTER, lambda v, e, job: next(v.backup())),
    "dataset": (Right.SEE, lambda v, e, job: v.dataset(e)),
    "dataset_view": (Right.SEE, lambda v, e, job: v.dataset_view(e)),
    "dataset_sample": (Right.SEE, lambda v, e, job: v.dataset_sample(e, 1)),
    "check_dataset": (Right.COMMAND, lambda v, e, job: v.check_dataset(e, "image-classification")),
    "delete_dataset": (Right.COMMAND, lambda v, e, job: v.delete_dataset(e)),
    "restore_dataset": (Right.OWN_BIN, lambda v, e, job: v.restore_dataset(e)),
    "publish": (Right.USE, lambda v, e, job: v.publish(e, "new")),
    "models": (Right.NONE, lambda v, e, job: v.models()),
    "model": (Right.SEE, lambda v, e, job: v.model(e)),
    "model_versions": (Right.SEE, lambda v, e, job: v.model_versions(e)),
    "model_version": (Right.SEE, lambda v, e, job: v.model_version(e, 1)),
    "model_files": (Right.USE, lambda v, e, job: v.model_files(e, 1)),
    "predict_now": (Right.USE, lambda v, e, job: v.predict_now(e, [])),
    "change_model": (Right.COMMAND, lambda v, e, job: v.change_model(e, visibility="private")),
    "change_model_version": (Right.COMMAND, lambda v, e, job: v.change_model_version(e, 1, note="Good.")),
    "use_model_version": (Right.COMMAND, lambda v, e, job: v.use_model_version(e, 1)),
    "delete_model_version": (Right.COMMAND, lambda v, e, job: v.delete_model_version(e, 1)),
    "delete_model": (Right.COMMAND, lambda v, e, job: v.delete_model(e)),
    "restore_model": (Right.OWN_BIN, lambda v, e, job: v.restore_model(e)),
    "experiment": (Right.SEE, lambda v, e, job: v.experiment(e)),
    "compare": (Right.SEE, lambda v, e, job: v.compare([e, "ada/beside"])),
    "result": (Right.SEE, lambda v, e, job: v.result(e)),
    "top": (Right.SEE, lambda v, e, job: v.top(e)),
    "overview": (Right.SEE, lambda v, e, job: v.overview(e)),
    "export": (Right.SEE, lambda v, e, job: list(v.export(e))),
    "report": (Right.SEE, lambda v, e, job: v.report(e)),
    "chart": (Right.SEE, lambda v, e, job: v.chart(e)),
    "importances": (Right.SEE, lambda v, e, job: v.importances(e)),
    "events": (Right.SEE, lambda v, e, job: v.events(e)),
    "watch": (Right.SEE, lambda v, e, job: next(v.watch(e))),
    "clone": (Right.SEE, lambda v, e, job: v.clone(e)),
    "trials": (Right.SEE, lambda v, e, job: v.trials(e)),
    "trial": (Right.SEE, lambda v, e, job: v.trial(e, 1)),
    "export_trials": (Right.SEE, lambda v, e, job: v.export_trials(e)),
    "reports": (Right.SEE, lambda v, e, job: v.reports(e, 1)),
    "log": (Right.SEE, lambda v, e, job: v.log(e, 1)),
    "artifacts": (Right.SEE, lambda v, e, job: v.artifacts(e, 1)),
    "artifact": (Right.SEE, lambda v, e, job: v.artifact(e, 1, "file")),
    "evaluations": (Right.SEE, lambda v, e, job: v.evaluations(e)),
    "finalists": (Right.SEE, lambda v, e, job: v.finalists(e)),
    "trained_models": (Right.SEE, lambda v, e, job: v.trained_models(e)),
    "jobs": (Right.SEE, lambda v, e, job: v.jobs(experiment=e)),
    "job": (Right.SEE, lambda v, e, job: v.job(job)),
    "job_log": (Right.SEE, lambda v, e, job: v.job_log(job)),
    "job_artifacts": (Right.SEE, lambda v, e, job: v.job_artifacts(job)),
    "job_artifact": (Right.SEE, lambda v, e, job: v.job_artifact(job, "file")),
    "trained_model_files": (Right.USE, lambda v, e, job: v.trained_model_files(e, "best")),
    "predict": (Right.USE, lambda v, e, job: v.predict(e, [Path("picture.png")])),
    "evaluate_model": (Right.USE, lambda v, e, job: v.evaluate_model(e, f"dataset:{e}")),
    "export_model": (Right.USE, lambda v, e, job: v.export_model(e, Path("out"))),
    "update": (Right.COMMAND, lambda v, e, job: v.update(e, {"max_trials": 9, "weight": 2})),
    "delete": (Right.COMMAND, lambda v, e, job: v.delete(e)),
    "write_report": (Right.COMMAND, lambda v, e, job: v.write_report(e)),
    "stop": (Right.COMMAND, lambda v, e, job: v.stop(e)),
    "pause": (Right.COMMAND, lambda v, e, job: v.pause(e)),
    "resume": (Right.COMMAND, lambda v, e, job: v.resume(e)),
    "retry": (Right.COMMAND, lambda v, e, job: v.retry(e)),
    "add_trial": (Right.COMMAND, lambda v, e, job: v.add_trial(e, {"x": 0.25})),
    "add_reports": (Right.COMMAND, lambda v, e, job: v.add_reports(e, 1, 1, [GivenReport(metrics={"accuracy": 1})])),
    "suggest": (Right.COMMAND, lambda v, e, job: v.suggest(e, "gpu-7", wait=0)),
    "heartbeat": (Right.COMMAND, lambda v, e, job: v.heartbeat(e, 1, 1)),
    "add_log": (Right.COMMAND, lambda v, e, job: v.add_log(e, 1, 1, 0, b"ready")),
    "complete": (Right.COMMAND, lambda v, e, job: v.complete(e, 1, 1, 0.5)),
    "workers": (Right.SEE, lambda v, e, job: v.workers(e)),
    "stop_trial": (Right.COMMAND, lambda v, e, job: v.stop_trial(e, 1)),
    "retry_trial": (Right.COMMAND, lambda v, e, job: v.retry_trial(e, 2)),
    "probe": (Right.COMMAND, lambda v, e, job: v.probe(e)),
    "train_finalists": (Right.COMMAND, lambda v, e, job: v.train_finalists(e)),
    "evaluate": (Right.COMMAND, lambda v, e, job: v.evaluate(e)),
    "repeat_finalists": (Right.COMMAND, lambda v, e, job: v.repeat_finalists(e)),
    "retrain": (Right.COMMAND, lambda v, e, job: v.retrain(e)),
    "stop_job": (Right.COMMAND, lambda v, e, job: v.stop_job(job)),
    "retry_job": (Right.COMMAND, lambda v, e, job: v.retry_job(job)),
    "restore": (Right.COMMAND_BIN, lambda v, e, job: v.restore(e)),
    "purge": (Right.COMMAND_BIN, lambda v, e, job: v.purge(e)),
}
#: What takes no experiment.
ABOUT_NONE = (Right.NONE, Right.ACT, Right.ADMINISTER)
#: What may change the experiment for those who come after.
CHANGING = (Right.COMMAND, Right.COMMAND_BIN, Right.OWN_BIN)
#: Those that are called with a path of the machine.
OF_PATHS = ("allow_folder", "withdraw_folder", "import_study", "import_in_background", "predict", "export_model")


#: How errors begin that tell of something that may be hidden.
MISSING = ("There is no experiment", "There is no job", "There is no data set", "There is no model")


def outcome(right: Right, role: str, visibility: Visibility) -> str:
    """Return what is to become of a call."""
    is_its_own = role in ("owner", "administrator")
    if right is Right.ADMINISTER:
        return "done" if role == "administrator" else "forbidden"
    if right is Right.NONE or is_its_own:
        return "done"
    if right is Right.ACT:
        return "forbidden" if role == "viewer" else "done"
    if visibility == "private" or right is Right.OWN_BIN:
        return "not found"
    allowed = right is Right.SEE or (right is Right.USE and role == "user")
    return "done" if allowed else "forbidden"


def called(call: Callable[[], Any]) -> str:
    """Return what becomes of a call; that it contradicts the state of things is as good as done here."""
    try:
        call()
    except ForbiddenError:
        return "forbidden"
    except NotFoundError as error:
        return "not found" if error.what.startswith(MISSING) else "done"
    except UserError:
        return "done"
    return "done"


def published(name: str, visibility: Visibility) -> tuple[ModelRow, ModelVersionRow]:
    """Return a model of ada's, and a version of it that comes from an experiment of this name."""
    facts = {
        "experiment": name,
        "identity": "",
        "trial": 1,
        "retrained": False,
        "training": "",
        "task": "image-classification",
        "network": "small-cnn",
        "classes": ["a"],
        "parameters": {},
        "objective": {"metric": "accuracy", "goal": "maximize"},
        "value": 0.5,
        "gain": None,
        "validation": {},
        "test": {},
        "dataset": name,
        "folder": None,
        "content": None,
    }
    version = ModelVersionRow(0, 0, "0" * 64, 1, 1, "ada", "", 1.0, facts)
    return ModelRow(0, name, "ada", visibility, 0, 0, 0, 1.0, None), version


def arranged(bench: Bench, name: str, visibility: Visibility) -> int:
    """Record a data set of the owner's, and an experiment with two trials and a job, whose number is returned."""
    verbs = bench.service.as_caller(OWNER)
    verbs.create({**SPEC, "name": name})
    verbs.update(name, {"visibility": visibility})
    folder = DataSetRow(0, f"ada/{name}", "ada", visibility, "0" * 64, "", 1, 1, None, 1.0, None)
    with bench.service.store.transaction() as tx:
        tx.add_dataset(folder)
        tx.publish(*published(f"ada/{name}", visibility))
    bench.add(1, SUCCEEDED, 0.5, f"ada/{name}")
    bench.add(2, FAILED, name=f"ada/{name}")
    return verbs.evaluate(name).id


def test_the_table_has_every_verb() -> None:
    """A verb that is not in the table has rights that nobody has thought about."""
    verbs = {name for name in dir(Verbs) if not name.startswith("_")}
    assert verbs == set(VERBS)


@pytest.mark.one_database(
    "rights are decided before the database is asked; what lists leave out, others look at over each"
)
@pytest.mark.parametrize("verb", [pytest.param(verb, marks=IN_PROCESS if verb in OF_PATHS else ()) for verb in VERBS])
def test_who_may_do_what(bench: Bench, verb: str) -> None:
    """Every verb does for every role what the table says, on an experiment that all see and on a private one.

    Who may see an experiment makes no difference to a verb that is about none.
    """
    right, call = VERBS[verb]
    with bench.service.store.transaction() as tx:
        for caller in CALLERS.values():
            tx.add_user(caller.name, caller.role, run_code=caller.run_code)
    if verb == "compare":
        arranged(bench, "beside", "team")
    found, expected, jobs = {}, {}, {}
    for visibility in VISIBILITIES[:1] if right in ABOUT_NONE else VISIBILITIES:
        for role, caller in CALLERS.items():
            # What is refused, or only looked at, is as it was for the next one.
            name = f"{visibility}-again" if right in CHANGING and role == "administrator" else visibility
            if name not in jobs:
                jobs[name] = arranged(bench, name, visibility)
                put_into_bin(bench, name, right)
            verbs = bench.as_caller(caller)
            found[visibility, role] = called(lambda: call(verbs, f"ada/{name}", jobs[name]))  # noqa: B023 - at once
            expected[visibility, role] = outcome(right, role, visibility)
    assert found == expected


def put_into_bin(bench: Bench, name: str, right: Right) -> None:
    """Have what a verb of the bin is about be there."""
    owner = bench.service.as_caller(OWNER)
    if right is Right.COMMAND_BIN:
        bench.end(f"ada/{name}")
        owner.delete(name)
    if right is Right.OWN_BIN:
        owner.delete_dataset(name)
        owner.delete_model(name)


def told(call: Callable[[], Any]) -> str:
    """Return all that a call tells, in its answer or its error."""
    try:
        answer = call()
    except UserError as error:
        return f"{error} {error.to_json()}"
    models = models_in(answer)
    return "".join(model.model_dump_json() for model in models) if models else str(answer)


@pytest.mark.parametrize("caller", [USER, VIEWER], ids=["user", "viewer"])
def test_a_private_name_leaks_nowhere(bench: Bench, caller: Caller) -> None:
    """No list, no remedy and no error tells others that there is such an experiment, however they ask."""
    job = arranged(bench, "hidden", "private")
    arranged(bench, "binned", "private")
    bench.end("ada/binned")
    bench.as_caller(OWNER).delete("binned")
    verbs = bench.as_caller(caller)
    nearly = ("hiddem", "ada/hiddem", "binnet", "ada/binnet")
    for verb, (_, call) in VERBS.items():
        for name in nearly:
            text = told(lambda: call(verbs, name, job))  # noqa: B023 - called at once
            assert "hidden" not in text and "binned" not in text, verb
    for field in ("warm_start", "parameters_from"):
        for value in (*nearly, ["hiddem"], {"hiddem": 1}, 7):
            text = told(lambda: verbs.check({**SPEC, field: value}))  # noqa: B023 - called at once
            assert "hidden" not in text and "binned" not in text, (field, value)
    assert told(lambda: verbs.check({**SPEC, "warm_start": ["ada/hidden"]})) == told(
        lambda: verbs.check({**SPEC, "warm_start": ["ada/hiddem"]})
    ).replace("hiddem", "hidden")
    for cursor in ("ada/hidden", "ada/hiddem"):
        assert "none" in told(lambda: verbs.experiments(cursor=cursor))  # noqa: B023 - called at once
    for text in (told(verbs.experiments), told(lambda: verbs.experiments(deleted=True)), told(verbs.changes)):
        assert "ada/" not in text
    assert verbs.experiments(owner="ada").items == ()
    assert not [one for one in verbs.jobs().items if one.experiment is not None]


def test_what_builds_on_a_private_experiment_is_private(bench: Bench) -> None:
    """Its spec and its trials tell the name of the other one; so it can't be shared before that one is."""
    verbs = bench.as_caller(OWNER)
    arranged(bench, "hidden", "private")
    verbs.create({**SPEC, "name": "later", "warm_start": ["hidden"]})
    assert verbs.experiment("later").visibility == "private"
    with pytest.raises(ConflictError, match="it builds on 'ada/hidden', which is private"):
        verbs.update("later", {"visibility": "team"})
    verbs.update("hidden", {"visibility": "team"})
    assert verbs.update("later", {"visibility": "team"}).visibility == "team"


def test_a_search_is_private_from_its_start(bench: Bench) -> None:
    """Its spec says so, and nothing but a change of that very fact shares it; what is made of it is private, too."""
    verbs, other = bench.as_caller(OWNER), bench.as_caller(USER)
    verbs.create({**SPEC, "name": "mine", "visibility": "private"})
    verbs.import_table({**SPEC, "name": "old", "visibility": "private"}, b"x,accuracy\n0.5,0.7\n", "t.csv")
    assert other.experiments().items == ()
    verbs.create({**SPEC, "name": "mine"})
    assert verbs.experiment("mine").visibility == verbs.clone("mine").spec["visibility"] == "private"
    assert verbs.update("mine", {"visibility": "team"}).spec["visibility"] == "team"
    verbs.create({**SPEC, "name": "mine", "visibility": "private"})
    assert other.experiments().items == ()


def test_who_asked_for_a_job_may_stop_it(bench: Bench) -> None:
    """A job about another's experiment is its caller's, too, until the caller may only look."""
    arranged(bench, "e", "team")
    with bench.service.store.transaction() as tx:
        job = tx.add_job("predict", "ada/e", {}, "bob")
    looking = Caller(name="bob", role="viewer", local=True)
    assert called(lambda: bench.as_caller(looking).stop_job(job)) == "forbidden"
    assert bench.as_caller(USER).stop_job(job).state == "stopped"


def test_what_a_model_was_given_is_seen_by_its_giver(bench: Bench) -> None:
    """Others who see the experiment, its owner too, learn nothing of the job; administrators do."""
    arranged(bench, "e", "team")
    before = bench.as_caller(OWNER).version()
    with bench.service.store.transaction() as tx:
        job = tx.add_job("predict", "ada/e", {}, "bob")
    for caller in CALLERS.values():
        verbs, sees = bench.as_caller(caller), caller in (USER, ADMINISTRATOR)
        assert (job in [one.id for one in verbs.jobs().items]) == sees
        assert (job in [one.id for one in verbs.changes(before).items]) == sees
        assert called(partial(verbs.job, job)) == ("done" if sees else "not found")


def test_the_bin_is_seen_by_those_who_saw_what_is_in_it(bench: Bench) -> None:
    """Everybody finds shared experiments there, and learns that they went; jobs about them are in no list."""
    arranged(bench, "e", "team")
    before = bench.as_caller(USER).changes().version
    bench.end("ada/e")
    bench.as_caller(OWNER).delete("e")
    for caller in CALLERS.values():
        verbs = bench.as_caller(caller)
        assert [one.name for one in verbs.experiments(deleted=True).items] == ["ada/e"]
        assert verbs.experiments().items == () == verbs.jobs().items
        assert [one.name for one in verbs.changes(before).items] == ["ada/e"]
