"""The Python of a model card: how a model's ONNX file is used elsewhere, without this package.

Of a model that sees pictures in tiles it has the functions of `tiling` themselves.
"""

from __future__ import annotations

import inspect

from tunewell.tasks.object_detection import tiling
from tunewell.tasks.object_detection.masks import MASK_THRESHOLD
from tunewell.tasks.object_detection.model import ModelConfig
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.vision.handover import upright_code
from tunewell.tasks.vision.pictures import GREY

#: What is used of `tiling`.
_FUNCTIONS = (
    tiling.View,
    tiling.decoded_side,
    tiling.magnification,
    tiling.views_of,
    tiling.look,
    tiling.merged,
    tiling.uncut,
)
_CONSTANTS = {"OVERLAP": tiling.OVERLAP, "CUT": tiling.CUT, "SAME": tiling.SAME}

_LOOK = """
    across, down = (max(1, round(side / longer * length)) for length in (width, height))
    picture = upright(picture, side).resize((across, down), Image.Resampling.BICUBIC)
    pixels = np.full((frame["height"], frame["width"], 3), {grey}, dtype=np.uint8)
    pixels[:down, :across] = picture
    {outputs} = session.run(None, {{"image": (pixels / np.float32(255)).transpose(2, 0, 1)}})
""".strip("\n")

_LOOK_IN_TILES = """
    side = decoded_side(side, model["tiles"])
    across, down = (max(1, round(side / longer * length)) for length in (width, height))
    pixels = np.asarray(upright(picture, side).resize((across, down), Image.Resampling.BICUBIC))
    views = views_of(across, down, model["tiles"])
    found = [found_in(look(pixels, view)) for view in views]
    {outputs} = merged(found, views, (across, down), model["detections"]).values()
""".strip("\n")

_FOUND_IN = f"""

def found_in(pixels):
    \"\"\"Return what the network finds in a view.\"\"\"
    framed = np.full((frame["height"], frame["width"], 3), {GREY}, dtype=np.uint8)
    framed[: pixels.shape[0], : pixels.shape[1]] = pixels
    outputs = session.run(None, {{"image": (framed / np.float32(255)).transpose(2, 0, 1)}})
    return dict(zip((output.name for output in session.get_outputs()), outputs))
"""

_DRAW = f"""

def draw(mask, box, size):
    \"\"\"Return which pixels of a picture of this size belong to an object, bool (height, width).\"\"\"
    across, down = np.array(mask.shape[::-1]) / (box[2:] - box[:2])
    moved = (across, 0, -across * box[0], 0, down, -down * box[1])
    stretched = Image.fromarray(mask).transform(size, Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)
    return np.asarray(stretched) >= {MASK_THRESHOLD}
"""


def usage(config: ModelConfig) -> str:
    """Return Python that finds objects in `picture.jpg` with the ONNX file of a model."""
    masks = architecture(config.network).has_masks
    outputs = "boxes, labels, scores" + (", masks" if masks else "")
    results = "seen[order], labels[order], scores[order]"
    if masks:
        results += ", [draw(masks[place], boxes[place], (width, height)) for place in order]"
    look = _LOOK_IN_TILES if config.tiles > 1 else _LOOK
    tiles = f"\n\n{_tiling_code()}\n{_FOUND_IN}" if config.tiles > 1 else ""
    return f"""
import json
{"from dataclasses import dataclass" + chr(10) if config.tiles > 1 else ""}from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model = json.loads(Path("model.json").read_text())
frame = model["frame"]
session = onnxruntime.InferenceSession("model.onnx")


{upright_code(config.value_ranges)}
{_DRAW if masks else ""}{tiles}

def find(file):
    \"\"\"Return {outputs} of what is in a picture, the surest first; in pixels of the picture, turned upright.\"\"\"
    picture = Image.open(file)
    width, height = picture.size
    on_its_side = picture.getexif().get(0x0112) in (5, 6, 7, 8)
    if on_its_side and picture.format != "TIFF":  # of which Pillow has changed width and height already
        width, height = height, width
    longer = max(width, height)
    side = max(1, min(frame["longest"], frame["width"] * longer // width, frame["height"] * longer // height))
{look.format(outputs=outputs, grey=GREY)}
    boxes = boxes * np.array([width / across, height / down] * 2)  # pixels are whole, so the scales differ
    seen = np.clip(boxes, 0, np.array([width, height] * 2))
    order = np.argsort(-scores, kind="stable")
    order = order[(seen[order, 2:] > seen[order, :2]).all(axis=1)]
    return {results}


for box, label, score{", mask" if masks else ""} in zip(*find("picture.jpg")):
    if score >= model["score_threshold"]:
        print(model["classes"][label], float(score), box.tolist(){", int(mask.sum())" if masks else ""})
"""


def _tiling_code() -> str:
    constants = "\n".join(f"{name} = {value}" for name, value in _CONSTANTS.items())
    return "\n\n\n".join([constants, *(inspect.getsource(item).strip() for item in _FUNCTIONS)])
