"""Commands that check and run searches."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunewell.cli import INTERRUPTED
from tunewell.cli.controller_lines import ControllerLines
from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    ExperimentArgument,
    HomeOption,
    JsonOption,
    MailFromOption,
    RayOption,
    ServerOption,
    SmtpOption,
    SmtpPasswordFileOption,
    existing,
    print_json,
    terminal,
)
from tunewell.cli.spec_file import read_spec
from tunewell.cli.summary import print_summary
from tunewell.display.following import follow_search
from tunewell.display.lines import ProgressLines, started_line
from tunewell.display.live import LiveTable
from tunewell.display.wording import conditions_text, early_stopping_text
from tunewell.service.findings import check_spec
from tunewell.service.following import why_failed
from tunewell.service.notifications.mail import MailServer
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.notifications.sending import public_address
from tunewell.service.runs import Given, Serving
from tunewell.service.service import Service
from tunewell.service.storage.resolving import names_stored
from tunewell.service.types import Checked, DataFindings, JobKind
from tunewell.service.verbs import Verbs
from tunewell.service.warm_start import lacks_space
from tunewell.spec.errors import ArgumentError, UserError, count
from tunewell.spec.experiment import needs_its_program
from tunewell.spec.format import scalar
from tunewell.spec.names import cluster_called
from tunewell.spec.states import Cause, ExperimentState, JobState

#: Jobs that follow a search, and what people call them.
_FOLLOW_UPS: Mapping[JobKind, str] = {"evaluate": "The detailed evaluation", "report": "Writing the report"}


def search(
    spec_file: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The spec of the search.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    ray: RayOption = None,
    new: Annotated[bool, typer.Option("--new", help="Start over, under a numbered name if need be.")] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Only its owner and administrators see it, and the data that are sent.")
    ] = False,
    json_: JsonOption = False,
    details: Annotated[
        bool,
        typer.Option("--details/--no-details", help="Evaluate the five best in detail at the end, write the report."),
    ] = True,
) -> int:
    """Run a search to its end, or go on with a paused one. Exit code: 1 if it failed, or has no result.

    A server is sent what the spec needs: the folder of a command, without what its `.tunewellignore` leaves out, and a
    folder with data, each once. The search is then followed; Ctrl-C leaves it running, and the same command follows it
    again.
    """
    raw = {**read_spec(spec_file), **({"visibility": "private"} if private else {})}
    if server is not None:
        _tell_unused(ray, json_)
        return _search_there(server, raw, spec_file, json_, new=new)
    with Service(home, database) as service:
        if ray is not None and service.home.is_served:
            _tell_unused(ray, json_)
        elif ray is not None:
            service.join_cluster(ray)
        submission = service.create(raw, new="always" if new else "never")
        return run_search(service, submission.name, json_, finished=submission.kind == "finished", details=details)


def _tell_unused(ray: str | None, json_: bool) -> None:
    """Say that a cluster counts for nothing where a service runs the search."""
    if ray is not None:
        called = cluster_called(ray)
        line = f"T{called[1:]} is not used: the service that runs this search has its own, or none."
        terminal(stderr=json_, soft_wrap=True).print(line, style="yellow", markup=False)


def _search_there(server: str, raw: Mapping[str, Any], spec_file: Path, json_: bool, *, new: bool) -> int:
    """Run a search on a server, and follow it; return the exit code."""
    from tunewell.client.client import Client
    from tunewell.client.shipping import shipped

    console = terminal(stderr=json_, soft_wrap=True)
    with Client(server) as client:
        spec = shipped(client, raw, lambda sentence: console.print(sentence, style="dim"), spec_file)
        submission = client.create(spec, new="always" if new else "never")
        name = submission.name
        if submission.kind == "finished":
            console.print(f"'{name}' has ended; this is its result. Raise max_trials to go on, or use --new.")
            ended = True
        else:
            try:
                ended = follow_search(client, name, terminal(stderr=json_), goes_on=submission.kind == "continued")
            except KeyboardInterrupt:
                again = f"tunewell search {shlex.quote(str(spec_file))} --server {server}"
                console.print(f"'{name}' goes on without this terminal. Follow it again: {again}")
                return INTERRUPTED
        return _conclude(client, name, json_, ended)


#: What is said of a search over a function that this program does not have.
GOES_ON_IN_ITS_PROGRAM = "Run the program that calls tunewell.search again to go on."


def run_search(service: Service, name: str, json_: bool, *, finished: bool = False, details: bool = True) -> int:
    """Run a recorded experiment with progress on the terminal, then show what it brought; return the exit code."""
    console = terminal(stderr=json_)
    if finished:
        console.print(f"'{name}' has ended; this is its result. Raise max_trials to go on, or use --new.")
        ended = not details or _finish(service, name, console)
    else:
        ended = _run(service, name, console, details)
    return _conclude(service, name, json_, ended)


def _conclude(service: Verbs, name: str, json_: bool, ended: bool) -> int:
    """Show what a search has brought; return the exit code."""
    console = terminal(stderr=json_)
    try:
        is_well = _show(service, name, json_, console)
    except UserError as error:
        if ended:
            raise
        console.print(f"What it has brought can't be shown: {error}", style="yellow", soft_wrap=True, markup=False)
        return INTERRUPTED
    if not ended:
        return INTERRUPTED
    return 0 if is_well else 1


def _show(service: Verbs, name: str, json_: bool, console: Console) -> bool:
    """Show what a search has brought; return whether it has a best trial and has not failed."""
    _tell_failures(service, name, console)
    result = service.result(name)
    if json_:
        print_json(result.to_json())
    else:
        print_summary(service, result, console)
    return result.best is not None and result.state is not ExperimentState.FAILED


def _run(service: Service, name: str, console: Console, details: bool) -> bool:
    service.check_idle(name)
    if service.experiment(name).started_at is not None:
        console.print(f"Going on with '{name}'.")
    given = Given(follow_up=details)
    if console.is_terminal:
        with LiveTable(service, name, console) as table:
            say = partial(console.print, style="dim")
            return service.run(name, given, on_step=table.update, tell=say)
    stream = sys.stderr if console.stderr else sys.stdout
    print(started_line(service.overview(name, 1)), file=stream, flush=True)
    lines = ProgressLines(service, name, stream)
    ended = service.run(name, given, on_step=lines.update, tell=lines.tell)
    lines.close()
    return ended


def _finish(service: Service, name: str, console: Console) -> bool:
    """Do what was to follow a search, if that was cut off."""
    with console.status("") as status:
        return service.run_follow_up(name, lambda situation: status.update(Text(situation.doing)))


def _tell_failures(service: Verbs, name: str, console: Console) -> None:
    """Say which of the jobs that follow a search have failed, and why."""
    for kind, what in _FOLLOW_UPS.items():
        for job in service.jobs(experiment=name, kind=kind, limit=1).items:
            if job.state is JobState.FAILED:
                console.print(f"{what} failed: {why_failed(job)}", style="yellow")


def resume(
    experiment: ExperimentArgument,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> int:
    """Let a paused experiment go on: in the controller, or here. So does one that nobody runs, as after `set`."""
    with existing(home, database, server, "write") as service:
        before = service.experiment(experiment)
        is_left = before.waits_for is not None and before.waits_for.code == "no_controller"
        if not is_left or not isinstance(service, Service):
            service.resume(experiment)
        known = service.experiment(experiment)
        if not isinstance(service, Service) or known.running or service.home.is_served:
            print(f"Experiment '{experiment}' goes on.")
            return 0
        if is_left and needs_its_program(known.spec):
            print(GOES_ON_IN_ITS_PROGRAM)
            return 0
        return run_search(service, experiment, json_)


def controller(
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    ray: RayOption = None,
    lost_host: Annotated[
        list[str] | None,
        typer.Option("--lost-host", metavar="HOST", help="A machine that is gone for good: what ran there runs again."),
    ] = None,
    smtp: SmtpOption = "",
    mail_from: MailFromOption = "",
    smtp_password_file: SmtpPasswordFileOption = None,
) -> None:
    """Run all that is recorded in a home, until Ctrl-C.

    What is recorded meanwhile is run, too. Running trials live on, and the next controller takes them over. On
    PostgreSQL several controllers share the work, and go on with what one of them leaves behind.
    """
    stop, mail = threading.Event(), MailServer.named(smtp, mail_from, smtp_password_file)
    with Service(home, database) as service:

        def end(*_: object) -> None:
            stop.set()
            service.hurry()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        lines = ControllerLines(service.home.folder, service.store.place)
        outgoing = Outgoing(mail, public_address(service.address))
        if ray is not None:
            service.join_cluster(ray, wait=False)
        service.run_all(stop, lines.update, lines.tell, Serving(lost_hosts=lost_host or (), outgoing=outgoing))


def check(
    spec_file: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The spec of the search.")],
    line: Annotated[
        str | None, typer.Option("--line", help="A line of your program's output: which metrics are found in it?")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Open every picture, and write a page about the data (HTML).")
    ] = None,
    no_estimate: Annotated[
        bool, typer.Option("--no-estimate", help="Measure no steps of a trial to tell how long it takes.")
    ] = False,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    ray: RayOption = None,
    json_: JsonOption = False,
) -> int:
    """Check a spec, its data and program; start nothing."""
    raw = read_spec(spec_file)
    doing = "Opening every picture …" if pictures is not None else "Checking, and measuring a few steps of a trial …"
    measures = not no_estimate and raw.get("task") is not None
    with terminal(stderr=True).status(doing) if measures or pictures is not None else nullcontext():
        if server is not None:
            _tell_unused(ray, json_)
            checked = _checked_there(server, raw, spec_file, line, pictures, measures)
        else:
            checked = _checked(raw, line, pictures, home, database, measures, ray, json_)
    if json_:
        print_json(
            {
                "experiment": checked.experiment,
                "algorithm": checked.algorithm,
                "early_stopping": checked.early_stopping,
                "max_trials": checked.max_trials,
                "concurrency": checked.concurrency,
                "parameters": {parameter.name: parameter.domain for parameter in checked.parameters},
                "findings": checked.findings,
                "estimate": checked.estimate.to_json() if checked.estimate else None,
                "not_estimated": checked.not_estimated,
                "line": checked.line.model_dump(mode="json", exclude={"told"}) if checked.line else None,
            }
        )
        return 0
    console = terminal(soft_wrap=True)
    for finding in checked.findings:
        console.print(finding)
    reason = f" ({checked.algorithm_reason})" if checked.algorithm_reason else ""
    options = "".join(f", {name} {scalar(value)}" for name, value in checked.options.items())
    console.print(f"Algorithm: {checked.algorithm}{reason}{options}; {count(checked.max_trials, 'trial')}.")
    if checked.first_trials:
        console.print(f"{checked.first_trials} A default of your own tells the search otherwise.")
    console.print(f"Objective: {checked.objective.goal} {checked.objective.metric}.")
    if checked.max_trials > 1:
        console.print(early_stopping_text(checked.early_stopping))
        console.print(checked.concurrency)
    console.print(_parameter_table(checked))
    _print_estimate(checked, console)
    if checked.line is not None:
        console.print(checked.line.told)
    if checked.data is not None:
        console.print(f"About the data: {pictures}{_flaws(checked.data)}")
    console.print("The spec is right; nothing was started.", style="green")
    return 0


def _print_estimate(checked: Checked, console: Console) -> None:
    """Print how long it takes, and which limits are too short for that."""
    if checked.not_estimated:
        console.print(checked.not_estimated, style="dim")
    if checked.estimate is None:
        return
    console.print(checked.estimate.told)
    for warning in checked.estimate.warnings:
        console.print(Text("Advice: ", style="bold yellow").append(warning, style="default not bold"))


def _checked(
    raw: Mapping[str, Any],
    line: str | None,
    page: Path | None,
    home: Path,
    database: str | None,
    measures: bool,
    ray: str | None,
    json_: bool,
) -> Checked:
    """Check a spec, with what a home that is there already knows; without one, unless something is taken from it."""
    with ExitStack() as stack:
        try:
            service = stack.enter_context(_known(home, database, "read" if ray is None else "write"))
        except UserError:
            if lacks_space(raw) or names_stored(raw):
                raise
            if ray is None:
                return check_spec(raw, line, page, measures=measures)
            service = stack.enter_context(Service(Path(stack.enter_context(TemporaryDirectory()))))
        if service.home.is_served:
            _tell_unused(ray, json_)
        elif ray is not None:
            service.join_cluster(ray)
        return service.check(raw, line=line, page=page, measure=measures)


def _known(home: Path, database: str | None, access: Literal["read", "write"]) -> Service:
    service = existing(home, database, None, access)
    assert isinstance(service, Service)
    return service


def _checked_there(
    server: str, raw: Mapping[str, Any], spec_file: Path, line: str | None, page: Path | None, measures: bool
) -> Checked:
    """Check a spec on a server; what it needs is sent, as for a search."""
    from tunewell.client.client import Client
    from tunewell.client.shipping import shipped

    if page is not None:
        raise ArgumentError("pictures", "a server writes no pages here", "Use `tunewell datasets check` for its data")
    with Client(server) as client:
        return client.check(shipped(client, raw, spec_file=spec_file), line=line, measure=measures)


def _parameter_table(checked: Checked) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    defaults = [scalar(one.default) if one.has_default else "" for one in checked.parameters]
    columns = {
        "parameter": [one.name for one in checked.parameters],
        "range": ["fixed" if one.fixed and one.has_default else one.domain for one in checked.parameters],
        "default": defaults,
        "only with": [conditions_text(one.when) for one in checked.parameters],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    for name in shown:
        table.add_column(name, overflow="fold")
    for row in zip(*shown.values(), strict=True):
        table.add_row(*map(Text, row))
    return table


def _flaws(found: DataFindings) -> str:
    items = f"{found.unit}s"
    flaws = [f"{items} that can't be read: {found.broken}"] if found.broken else []
    flaws += [f"{items} in train and in another split: {found.copied}"] if found.copied else []
    return f" ({'; '.join(flaws)})" if flaws else ""


def retry(
    experiment: ExperimentArgument,
    trials: Annotated[
        list[int] | None, typer.Argument(metavar="[TRIAL]...", help="Trials; default: all failed ones.")
    ] = None,
    cause: Annotated[Cause | None, typer.Option("--cause", help="Only trials that failed for this cause.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> int:
    """Run failed trials again: some, all, or those of a cause. Goes on with the search if nobody runs it."""
    with existing(home, database, server, "write") as service:
        numbers = service.retry(experiment, trials or (), cause)
        console = terminal(stderr=json_)
        console.print(
            f"{count(len(numbers), 'trial')} of '{experiment}' will run again: {', '.join(map(str, numbers))}."
        )
        known = service.experiment(experiment)
        if known.running or not isinstance(service, Service):
            return 0
        if needs_its_program(known.spec):
            console.print(GOES_ON_IN_ITS_PROGRAM)
            return 0
        return run_search(service, experiment, json_)
