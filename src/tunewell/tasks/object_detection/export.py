"""The job `export-model`: a model as a folder to hand over; see `handover`.

One picture goes into the ONNX graph at a time, in the network's frame::

    image    float32 (3, H, W), RGB, pixels from 0 to 1
    boxes    float32 (n, 4): x0, y0, x1, y1 in pixels of that input
    labels   int64 (n,): 0 is the first of `classes`
    scores   float32 (n,)
    masks    float32 (n, M, M), from 0 to 1, stretched over the boxes; only of networks that give masks

Of a model that sees pictures in tiles each view of a picture is such an input; see `tiling`. All that is needed to use
the file stands in its metadata, too. The model card's code puts a picture, or its views, into the frame, and what is
found back into the picture, as `finding` and `masks` do.

PyTorch's newer exporter can't trace torchvision's detectors (pytorch/vision issue 9321), so the older one is used.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.card_code import usage
from tunewell.tasks.object_detection.dataset import load_picture
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.detectors import MASK_SIDE
from tunewell.tasks.object_detection.finding import as_arrays, in_picture, to_input
from tunewell.tasks.object_detection.masks import decode
from tunewell.tasks.object_detection.model import ModelConfig, load_model
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.object_detection.tiling import OVERLAP, look, magnification, views_of
from tunewell.tasks.vision.depths import scaling_in_words
from tunewell.tasks.vision.handover import Export, hand_over
from tunewell.tasks.vision.pictures import GREY, PictureError, bombs_refused
from tunewell.trial import fail

#: Version of the ONNX operators: the newest that the older exporter knows.
OPSET = 18
#: Pictures that original and export are compared on.
COMPARED = 16
#: Where they are divided into batches, of 1, 3 and 4 pictures.
_BATCHES = (1, 4, 8, 12)
#: Overlap of boxes and of masks, and largest difference of the score, at which two detections are the same.
SAME_OVERLAP = 0.9
SAME_SCORE = 0.01
#: Share of the original's detections that the export must find. Near ties may be settled in either way.
LEAST_AGREEMENT = 0.97

#: A picture as large as it is in the network's frame, uint8 (H, W, 3), and its own width and height.
Picture = tuple[np.ndarray, tuple[int, int]]


def export(folder: Path) -> None:
    """Write the model's folder; end as failed if the ONNX file does not find the original's objects."""
    hand_over(folder, _write, AnnotatedPictures.load)


def _write(model: Path, output: Path, manifest: Path | None) -> Export:
    module, config = load_model(model)
    pictures, origin = _pictures(manifest, config)
    write_onnx(module, config, output)
    agreement, difference, count = _compare(output, load_model(model)[0], config, pictures)
    if not agreement >= LEAST_AGREEMENT:
        fail("crashed", f"the export finds {agreement:.1%} of the original's objects, {LEAST_AGREEMENT:.0%} are due")
    compared_on = f"{count} detections in {len(pictures)} {origin}"
    facts = {
        **_facts(config),
        "batch": "one picture at a time",
        "agreement": agreement,
        "max_difference": difference,
        "compared_on": compared_on,
        "checked": f"It finds {100 * agreement:.4g} % of what PyTorch finds, on {compared_on}; scores differ by "
        f"{difference:.1g} at most.",
    }
    return Export(facts, usage(config))


def write_onnx(module: nn.Module, config: ModelConfig, path: Path) -> None:
    """Write the model with its normalisation, for one picture at a time."""
    import onnx

    names = ["boxes", "labels", "scores", *(["masks"] if architecture(config.network).has_masks else [])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the older one, and about shapes that are fixed anyway
        torch.onnx.export(
            _OnePicture(module, config).eval(),
            (torch.rand(3, config.frame.height, config.frame.width),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=names,
            dynamic_axes={name: {0: "objects"} for name in names},
        )
    model = onnx.load(path)
    facts = _facts(config)
    onnx.helper.set_model_props(
        model, {name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()}
    )
    onnx.save(model, path)


class _OnePicture(nn.Module):
    """A picture (3, H, W) from 0 to 1 → boxes, labels from 0, scores, and perhaps masks (n, M, M)."""

    def __init__(self, module: nn.Module, config: ModelConfig) -> None:
        super().__init__()
        design = architecture(config.network)
        self.module = module
        self.first_label = int(design.has_background)
        self.has_masks = design.has_masks

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.module([image])[0]
        outputs = (found["boxes"], found["labels"] - self.first_label, found["scores"])
        return (*outputs, found["masks"][:, 0]) if self.has_masks else outputs


def _facts(config: ModelConfig) -> dict[str, Any]:
    frame = config.frame
    outputs: dict[str, Any] = {"boxes": ["objects", 4], "labels": ["objects"], "scores": ["objects"]}
    if architecture(config.network).has_masks:
        outputs["masks"] = ["objects", MASK_SIDE, MASK_SIDE]
    return {
        "task": config.task,
        "network": config.network,
        "classes": config.classes,
        "opset": OPSET,
        "inputs": {"image": [3, frame.height, frame.width]},
        "outputs": outputs,
        "preprocessing": (
            f"{scaling_in_words(config.value_ranges)}RGB, the whole picture in its shape, resized (bicubic) to "
            f"{frame.longest} pixels on its longer side, or less to fit {frame.width} x {frame.height}, in the upper "
            f"left corner, {GREY} beside it; divided by 255, channels first" + _tiles_in_words(config)
        ),
        "value_ranges": config.value_ranges,
        "frame": asdict(frame),
        "tiles": config.tiles,
        "detections": config.detections,
        "score_threshold": config.score_threshold,
        "normalization": "in the graph",
    }


def _tiles_in_words(config: ModelConfig) -> str:
    if config.tiles == 1:
        return ""
    times = magnification(config.tiles)
    return (
        f". Besides, each of {config.tiles} x {config.tiles} tiles of the picture at {times:g} times that size, of "
        f"which neighbours share {OVERLAP:.0%}; what is found in them is put together"
    )


def _pictures(manifest: Path | None, config: ModelConfig) -> tuple[Sequence[Picture], str]:
    """Return pictures to compare on, and what they are: of the data set, or noise where it is not to be had."""
    if manifest is not None:
        annotated = AnnotatedPictures.load(manifest)
        positions = annotated.splits["val"]
        chosen = [annotated.path(position) for position in positions[:: -(-len(positions) // COMPARED)]]
        try:
            with bombs_refused():
                load = partial(load_picture, frame=config.frame, ranges=config.value_ranges, tiles=config.tiles)
                pictures = [load(path) for path in chosen]
                if config.tiles == 1:
                    return pictures, "pictures of the data set"
                return [_view(place, pixels, config) for place, (pixels, _) in enumerate(pictures)], "views of pictures"
        except (PictureError, OSError):
            pass  # it is gone, or no longer what it was
    width, height = config.frame.width, config.frame.height
    noise = np.random.default_rng(0).integers(0, 256, (COMPARED, height, width, 3), dtype=np.uint8)
    return [(pixels, (width, height)) for pixels in noise], "random pictures"


def _view(place: int, pixels: np.ndarray, config: ModelConfig) -> Picture:
    """Return one of the views of a decoded picture, others for other places."""
    height, width = pixels.shape[:2]
    views = views_of(width, height, config.tiles)
    view = views[place % len(views)]
    return look(pixels, view), (view.across, view.down)


def _compare(
    path: Path, module: nn.Module, config: ModelConfig, pictures: Sequence[Picture]
) -> tuple[float, float, int]:
    """Return the share of the original's detections that the file finds, their largest difference, and their number.

    The original sees pictures alone and several at once, as in training, the file one at a time, as its users have it.
    Detections above the score threshold are compared, or, where there are none, the surest ones of each picture.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    images = [to_input(config.frame.fill(pixels), torch.device("cpu")) for pixels, _ in pictures]
    batches = np.split(np.arange(len(images)), _BATCHES)
    with torch.inference_mode():
        outputs = [output for batch in batches if len(batch) for output in module([images[place] for place in batch])]
    same = count = 0
    largest = 0.0
    for (pixels, size), image, output in zip(pictures, images, outputs, strict=True):
        original = in_picture(as_arrays(output, config), pixels.shape, size)
        given = dict(zip(names, session.run(names, {"image": image.numpy()}), strict=True))
        sure = original.above(config.score_threshold)
        sure = sure if len(sure) else original.above(float(original.scores[:5].min(initial=1.0)))
        for difference in _differences(sure, in_picture(given, pixels.shape, size)):
            count += 1
            same += difference is not None
            largest = max(largest, difference or 0.0)
    return (same / count if count else 1.0), largest, count


def _differences(found: Detections, given: Detections) -> list[float | None]:
    """Return the difference in score to the same detection among those given, None where there is no such."""
    differences: list[float | None] = []
    for place, (box, label, score) in enumerate(zip(found.boxes, found.labels, found.scores, strict=True)):
        corner, opposite = np.maximum(given.boxes[:, :2], box[:2]), np.minimum(given.boxes[:, 2:], box[2:])
        shared = np.clip(opposite - corner, 0, None).prod(axis=1)
        areas = (given.boxes[:, 2:] - given.boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared
        apart = np.abs(given.scores - score)
        alike = (given.labels == label) & (shared >= SAME_OVERLAP * areas) & (apart <= SAME_SCORE)
        if found.masks is not None and given.masks is not None:
            for other in np.flatnonzero(alike).tolist():
                alike[other] = _same_mask(found.masks[place], given.masks[other])
        differences.append(float(apart[alike].min()) if alike.any() else None)
    return differences


def _same_mask(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two masks, as run lengths, cover the same pixels."""
    first, second = decode(one) > 0, decode(other) > 0
    return bool((first & second).sum() >= SAME_OVERLAP * (first | second).sum())
