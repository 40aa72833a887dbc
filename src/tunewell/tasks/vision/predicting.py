"""What the jobs `predict` share.

`job.json`::

    {"model": model folder, "inputs": [files and folders], "directory": where relative ones are, "output": CSV or JSON
     file, or null, "previews": of how many pictures there is to be a small one, by default none,
     "answering": {"threshold": …, "probabilities": …}, see `contract.Answering`, by default as trained}

Leaves `artifacts/predictions.json` (and `output`), an object a picture, in the order of the inputs. `file` is the
picture as it was named; one that can't be read has an `error`; one with a `preview`, its path below `artifacts`, has a
`size` (width and height of the picture itself, upright), too. `artifacts/predictions.csv` has the same as a table.
Result: `{"predicted": …, "unreadable": …}`, numbers of pictures, all of them and those with an error.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from PIL import Image

from tunewell.spec.errors import SpecError
from tunewell.tasks.contract import Answering
from tunewell.tasks.job_folder import leave_result
from tunewell.tasks.vision.depths import ValueRanges
from tunewell.tasks.vision.files import collect_pictures
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.pictures import PictureError, bombs_refused, letterbox_shape, load_pixels, picture_size
from tunewell.tasks.vision.resize_rules import LETTERBOX
from tunewell.trial import report
from tunewell.trial.files import write_json

Prediction = dict[str, Any]
#: A picture: its path, or its bytes.
Source = Path | bytes
#: Longer side of a small picture, in pixels.
PREVIEW_SIDE = 640

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class Predictor:
    """A network that is ready."""

    #: Pictures → predictions, `file` left out.
    predict: Callable[[Sequence[Source], Answering], list[Prediction]]
    #: Most pictures that are predicted at a time.
    batch_size: int
    #: Which values are black and white, as the network has learned them.
    ranges: ValueRanges


def predict_pictures(
    folder: Path,
    begin: Callable[[Mapping[str, Any], Sequence[Path]], Predictor],
    write_csv: Callable[[Sequence[Prediction], TextIO], None],
) -> None:
    """Predict for the pictures that `job.json` in `folder` names; report the share that is done after each batch.

    Args:
        folder: the job's.
        begin: content of `job.json`, all pictures → what predicts for some of them.
        write_csv: writes predictions as a table.
    """
    with arguments_of(folder) as arguments:
        output = Path(arguments["output"]) if arguments["output"] else None
        if output is not None and output.suffix.lower() not in (".csv", ".json"):
            raise SpecError("output", f"'{output.name}' is neither CSV nor JSON", "End its name in .csv or .json")
        artifacts = folder / "artifacts"
        artifacts.mkdir(exist_ok=True)
        with chdir(arguments["directory"]):
            paths = collect_pictures([Path(given) for given in arguments["inputs"]])
            predictor = begin(arguments, paths)
            answering = Answering(**arguments.get("answering", {}))
            predictions: list[Prediction] = []
            for start in range(0, len(paths), predictor.batch_size):
                part = paths[start : start + predictor.batch_size]
                for path, prediction in zip(part, predictor.predict(part, answering), strict=True):
                    wanted = len(predictions) < arguments.get("previews", 0) and not prediction["error"]
                    shown = _preview(artifacts, len(predictions), path, predictor.ranges) if wanted else {}
                    predictions.append({"file": str(path), **prediction, **shown})
                report({"predicting": len(predictions) / len(paths)})
        write_json(artifacts / "predictions.json", predictions)
        table = artifacts / "predictions.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            write_csv(predictions, file)
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            if output.suffix.lower() == ".json":
                output.write_text(json.dumps(predictions, indent=1, allow_nan=False), encoding="utf-8")
            else:
                shutil.copyfile(table, output)
        unreadable = sum(1 for prediction in predictions if prediction["error"])
        leave_result(folder, {"predicted": len(predictions), "unreadable": unreadable})


def _preview(artifacts: Path, number: int, path: Path, ranges: ValueRanges) -> dict[str, Any]:
    """Leave a small picture; return where it is, and the size of the whole one."""
    size = picture_size(path)
    side = min(PREVIEW_SIDE, max(size))
    width, height = letterbox_shape(*size, side)
    with bombs_refused():
        pixels = load_pixels(path, side, LETTERBOX, ranges)[:height, :width]
    name = f"previews/{number}.jpg"
    (artifacts / "previews").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(artifacts / name, quality=85)
    return {"preview": name, "size": list(size)}


def load_each(
    sources: Sequence[Source], load: Callable[[Source], Loaded]
) -> tuple[dict[Source, Loaded], dict[Source, str]]:
    """Return what `load` makes of each picture, and what is wrong with those that can't be read."""
    loaded, problems = {}, {}
    with bombs_refused():
        for source in sources:
            try:
                loaded[source] = load(source)
            except PictureError as error:
                problems[source] = str(error)
    return loaded, problems
