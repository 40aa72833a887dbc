"""The job `export-model`: a model as a folder to hand over; see `handover`.

One picture goes into the ONNX graph at a time, of any size, but best of the size that the network was trained with::

    image    float32 (3, H, W), RGB, pixels from 0 to 1, the whole picture resized to S pixels on its longer side
    boxes    float32 (n, 4): x0, y0, x1, y1 in pixels of that input
    labels   int64 (n,): 0 is the first of `classes`
    scores   float32 (n,)
    masks    float32 (n, H, W), from 0 to 1; only of networks that give masks

All that is needed to use the file stands in its metadata, too.

PyTorch's newer exporter can't trace torchvision's detectors (pytorch/vision issue 9321), so the older one is used.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.building import AsIs
from tunewell.tasks.object_detection.dataset import load_frame
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.finding import MASK_THRESHOLD, find
from tunewell.tasks.object_detection.masks import decode
from tunewell.tasks.object_detection.model import ModelConfig, load_model
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.vision.depths import describe_ranges, ranges_in_code
from tunewell.tasks.vision.handover import Export, hand_over
from tunewell.tasks.vision.pictures import PictureError, bombs_refused
from tunewell.trial import fail

#: Version of the ONNX operators: the newest that the older exporter knows.
OPSET = 18
#: Pictures that original and export are compared on.
COMPARED = 16
#: Overlap of boxes and of masks, and largest difference of the score, at which two detections are the same.
SAME_OVERLAP = 0.9
SAME_SCORE = 0.01
#: Share of the original's detections that the export must find. Near ties may be settled in either way.
LEAST_AGREEMENT = 0.97

#: A picture at the network's size, uint8 (H, W, 3).
Picture = np.ndarray


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
        **_describe(config),
        "batch": "one picture of any size at a time",
        "agreement": agreement,
        "max_difference": difference,
        "compared_on": compared_on,
        "checked": f"It finds {100 * agreement:.4g} % of what PyTorch finds, on {compared_on}; scores differ by "
        f"{difference:.1g} at most.",
    }
    return Export(facts, _usage(config))


def write_onnx(module: nn.Module, config: ModelConfig, path: Path) -> None:
    """Write the model with its normalisation, for one picture of any size at a time."""
    import onnx

    size = config.image_size
    names = ["boxes", "labels", "scores", *(["masks"] if architecture(config.network).has_masks else [])]
    shape = {1: "height", 2: "width"}
    axes = {"image": shape, **{name: {0: "objects"} for name in names[:3]}, "masks": {0: "objects", **shape}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the older one, and about shapes that are fixed anyway
        torch.onnx.export(
            _OnePicture(module, config).eval(),
            (torch.rand(3, size, max(32, 3 * size // 4)),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=names,
            dynamic_axes={name: axes[name] for name in ("image", *names)},
        )
    model = onnx.load(path)
    facts = _describe(config)
    onnx.helper.set_model_props(
        model, {name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()}
    )
    onnx.save(model, path)


class _Pasting(AsIs):
    """As in training, but masks are drawn into the picture."""

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        return GeneralizedRCNNTransform.postprocess(self, result, image_shapes, original_image_sizes)


class _OnePicture(nn.Module):
    """A picture (3, H, W) from 0 to 1 → boxes, labels from 0, scores, and perhaps masks (n, H, W)."""

    def __init__(self, module: nn.Module, config: ModelConfig) -> None:
        super().__init__()
        design = architecture(config.network)
        own: Any = module
        divisor = own.transform.size_divisible
        own.transform = _Pasting(1, 1, list(design.mean), list(design.std), size_divisible=divisor)
        self.module = own
        self.first_label = int(design.has_background)
        self.has_masks = design.has_masks

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.module([image])[0]
        outputs = (found["boxes"], found["labels"] - self.first_label, found["scores"])
        return (*outputs, found["masks"][:, 0]) if self.has_masks else outputs


def _describe(config: ModelConfig) -> dict[str, Any]:
    size = config.image_size
    outputs: dict[str, Any] = {"boxes": ["objects", 4], "labels": ["objects"], "scores": ["objects"]}
    if architecture(config.network).has_masks:
        outputs["masks"] = ["objects", "height", "width"]
    return {
        "task": config.task,
        "network": config.network,
        "classes": config.classes,
        "opset": OPSET,
        "inputs": {"image": [3, "height", "width"]},
        "outputs": outputs,
        "preprocessing": (
            f"{describe_ranges(config.value_ranges)}RGB, the whole picture resized to {size} pixels on its longer side "
            "(bicubic), divided by 255, channels first"
        ),
        "value_ranges": config.value_ranges,
        "image_size": size,
        "score_threshold": config.score_threshold,
        "normalization": "in the graph",
    }


def _usage(config: ModelConfig) -> str:
    outputs, items = "boxes, labels, scores", "box, label, score"
    covered = ""
    if architecture(config.network).has_masks:
        outputs, items = f"{outputs}, masks", f"{items}, mask"
        covered = f"\n        covered = mask >= {MASK_THRESHOLD}  # its pixels (height x width) in the resized picture"
    return f"""
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model = json.load(open("model.json"))
session = onnxruntime.InferenceSession("model.onnx")
picture = ImageOps.exif_transpose(Image.open("picture.jpg"))
{ranges_in_code(config.value_ranges)}picture = picture.convert("RGB")
scale = {config.image_size} / max(picture.size)
width, height = (max(1, round(scale * side)) for side in picture.size)
pixels = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32) / 255
{outputs} = session.run(None, {{"image": pixels.transpose(2, 0, 1)}})
for {items} in zip({outputs.replace("boxes", "boxes / scale")}):
    if score >= model["score_threshold"]:
        print(model["classes"][label], float(score), box.tolist()){covered}
"""


def _pictures(manifest: Path | None, config: ModelConfig) -> tuple[Sequence[Picture], str]:
    """Return pictures to compare on, and what they are: of the data set, or noise where it is not to be had."""
    if manifest is not None:
        annotated = AnnotatedPictures.load(manifest)
        positions = annotated.splits["val"]
        chosen = [annotated.path(position) for position in positions[:: -(-len(positions) // COMPARED)]]
        try:
            with bombs_refused():
                return [
                    load_frame(path, config.image_size, config.value_ranges)[0] for path in chosen
                ], "pictures of the data set"
        except (PictureError, OSError):
            pass  # it is gone, or no longer what it was
    size = config.image_size
    noise = np.random.default_rng(0).integers(0, 256, (COMPARED, size, 3 * size // 4, 3), dtype=np.uint8)
    return list(noise), "random pictures"


def _compare(
    path: Path, module: nn.Module, config: ModelConfig, pictures: Sequence[Picture]
) -> tuple[float, float, int]:
    """Return the share of the original's detections that the file finds, their largest difference, and their number.

    The model goes the way of `predict`, the file that of its users. Detections above the score threshold are compared,
    or, where there are none, the surest ones of each picture.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    same = count = 0
    largest = 0.0
    for pixels in pictures:
        height, width = pixels.shape[:2]
        original = find(module, config, [pixels], [(width, height)], torch.device("cpu"))[0]
        image = (pixels / np.float32(255)).transpose(2, 0, 1)
        given = dict(zip(names, session.run(names, {"image": image}), strict=True))
        sure = original.above(config.score_threshold)
        sure = sure if len(sure) else original.above(float(original.scores[:5].min(initial=1.0)))
        for difference in _differences(sure, given):
            count += 1
            same += difference is not None
            largest = max(largest, difference or 0.0)
    return (same / count if count else 1.0), largest, count


def _differences(found: Detections, given: Mapping[str, np.ndarray]) -> list[float | None]:
    """Return the difference in score to the same detection in the file's results, None where there is no such."""
    boxes = given["boxes"]
    differences: list[float | None] = []
    for place, (box, label, score) in enumerate(zip(found.boxes, found.labels, found.scores, strict=True)):
        corner, opposite = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
        shared = np.clip(opposite - corner, 0, None).prod(axis=1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared
        apart = np.abs(given["scores"] - score)
        alike = (given["labels"] == label) & (shared >= SAME_OVERLAP * areas) & (apart <= SAME_SCORE)
        if found.masks is not None:
            alike[alike] = _same_mask(decode(found.masks[place]), given["masks"][alike])
        differences.append(float(apart[alike].min()) if alike.any() else None)
    return differences


def _same_mask(mask: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return which of the masks (n, H, W), from 0 to 1, cover the same pixels as `mask` (H, W)."""
    drawn = given >= MASK_THRESHOLD
    shared, covered = (drawn & (mask > 0)).sum(axis=(1, 2)), (drawn | (mask > 0)).sum(axis=(1, 2))
    same: np.ndarray = shared >= SAME_OVERLAP * covered
    return same
