"""The job `export-model`: a model as a folder to hand over; see `handover`.

Normalisation and softmax (for several labels a picture: the sigmoid) are part of the ONNX graph, so that a user need
only resize::

    images          float32 (batch, 3, S, S), RGB, pixels from 0 to 1, the whole picture resized to a square
    probabilities   float32 (batch, C), in the order of `classes`; one label a picture: rows that sum to 1

All that is needed to use the file stands in its metadata, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from tunewell.tasks.image_classification.manifest import load_manifest
from tunewell.tasks.image_classification.model import ModelConfig, load_model, preprocess
from tunewell.tasks.vision.depths import scaling_in_words
from tunewell.tasks.vision.handover import Export, hand_over, upright_code
from tunewell.tasks.vision.pictures import bombs_refused, load_pixels
from tunewell.trial import fail

#: Version of the ONNX operators: that of ONNX 1.15 (2023).
OPSET = 20
#: Largest difference of a probability to the original that is accepted. Labels then agree, but for ties.
TOLERANCE = 1e-4
#: Pictures that original and export are compared on.
COMPARED = 32

Picture = Path | Image.Image


def export(folder: Path) -> None:
    """Write the model's folder; end as failed if the ONNX file does not give the original's predictions."""
    hand_over(folder, _write, load_manifest)


def _write(model: Path, output: Path, manifest: Path | None) -> Export:
    module, config = load_model(model)
    pictures, origin = _pictures(manifest, config.image_size)
    write_onnx(module, config, output)
    difference = _difference(output, module, config, pictures)
    if not difference <= TOLERANCE:  # so that NaN is caught
        fail("crashed", f"the export's probabilities differ by {difference:.2g}, more than {TOLERANCE:g}")
    compared_on = f"{len(pictures)} {origin}"
    facts = {
        **_facts(config),
        "batch": "any number of pictures at a time",
        "max_difference": difference,
        "compared_on": compared_on,
        "checked": f"Its probabilities differ from PyTorch's by {difference:.1g} at most, on {compared_on}.",
    }
    return Export(facts, _usage(config))


def write_onnx(module: nn.Module, config: ModelConfig, path: Path) -> None:
    """Write the model with its normalisation and its softmax or sigmoid, for any number of pictures at a time."""
    import onnx

    # Operations in place compute the same, but take twice as long to trace.
    for layer in module.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False  # type: ignore[assignment]
    size = config.image_size
    torch.onnx.export(
        _FromPixels(module, config).eval(),
        (torch.zeros(2, 3, size, size),),
        path,
        dynamo=True,
        external_data=False,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    model = onnx.load(path)
    facts = _facts(config)
    onnx.helper.set_model_props(
        model, {name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()}
    )
    onnx.save(model, path)


class _FromPixels(nn.Module):
    """Pixels from 0 to 1 (B, 3, S, S) → probabilities (B, C)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, module: nn.Module, config: ModelConfig) -> None:
        super().__init__()
        self.module = module
        self.kind = config.kind
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(config.std)[:, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.kind.probabilities(self.module((images - self.mean) / self.std))


def _facts(config: ModelConfig) -> dict[str, Any]:
    size = config.image_size
    return {
        "task": config.task,
        "network": config.network,
        "classes": config.classes,
        **({"thresholds": config.thresholds} if config.thresholds else {}),
        "opset": OPSET,
        "inputs": {"images": ["batch", 3, size, size]},
        "outputs": {"probabilities": ["batch", len(config.classes)]},
        "preprocessing": (
            f"{scaling_in_words(config.value_ranges)}RGB, the whole picture resized to {size} x {size} (bicubic), "
            "divided by 255, channels first"
        ),
        "value_ranges": config.value_ranges,
        "image_size": size,
        "normalization": "in the graph",
        "mean": config.mean,
        "std": config.std,
    }


def _usage(config: ModelConfig) -> str:
    size, thresholds = config.image_size, list(config.thresholds)
    if thresholds:
        answer = """thresholds = model["thresholds"]
print([(name, float(p)) for name, p, least in zip(model["classes"], probabilities, thresholds) if p >= least])"""
    else:
        answer = 'print(model["classes"][probabilities.argmax()], float(probabilities.max()))'
    return f"""
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model = json.loads(Path("model.json").read_text())
session = onnxruntime.InferenceSession("model.onnx")


{upright_code(config.value_ranges)}


picture = upright(Image.open("picture.jpg"), {size})
pixels = np.asarray(picture.resize(({size}, {size}), Image.Resampling.BICUBIC), dtype=np.float32) / 255
probabilities = session.run(["probabilities"], {{"images": pixels.transpose(2, 0, 1)[None]}})[0][0]
{answer}
"""


def _pictures(manifest_file: Path | None, size: int) -> tuple[Sequence[Picture], str]:
    """Return pictures to compare on, and what they are: of the data set, or noise where it is not to be had."""
    if manifest_file is not None:
        manifest = load_manifest(manifest_file)
        positions = manifest.splits["val"]
        chosen = [manifest.path(position) for position in positions[:: -(-len(positions) // COMPARED)]]
        if all(path.exists() for path in chosen):
            return chosen, "pictures of the data set"
    pixels = np.random.default_rng(0).integers(0, 256, (COMPARED, size, size, 3), dtype=np.uint8)
    return [Image.fromarray(array) for array in pixels], "random pictures"


def _difference(path: Path, module: nn.Module, config: ModelConfig, pictures: Sequence[Picture]) -> float:
    """Return the largest difference of a probability between the file and the model, for batches of 1, 2 and more.

    The model goes the way of `predict`, the file that of its users.
    """
    import onnxruntime

    with torch.inference_mode():
        expected = config.kind.probabilities(module(preprocess(pictures, config))).numpy()
    with bombs_refused():
        load = partial(load_pixels, size=config.image_size, ranges=config.value_ranges)
        pixels = np.stack([load(picture) for picture in pictures])
    images = (pixels / np.float32(255)).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    batches = np.split(images, [1, 3])
    given = [session.run(None, {"images": batch})[0] for batch in batches if len(batch)]
    return float(np.abs(np.concatenate(given) - expected).max())
