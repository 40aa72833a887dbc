"""Commands for the time after the search: evaluation, retraining, prediction, hand-over."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.status import Status
from rich.table import Table
from rich.text import Text

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    ExperimentArgument,
    HomeOption,
    JsonOption,
    ServerOption,
    carried_out,
    existing,
    made,
    print_json,
    terminal,
)
from tunewell.cli.summary import on_all_data
from tunewell.service.folders import check_predictions_file, check_replaceable, replace_folder
from tunewell.service.service import Service
from tunewell.spec.errors import ArgumentError, DataError, count
from tunewell.spec.format import number
from tunewell.spec.names import MODEL, Split, model_called

if TYPE_CHECKING:
    from tunewell.cli.options import Place
    from tunewell.client.client import Client

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT | model:NAME[@VERSION] | FOLDER",
        help="An experiment, a published model, or a model's folder.",
    ),
]

TrialOption = Annotated[
    int | None,
    typer.Option(
        "--trial",
        help="Of an experiment, this trial's own model; default: the retrained one, or else the best trial's.",
    ),
]


def evaluate(
    model: ModelArgument,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]", help="Newly labelled data: a folder or table, or dataset:NAME; without, see below."
        ),
    ] = None,
    trial: TrialOption = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Of DATA: train, val or test; default: test, or else all of them.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="An .html file for the page with charts.")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure a model on newly labelled DATA.

    The figures that it came with are shown beside.

    Without DATA, evaluate the five best trials of an experiment in detail, on its own data; the report is written
    again. Built-in tasks only.
    """
    if data is None:
        given = {"trial": trial, "split": split, "output": output}
        for option, value in given.items():
            if value is not None:
                raise ArgumentError(option, "it is for a model that is measured on DATA", "Name the data, too")
        if model.startswith(MODEL) or (server is None and (Path(model) / "model.json").is_file()):
            raise ArgumentError("data", "a model by itself has none to be measured on", "Name a data set")
        _evaluate_best(model, home, database, server, json_)
        return
    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError("output", f"'{output.name}' is no page", "End its name in .html")
    with _home_or_new(model, home, database, server) as service:
        console = terminal(stderr=json_)
        with console.status("Measuring …"):
            job = service.evaluate_model(model, data, trial=trial, split=cast(Split | None, split))
            done = carried_out(service, job)
            job = service.job(job.id)
            if output is not None:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_bytes(b"".join(service.job_artifact(job.id, done["page"])))
            details = json.loads(b"".join(service.job_artifact(job.id, done["evaluation"]))) if json_ else {}
    if json_:
        print_json({**done, "notes": job.notes, "details": details})
        return
    from tunewell.reports.evaluations import amounts, chance_text, side_by_side

    console.print(f"Model: {model_called(job.arguments['model'], done['trial'])}", soft_wrap=True)
    console.print(f"Measured on {amounts(done['splits'], 'picture')}: {done['data']}", soft_wrap=True)
    for note in job.notes:
        console.print(Text(note, style="yellow" if "can't be read" in note else "dim"), soft_wrap=True)
    console.print(_figures(*side_by_side(done["figures"], done["intervals"])))
    if chance := chance_text(done["splits"], done["intervals"], "picture"):
        console.print(chance, style="dim", soft_wrap=True)
    page = "With charts and examples: --output FILE.html" if output is None else f"Page: {output}"
    console.print(page, style="dim" if output is None else "", soft_wrap=True)


def _evaluate_best(experiment: str, home: Path, database: str | None, server: str | None, json_: bool) -> None:
    """Evaluate the five best trials of a search, and write the report again."""
    with existing(home, database, server, "write") as service:
        console = terminal(stderr=json_)
        with console.status("Evaluating …"):
            carried_out(service, service.evaluate(experiment))
            evaluations = {item.number: item.figures for item in service.evaluations(experiment)}
        report = service.write_report(experiment)
    if json_:
        print_json(evaluations)
        return
    if not evaluations:
        missing = "either no trial has a result and a model yet, or the task has no evaluation of its own"
        console.print(f"Nothing to evaluate in detail: {missing}. The report is written all the same.")
    if isinstance(service, Service):
        console.print(f"Report: {report.path}", soft_wrap=True)
    else:
        console.print(f"Report: tunewell report {experiment} --server {service.server}", soft_wrap=True)


def _figures(titles: Sequence[str], measures: Mapping[str, Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("measure")
    for title in titles:
        table.add_column(title.lower(), justify="right", no_wrap=True)
    for name, values in measures.items():
        table.add_row(name, *values)
    return table


def retrain(
    experiment: ExperimentArgument,
    trial: Annotated[
        int | None, typer.Option("--trial", help="With the parameters of this trial; default: the best.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the model; default: that of the job.")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Train on all data with the best parameters found. A command is run once more with them."""
    with existing(home, database, server, "write") as service:
        console = terminal(stderr=json_)
        with console.status("Training …") as status:
            is_here = isinstance(service, Service)
            if output is not None and not is_here:
                check_replaceable(output)  # before hours of training
                if not service.experiment(experiment).spec.get("task"):
                    raise ArgumentError("output", "a command decides itself where it writes", "Drop it")
            job = service.retrain(experiment, trial, output if is_here else None)
            done = carried_out(service, job, lambda line: status.update(Text(line)), leave=lambda: _leave(status))
            if output is not None and not is_here:
                done = {**done, "model": str(output)}
                _fetch_model(service, job.id, output)
            share = on_all_data(service.experiment(experiment))
    folder, metrics, is_model = done["model"], done["metrics"], done["is_model"]
    if json_:
        print_json({"model": folder, "metrics": metrics})
        return
    figures = ", ".join(f"{name} {number(value)}" for name, value in metrics.items())
    what = "Trained on all data" if is_model else f"The command ran once more{share}"
    console.print(f"{what}{': ' + figures if figures else ''}.", soft_wrap=True)
    if is_here or output is not None:
        console.print(f"{'Model' if is_model else 'Output'}: {folder}", soft_wrap=True)


def _write_predictions(service: Place, job: int, predictions: Sequence[Mapping[str, Any]], output: Path) -> None:
    """Write what a job on a server has predicted as it would be written there; small pictures stay there."""
    if output.suffix.lower() == ".csv":
        content = b"".join(service.job_artifact(job, "predictions.csv"))
    else:
        there = ("preview", "size")
        found = [{name: value for name, value in one.items() if name not in there} for one in predictions]
        content = json.dumps(found, indent=1, allow_nan=False).encode()
    output.write_bytes(content)


def _leave(status: Status) -> bool:
    """Ask whether a job that was interrupted is to go on by itself; where nobody can answer, it is ended."""
    status.stop()
    if not sys.stdin.isatty():
        return False
    return typer.confirm("Let the training go on without this terminal?", default=True)


def predict(
    model: ModelArgument,
    inputs: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Pictures, or folders of pictures.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .csv or .json file; default: a table.")
    ] = None,
    drawn: Annotated[
        Path | None, typer.Option("--drawn", help="Folder for pictures with the objects found drawn in.")
    ] = None,
    trial: TrialOption = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Give objects from this score on, or labels from this probability on; default: as trained.",
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Give the probability of every class, in a file or as JSON.")
    ] = False,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> int:
    """Use a model on new pictures. Exit code 1: none of them could be read."""
    if probabilities and output is None and not json_:
        raise ArgumentError("--probabilities", "the table has the likeliest class alone", "Add --output FILE or --json")
    with _home_or_new(model, home, database, server) as service:
        console = terminal(stderr=json_)
        with console.status("Predicting …"):
            is_here = isinstance(service, Service)
            _check_files(inputs, output)  # before anything is sent, or a job is on record
            target = output if is_here else None
            job = service.predict(
                model, inputs, target, drawn, trial=trial, threshold=threshold, probabilities=probabilities
            )
            done = carried_out(service, job)
            predictions = json.loads(b"".join(service.job_artifact(job.id, done["predictions"])))
            if output is not None and not is_here:
                _write_predictions(service, job.id, predictions, output)
        console.print(f"Model: {model_called(job.arguments['model'], done['trial'])}", soft_wrap=True)
    code = 0 if any(not prediction.get("error") for prediction in predictions) else 1
    if json_:
        print_json(predictions)
        return code
    if output is not None:
        console.print(f"Predictions for {count(len(predictions), 'picture')} written to {output}.", soft_wrap=True)
    elif code == 0:
        console.print(_table(predictions))
    if drawn is not None:
        console.print(f"Drawn: {drawn}", soft_wrap=True)
    for prediction in predictions:
        if prediction.get("error"):
            complaint = Text(f"{prediction['file']}: {prediction['error']}", style="yellow")
            terminal(stderr=True, soft_wrap=True).print(complaint)
    return code


def _check_files(inputs: Sequence[Path], output: Path | None) -> None:
    if missing := [path for path in inputs if not path.exists()]:
        remedy = "Name pictures, or folders of pictures"
        raise DataError("there is no such file or folder", field=str(missing[0]), remedy=remedy)
    if output is not None:
        check_predictions_file(output)


def export_model(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")] = Path("model"),
    trial: TrialOption = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Write a folder to hand over: weights, ONNX, a model card. ONNX is checked to give the same predictions."""
    with _home_or_new(model, home, database, server) as service:
        console = terminal(stderr=json_)
        with console.status("Exporting …"):
            if isinstance(service, Service):
                facts = carried_out(service, service.export_model(model, output, trial=trial))
            else:
                facts = _fetched_model(service, model, output, trial)
    if json_:
        print_json(facts)
        return
    contents = f"weights, model.onnx (opset {facts['opset']}; {facts['batch']}), and a model card"
    console.print(f"{facts['path']}: {contents}.", soft_wrap=True)
    console.print(facts["checked"], soft_wrap=True)


def _table(predictions: Sequence[Mapping[str, Any]]) -> Table:
    """Return the predictions that there are, a row a picture: its labels, or how many objects of each class."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("file", overflow="fold")
    finds_objects = any("objects" in prediction for prediction in predictions)
    several = any("labels" in prediction for prediction in predictions)
    table.add_column("objects" if finds_objects else "labels" if several else "label")
    if not finds_objects:
        table.add_column("likeliest" if several else "probability", justify="right")
    for prediction in predictions:
        if prediction.get("error"):
            continue
        if finds_objects:
            counts = Counter(item["label"] for item in prediction["objects"]).most_common()
            table.add_row(
                prediction["file"], Text(", ".join(f"{amount} {label}" for label, amount in counts) or "none")
            )
        else:
            labels, probability = _labels(prediction)
            table.add_row(prediction["file"], Text(labels), Text(probability))
    return table


def _labels(prediction: Mapping[str, Any]) -> tuple[str, str]:
    """Return the label with its probability; or all labels given, and the likeliest one with its probability."""
    if "labels" not in prediction:
        return prediction["label"], number(prediction["probability"], 3)
    # The likeliest need not be among those given: each has a threshold of its own.
    likeliest, probability = max(prediction["probabilities"].items(), key=lambda pair: pair[1])
    return ", ".join(prediction["labels"]) or "none", f"{likeliest} {number(probability, 3)}"


def _home_or_new(model: str, home: Path, database: str | None, server: str | None) -> Place:
    """Open the place of a model; its folder needs no home that exists."""
    is_folder = server is None and (Path(model) / "model.json").is_file()
    return made(home, database, None) if is_folder else existing(home, database, server, "write")


def _fetched_model(place: Client, model: str, output: Path, trial: int | None) -> dict[str, Any]:
    """Have a folder to hand over made on a server, and fetch it; return the facts about it."""
    check_replaceable(output)
    job = place.export_model(model, trial=trial)
    facts = carried_out(place, job)
    _fetch_model(place, job.id, output)
    return {**facts, "path": str(output)}


def _fetch_model(place: Place, job: int, output: Path) -> None:
    """Put the model that a job on a server has left at `output`, whole or not at all."""
    with TemporaryDirectory() as beside:
        for file in place.job_artifacts(job):
            if file.path.startswith("model/"):
                target = Path(beside, file.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as written:
                    written.writelines(place.job_artifact(job, file.path))
        replace_folder(output, Path(beside, "model"))
