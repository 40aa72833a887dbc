"""The program and its commands."""

from __future__ import annotations

from importlib import metadata

import typer

from tunewell.cli import (
    after,
    compare,
    database,
    datasets,
    demo,
    import_,
    inspect,
    login,
    models,
    notify,
    program,
    repeating,
    resources,
    search,
    serve,
    steer,
    upkeep,
    users,
    work,
)
from tunewell.service.following import JobFailed
from tunewell.spec.errors import UserError
from tunewell.spec.states import Cause

app = typer.Typer(
    name="tunewell",
    help="Finds good hyperparameters by itself.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("search")(search.search)
app.command("check")(search.check)
app.command("import")(import_.import_)
app.command("list")(inspect.list_)
app.command("show")(inspect.show)
app.command("compare")(compare.compare)
app.command("logs")(inspect.logs)
app.command("stop")(inspect.stop)
app.command("pause")(inspect.pause)
app.command("resume")(search.resume)
app.command("retry")(search.retry)
app.command("set")(steer.set_)
app.command("add")(steer.add)
app.command("delete")(steer.delete)
app.command("restore")(steer.restore)
app.command("queue")(resources.queue)
app.command("resources")(resources.resources)
app.command("usage")(resources.usage)
app.command("jobs")(inspect.jobs)
app.command("controller")(search.controller)
app.command("serve")(serve.serve)
app.command("worker")(work.worker)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("export")(inspect.export)
app.command("report")(inspect.report)
app.command("tasks")(inspect.tasks)
app.command("evaluate")(after.evaluate)
app.command("repeat")(repeating.repeat)
app.command("retrain")(after.retrain)
app.command("predict")(after.predict)
app.command("export-model")(after.export_model)
app.command("publish")(models.publish)
app.command("backup")(upkeep.backup)
app.command("gc")(upkeep.gc)
app.command("disk")(upkeep.disk)
app.command("restore-backup")(upkeep.restore_backup)
app.add_typer(database.app, name="database")
app.add_typer(datasets.app, name="datasets")
app.add_typer(notify.app, name="notify")
app.add_typer(models.app, name="models")
app.add_typer(users.users, name="users")
app.add_typer(users.tokens, name="tokens")


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and end.", is_eager=True),
) -> None:
    if version:
        print(f"tunewell {metadata.version('tunewell')}")
        raise typer.Exit


def run() -> int:
    """Run the program on the process's arguments; return its exit code."""
    try:
        return program.run(app)
    except JobFailed as error:
        code = program.WRONG_INPUT if error.cause is Cause.DATA_ERROR else program.NO_RESULT
        return program.complain(UserError(str(error), kind="job-failed"), code)
