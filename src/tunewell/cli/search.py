"""Commands that check and run searches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    ExperimentArgument,
    HomeOption,
    JsonOption,
    existing,
    print_json,
    terminal,
)
from tunewell.cli.summary import print_summary
from tunewell.controller.controller import Controller
from tunewell.display.lines import ProgressLines, note_line, started_line
from tunewell.display.live import LiveTable
from tunewell.display.wording import conditions_text
from tunewell.service.data_page import write_data_page
from tunewell.service.jobs import JobFailed
from tunewell.service.service import Service
from tunewell.service.submission import make_plan
from tunewell.service.warm_start import lacks_space
from tunewell.spec.errors import count
from tunewell.spec.files import read_spec_file
from tunewell.spec.format import scalar
from tunewell.spec.metric_line import parse_metrics
from tunewell.spec.space import NO_DEFAULT, describe_domain
from tunewell.spec.states import Cause
from tunewell.tasks.command import check_metric_line
from tunewell.tasks.data_view import DataView


def search(
    spec_file: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The spec of the search.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    new: Annotated[bool, typer.Option("--new", help="Start over, under a numbered name if need be.")] = False,
    json_: JsonOption = False,
    details: Annotated[
        bool,
        typer.Option("--details/--no-details", help="Evaluate the five best in detail at the end, write the report."),
    ] = True,
) -> int:
    """Run a search to its end, or go on with an interrupted one."""
    raw = read_spec_file(spec_file)
    with Service(home, database) as service:
        submission = service.submit(raw, new="always" if new else "never")
        return run_search(service, submission.name, json_, finished=submission.kind == "finished", details=details)


def run_search(service: Service, name: str, json_: bool, *, finished: bool = False, details: bool = True) -> int:
    """Run a recorded experiment with progress on the terminal, then show what it brought; return the exit code."""
    console = terminal(stderr=json_)
    ended = finished or _run(service, name, console)
    if finished:
        console.print(f"'{name}' has ended; this is its result. Raise max_trials to go on, or use --new.")
    if ended and details and not (finished and _has_report(service, name)):
        _finish(service, name, console)
    result = service.result(name)
    if json_:
        print_json(result.to_json())
    else:
        print_summary(service, result, console)
    if not ended:
        return 130
    return 0 if result.best else 1


def _run(service: Service, name: str, console: Console) -> bool:
    service.check_idle(name)
    if service.experiment(name).started_at is not None:
        console.print(f"Going on with '{name}'.")
    if not console.is_terminal:
        stream = sys.stderr if console.stderr else sys.stdout
        print(started_line(service.snapshot(name, 1)), file=stream, flush=True)
        lines = ProgressLines(service, name, stream)
        ended = service.run(name, progress=_plain_progress(stream), on_step=lines.update, tell=lines.tell)
        lines.close()
        return ended
    with console.status("Preparing …") as status:
        table = LiveTable(service, name, console)
        shown = False

        def step(controller: Controller) -> None:
            nonlocal shown
            if not shown:
                status.stop()
                for note in service.experiment(name).notes:
                    console.print(Text(note_line(note), style="dim"), soft_wrap=True)
                table.__enter__()
                shown = True
            table.update(controller.problem, controller.interrupted)

        try:
            return service.run(
                name,
                progress=lambda what, done, total: status.update(Text(f"{what} {done}/{total}")),
                on_step=step,
                tell=lambda sentence: console.print(sentence, style="dim"),
            )
        finally:
            if shown:
                table.__exit__(None, None, None)


def _plain_progress(stream: Any) -> Any:
    last: dict[str, int] = {}

    def show(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if last.get(what) != tenth:
            last[what] = tenth
            if tenth in (5, 10):
                print(f"{what} {done}/{total}", file=stream, flush=True)

    return show


def _has_report(service: Service, name: str) -> bool:
    """Whether the report was written after the search had ended (and not cut off by an interruption)."""
    report = service.home.experiment(name) / "report.html"
    return report.exists() and report.stat().st_mtime >= (service.experiment(name).ended_at or 0.0)


def _finish(service: Service, name: str, console: Console) -> None:
    if service.result(name).best is None:
        service.report(name)
        return
    with console.status("") as status:
        service.train_finalists(
            name,
            lambda trial, done, total: status.update(f"Training trial {trial} on all data ({done + 1} of {total}) …"),
        )
    try:
        with console.status("Evaluating the best trials in detail …"):
            service.evaluate(name)
    except JobFailed as error:
        console.print(f"The detailed evaluation failed: {error}", style="yellow")
    service.report(name)


def check(
    spec_file: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The spec of the search.")],
    line: Annotated[
        str | None, typer.Option("--line", help="A line of your program's output: which metrics are found in it?")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Open every picture, and write a page about the data (HTML).")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    json_: JsonOption = False,
) -> int:
    """Check a spec, its data and program; start nothing."""
    raw = read_spec_file(spec_file)
    if lacks_space(raw):
        with existing(home, database) as service:
            plan = service.plan(raw)
    else:
        plan = make_plan(raw)
    view: DataView | None = None
    if pictures is not None:
        with terminal(stderr=True).status("Opening every picture …"):
            view = write_data_page(plan, pictures)
    metrics: dict[str, Any] | None = None
    if line is not None:
        step, found = parse_metrics(line, plan.spec.metric_pattern, plan.spec.objective.metric)
        metrics = {"step": step, "metrics": found}
    if json_:
        parameters = {parameter.name: describe_domain(parameter) for parameter in plan.space}
        print_json(
            {
                "experiment": plan.spec.name,
                "algorithm": plan.choice.name,
                "max_trials": plan.choice.max_trials,
                "parameters": parameters,
                "findings": plan.findings,
                "line": metrics,
            }
        )
        return 0
    console = terminal(soft_wrap=True)
    for finding in plan.findings:
        console.print(finding)
    reason = f" ({plan.choice.reason})" if plan.choice.reason else ""
    options = "".join(f", {name} {scalar(value)}" for name, value in plan.choice.options.items())
    console.print(f"Algorithm: {plan.choice.name}{reason}{options}; {count(plan.choice.max_trials, 'trial')}.")
    console.print(f"Objective: {plan.spec.objective.goal} {plan.spec.objective.metric}.")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    defaults = ["" if parameter.default is NO_DEFAULT else scalar(parameter.default) for parameter in plan.space]
    domains = [
        "fixed" if parameter.size == 1 and default else describe_domain(parameter)
        for parameter, default in zip(plan.space, defaults, strict=True)
    ]
    columns = {
        "parameter": plan.space.names,
        "range": domains,
        "default": defaults,
        "only with": [conditions_text(parameter) for parameter in plan.space],
    }
    shown = [name for name, cells in columns.items() if any(cells)]
    for name in shown:
        table.add_column(name, overflow="fold")
    for row in zip(*(columns[name] for name in shown), strict=True):
        table.add_row(*map(Text, row))
    console.print(table)
    if line is not None:
        console.print(check_metric_line(plan.spec, line))
    if view is not None:
        console.print(f"About the data: {pictures}{_flaws(view)}")
    console.print("The spec is right; nothing was started.", style="green")
    return 0


def _flaws(view: DataView) -> str:
    flaws = [f"pictures that can't be read: {len(view.broken)}"] if view.broken else []
    flaws += [f"pictures in train and in another split: {view.copied}"] if view.copied else []
    return f" ({'; '.join(flaws)})" if flaws else ""


def retry(
    experiment: ExperimentArgument,
    trials: Annotated[
        list[int] | None, typer.Argument(metavar="[TRIAL]...", help="Trials; default: all failed ones.")
    ] = None,
    cause: Annotated[Cause | None, typer.Option("--cause", help="Only trials that failed for this cause.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    json_: JsonOption = False,
) -> int:
    """Run failed trials again: some, all, or those of a cause. Goes on with the search if nobody runs it."""
    with existing(home, database, "write") as service:
        numbers = service.retry(experiment, trials or (), cause)
        console = terminal(stderr=json_)
        console.print(
            f"{count(len(numbers), 'trial')} of '{experiment}' will run again: {', '.join(map(str, numbers))}."
        )
        if service.is_running(experiment):
            return 0
        if service.experiment(experiment).spec.get("function"):
            console.print("Run the program that calls tunewell.search again to go on.")
            return 0
        return run_search(service, experiment, json_)
