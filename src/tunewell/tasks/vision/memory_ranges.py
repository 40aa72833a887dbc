"""Which image and batch sizes are worth searching on a GPU: those that its memory holds.

Without a GPU the ranges are those of the network's declaration, which suit a small machine. What a step needs is
estimated: the tensors that the backward pass keeps, half as much again for gradients of activations and work space,
and weights, gradients, AdamW's memory and an average of the weights. An estimate that is too low costs seconds, for
trials begin with a probe; the search then keeps away from such sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.spec.capacity import Capacity, Gpu
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import Resources

#: Share of the memory that is planned with, and what CUDA and its libraries take of it, in bytes.
_USABLE_SHARE = 0.85
_CONTEXT_BYTES = 1 << 30
#: Memory of a step in terms of what the backward pass keeps.
_STEP_FACTOR = 1.5
#: Bytes for each weight: itself, its gradient, two moments, an average.
_BYTES_PER_WEIGHT = 5 * 4
#: Side of the pictures that `kept_mib` is about.
REFERENCE_SIDE = 224
#: First compute capability that computes with bfloat16 (Ampere).
_BFLOAT16_SINCE = (8, 0)
#: Memories of GPUs that are described, in GiB.
_SHOWN_GIB = (8, 24, 80)


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """What a GPU has for a step."""

    memory_bytes: int
    #: Whether it computes with bfloat16, so that activations take half the memory.
    bfloat16: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """Image and batch sizes worth searching on a GPU that holds them."""

    #: Ascending; the largest that has room for the usual batch is the last one offered.
    sides: tuple[int, ...]
    #: Ascending.
    batches: tuple[int, ...]
    #: Where the defaults are, if there is room for them.
    usual_side: int
    usual_batch: int


@dataclass(frozen=True, slots=True)
class Needs:
    """What training a network takes."""

    #: Millions of weights.
    million_weights: float
    #: MiB of tensors that the backward pass keeps of one picture of 224 x 224 pixels, in bfloat16 where the network
    #: computes with it. It grows with the pixels.
    kept_mib: float
    offer: Offer
    #: MiB that it keeps of a picture of any size, such as for boxes that were sampled in it.
    fixed_mib: float = 0.0


def fitted_parameters(spec: ExperimentSpec, needs: Needs, capacity: Capacity) -> dict[str, Any]:
    """Return a spec's parameters, with image and batch sizes for the GPU where it leaves them open and trials get one.

    They are no part of the spec, so that an experiment can go on where there is another GPU.
    """
    gpu = gpu_of(spec, capacity)
    return {**({} if gpu is None else ranges_on(gpu, needs, spec.parameters)), **spec.parameters}


def gpu_of(spec: ExperimentSpec, capacity: Capacity) -> GpuMemory | None:
    """Return what every GPU that trials may get has at least; None: they get none, or its memory is not known."""
    asked = spec.resources
    if asked.gpus == 0:
        return None
    others = Resources(
        cpus=asked.cpus or 0,
        memory_bytes=asked.memory,
        labels=tuple(asked.labels.items()),
        custom=tuple(asked.custom.items()),
    )
    fitting = [node for node in capacity.nodes if Capacity((node,)).slots(others)]
    gpus = [gpu for node in fitting for gpu in node.gpus if asked.gpu_type in (None, gpu.name)]
    return _least(gpus, float(asked.gpus or 1))


def _least(gpus: Sequence[Gpu], part: float) -> GpuMemory | None:
    """Return what a trial has of each of these GPUs at least; None without one whose memory is known."""
    memories = [gpu.memory_bytes for gpu in gpus if gpu.memory_bytes is not None]
    bfloat16 = all((gpu.compute_capability or (0, 0)) >= _BFLOAT16_SINCE for gpu in gpus)
    return GpuMemory(int(min(memories) * min(part, 1.0)), bfloat16) if memories else None


def ranges_on(gpu: GpuMemory, needs: Needs, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return declarations of `image_size` and `batch_size`, where they are not among the `given` ones."""
    offer = needs.offer
    found: dict[str, Any] = {}
    if "image_size" in given:
        side = max(_numbers(given["image_size"]), default=offer.usual_side)
    else:
        sides = [side for side in offer.sides if offer.usual_batch <= _room(gpu, needs, side)] or [offer.sides[0]]
        side = sides[-1]
        usual = [side for side in sides if side <= offer.usual_side]
        found["image_size"] = {"ordinal": sides, "default": usual[-1]}
    if "batch_size" not in given:
        found["batch_size"] = _batches(_room(gpu, needs, side), offer)
    return found


def sizes_on_gpus(needs: Needs) -> str:
    """Return what is searched on GPUs of usual sizes, for people."""
    found: dict[str, list[int]] = {}
    for gib in _SHOWN_GIB:
        ranges = ranges_on(GpuMemory(gib << 30, True), needs, {})
        sides, batches = (ranges[name]["ordinal"] for name in ("image_size", "batch_size"))
        found.setdefault(f"image_size {_span(sides)}, batch_size {_span(batches)}", []).append(gib)
    return "; ".join(f"{_span(sizes)} GiB: {ranges}" for ranges, sizes in found.items())


def _span(values: list[int]) -> str:
    return f"{values[0]} to {values[-1]}" if len(values) > 1 else str(values[0])


def _batches(room: int, offer: Offer) -> dict[str, Any]:
    """Return the batch sizes that fit; the largest power of two where that is less than is offered."""
    sizes = [size for size in offer.batches if size <= room]
    if not sizes:
        only = 1 << max(room.bit_length() - 1, 0)
        return {"ordinal": [only], "default": only}
    return {"ordinal": sizes, "default": max(size for size in sizes if size <= offer.usual_batch)}


def _room(gpu: GpuMemory, needs: Needs, side: float) -> int:
    """Return how many pictures of this side a step may have."""
    kept = needs.kept_mib * side**2 / REFERENCE_SIDE**2 + needs.fixed_mib
    in_step = _STEP_FACTOR * kept * (1 << 20) * (1 if gpu.bfloat16 else 2)
    free = _USABLE_SHARE * gpu.memory_bytes - _CONTEXT_BYTES - needs.million_weights * 1e6 * _BYTES_PER_WEIGHT
    return int(max(free, 0) // in_step)


def _numbers(declaration: Any) -> list[float]:
    """Return every number in a declaration."""
    if isinstance(declaration, Mapping):
        return [number for value in declaration.values() for number in _numbers(value)]
    if isinstance(declaration, list | tuple):
        return [number for value in declaration for number in _numbers(value)]
    return [declaration] if isinstance(declaration, int | float) and not isinstance(declaration, bool) else []
