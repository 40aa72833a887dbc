"""What the jobs `predict` share.

`job.json`::

    {"model": model folder, "inputs": [files and folders], "directory": where relative ones are, "output": CSV or JSON
     file, or null}

Leaves `artifacts/predictions.json` (and `output`), an object a picture, in the order of the inputs. `file` is the
picture as it was named; one that can't be read has an `error`. Result: `{"predicted": …, "unreadable": …}`, numbers of
pictures, all of them and those with an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, TextIO, TypeVar

from tunewell.spec.errors import SpecError
from tunewell.tasks.job_folder import leave_result
from tunewell.tasks.vision.files import collect_pictures
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.pictures import PictureError, bombs_refused
from tunewell.trial import report
from tunewell.trial.files import write_json

Prediction = dict[str, Any]

Loaded = TypeVar("Loaded")


def predict_pictures(
    folder: Path,
    batch_size: int,
    begin: Callable[[Mapping[str, Any], Sequence[Path]], Callable[[Sequence[Path]], list[Prediction]]],
    write_csv: Callable[[Sequence[Prediction], TextIO], None],
) -> None:
    """Predict for the pictures that `job.json` in `folder` names; report the share that is done after each batch.

    Args:
        folder: the job's.
        batch_size: most pictures that are predicted at a time.
        begin: content of `job.json`, all pictures → what predicts for some of them, `file` left out.
        write_csv: writes predictions as a table.
    """
    with arguments_of(folder) as arguments:
        output = Path(arguments["output"]) if arguments["output"] else None
        if output is not None and output.suffix.lower() not in (".csv", ".json"):
            raise SpecError("output", f"'{output.name}' is neither CSV nor JSON", "End its name in .csv or .json")
        with chdir(arguments["directory"]):
            paths = collect_pictures([Path(given) for given in arguments["inputs"]])
            predict = begin(arguments, paths)
            predictions: list[Prediction] = []
            for start in range(0, len(paths), batch_size):
                part = paths[start : start + batch_size]
                found = zip(part, predict(part), strict=True)
                predictions += [{"file": str(path), **prediction} for path, prediction in found]
                report({"predicting": len(predictions) / len(paths)})
        (folder / "artifacts").mkdir(exist_ok=True)
        write_json(folder / "artifacts" / "predictions.json", predictions)
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            with output.open("w", encoding="utf-8", newline="") as file:
                if output.suffix.lower() == ".json":
                    json.dump(predictions, file, indent=1, allow_nan=False)
                else:
                    write_csv(predictions, file)
        unreadable = sum(1 for prediction in predictions if prediction["error"])
        leave_result(folder, {"predicted": len(predictions), "unreadable": unreadable})


def load_each(paths: Sequence[Path], load: Callable[[Path], Loaded]) -> tuple[dict[Path, Loaded], dict[Path, str]]:
    """Return what `load` makes of each picture, and what is wrong with those that can't be read."""
    loaded, problems = {}, {}
    with bombs_refused():
        for path in paths:
            try:
                loaded[path] = load(path)
            except PictureError as error:
                problems[path] = str(error)
    return loaded, problems
