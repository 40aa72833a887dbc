"""Which image and batch sizes are worth searching on a GPU: those that its memory holds.

Without a GPU the ranges are those of the network's declaration, which bear a small machine. What a step needs is
estimated: the tensors that the backward pass keeps, `Needs.kept_mib`, half as much again for gradients of
activations and work space, and weights, gradients, AdamW's memory and an average of the weights. An estimate that is
too low costs seconds, for trials begin with a probe; the search then keeps away from such sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.tasks.image_classification.networks import Architecture
from tunewell.tasks.vision.gpus import Gpu

#: Share of the memory that is planned with, and what CUDA and its libraries take of it, in bytes.
_USABLE_SHARE = 0.85
_CONTEXT_BYTES = 1 << 30
#: Memory of a step in terms of what the backward pass keeps.
_STEP_FACTOR = 1.5
#: Bytes for each weight: itself, its gradient, two moments, an average.
_BYTES_PER_WEIGHT = 5 * 4
#: Side of the pictures that `kept_mib` is about.
_REFERENCE_SIDE = 224
#: Memories of GPUs that are described, in GiB.
_SHOWN_GIB = (8, 24, 80)
_BATCH_SIZES = (16, 32, 64, 128, 256)
#: Side that networks are mostly trained at on a GPU.
_USUAL_SIDE = 224
#: Batch that every image size must have room for.
_USUAL_BATCH = 32


def ranges_on(gpu: Gpu, design: Architecture, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return declarations of `image_size` and `batch_size`, where they are not among the `given` ones."""
    pixels = _pixels_of(gpu, design)
    found: dict[str, Any] = {}
    if "image_size" in given:
        side = max(_numbers(given["image_size"]), default=_USUAL_SIDE)
    else:
        sides = [side for side in design.needs.gpu_sides if _USUAL_BATCH * side**2 <= pixels] or [
            design.needs.gpu_sides[0]
        ]
        side = sides[-1]
        found["image_size"] = {"ordinal": sides, "default": max(s for s in sides if s <= _USUAL_SIDE)}
    if "batch_size" not in given:
        found["batch_size"] = _batches(int(pixels // side**2))
    return found


def describe_ranges(design: Architecture) -> str:
    """Return what is searched on GPUs of usual sizes, for people."""
    found = []
    for gib in _SHOWN_GIB:
        ranges = ranges_on(Gpu(gib << 30, True), design, {})
        sides, batches = (ranges[name]["ordinal"] for name in ("image_size", "batch_size"))
        found.append(f"{gib} GiB: image_size {_span(sides)}, batch_size {_span(batches)}")
    return "; ".join(found)


def _span(values: list[int]) -> str:
    return f"{values[0]} to {values[-1]}" if len(values) > 1 else str(values[0])


def _batches(room: int) -> dict[str, Any]:
    """Return the batch sizes that fit; the largest power of two where that is less than is usual."""
    sizes = [size for size in _BATCH_SIZES if size <= room]
    if not sizes:
        only = 1 << max(room.bit_length() - 1, 0)
        return {"ordinal": [only], "default": only}
    return {"ordinal": sizes, "default": max(size for size in sizes if size <= _USUAL_BATCH)}


def _pixels_of(gpu: Gpu, design: Architecture) -> float:
    """Return how many pixels of pictures a step may have, all pictures together."""
    kept = design.needs.kept_mib * (1 << 20) / _REFERENCE_SIDE**2 * (1 if gpu.bfloat16 else 2)
    free = _USABLE_SHARE * gpu.memory_bytes - _CONTEXT_BYTES - design.needs.million_weights * 1e6 * _BYTES_PER_WEIGHT
    return max(free, 0) / (_STEP_FACTOR * kept)


def _numbers(declaration: Any) -> list[float]:
    """Return every number in a declaration."""
    if isinstance(declaration, Mapping):
        return [number for value in declaration.values() for number in _numbers(value)]
    if isinstance(declaration, list | tuple):
        return [number for value in declaration for number in _numbers(value)]
    return [declaration] if isinstance(declaration, int | float) and not isinstance(declaration, bool) else []
