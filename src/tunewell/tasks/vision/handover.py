"""What the jobs `export-model` share: a folder with all that is needed to use a model elsewhere.

`job.json`: `{"model": model folder, "task_file": the experiment's or null, "search": a `model_card.Search` or null,
"figures": {"val": {metric: value, …}, "test": …}}`, the figures as far as they are known.
Leaves `artifacts/model`::

    README.md              the model card
    model.json             how to use the tensors
    weights.safetensors    the tensors
    model.onnx             the same network, proven to give the same predictions

Result: facts about the ONNX file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from tunewell.tasks.job_folder import leave_result
from tunewell.tasks.vision.depths import ValueRanges, colours_refused_in_code, ranges_in_code
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.model_card import Search, model_card
from tunewell.tasks.vision.model_files import CONFIG, WEIGHTS
from tunewell.tasks.vision.picture_set import PictureSet
from tunewell.tasks.vision.specs import require_libraries
from tunewell.tasks.vision.task_file import Prepared

#: Name of the network in the folder.
ONNX = "model.onnx"
CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Export:
    """An ONNX file that was written and checked."""

    #: Facts about it, for the result and the card; see `model_card`.
    facts: Mapping[str, Any]
    #: Python that uses it on `picture.jpg`.
    usage: str


def hand_over(
    folder: Path,
    write: Callable[[Path, Path, Path | None], Export],
    load: Callable[[Path], PictureSet],
) -> None:
    """Fill the folder of a job `export-model`.

    Args:
        folder: the job's.
        write: writes the ONNX file of a model folder, checks it on the pictures of a manifest, if there is one, and
            ends the job as failed if it gives other predictions.
        load: returns the data set of a manifest.
    """
    with arguments_of(folder) as arguments:
        require_libraries("The ONNX file", ("onnx", "onnxruntime", "onnxscript"))
        model, target = Path(arguments["model"]), folder / "artifacts" / "model"
        prepared = Prepared.load(Path(arguments["task_file"])) if arguments["task_file"] else None
        manifest = Path(prepared.manifest) if prepared else None
        target.mkdir(parents=True)
        export = write(model, target / ONNX, manifest)
        for name in (CONFIG, WEIGHTS):
            shutil.copyfile(model / name, target / name)
        data = load(manifest).summary() if manifest else None
        search = Search(**arguments["search"]) if arguments["search"] else None
        config = json.loads((model / CONFIG).read_text(encoding="utf-8"))
        notes = prepared.notes if prepared else ()
        card = model_card(config, export.usage, export.facts, data, notes, search, arguments["figures"])
        (target / CARD).write_text(card, encoding="utf-8")
        leave_result(folder, export.facts)


def upright_code(ranges: ValueRanges) -> str:
    """Return Python of a model card that reads pictures as `pictures.load_pixels` does with these ranges."""
    return f'''
def upright(picture, side):
    """Return an opened picture, turned upright, in RGB on white, from which no more than `side` pixels are wanted."""
    picture.draft("RGB", (2 * side, 2 * side))  # JPEG only: large ones are read at a fraction of their size
{indent(colours_refused_in_code(ranges), "    ")}    picture = ImageOps.exif_transpose(picture)
{indent(ranges_in_code(ranges), "    ")}    if picture.has_transparency_data:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    return picture.convert("RGB")
'''.strip()
