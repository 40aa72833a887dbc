"""Writes `docs/networks.md` from the built-in tasks and their networks.

.venv/bin/python -m docs.generate_networks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from docs.generate_spec import filled, table

from tunewell.spec.errors import shown
from tunewell.spec.space import NO_DEFAULT, Parameter, SearchSpace, describe_domain
from tunewell.tasks.catalogue import TASKS, task_for
from tunewell.tasks.contract import Network

PAGE = Path(__file__).parent / "networks.md"
#: Library that pretrained weights come from → their licence.
LICENCES: Mapping[str, str] = {"timm": "Apache-2.0", "torchvision": "BSD-3-Clause"}

INTRODUCTION = """\
# Networks

The networks of the built-in tasks for [pictures](pictures.md), with the hyperparameters of each: the default, which is
trial 1 of every search; the range that is searched; and the source of both. `tunewell tasks NETWORK` shows the same in
a terminal. What a [spec](spec.md#parameters) says of a parameter replaces what stands here.

**Which one should I use?** Leave `network` out at first: the one that is taken then is told below each task. With a
GPU, try a larger one next; without one, those that are called the first choice, or the fastest.

The sizes of pictures are in pixels a side. Where trials get a GPU, sizes and batches are searched as far as its memory
allows. A parameter whose range is *fixed* is not searched unless a spec says so.

The licence is that of the pretrained weights: for those of timm the one that timm names, for those of torchvision its
own. The pictures that they were trained on, ImageNet and COCO, have terms of their own. With `weights: none` in a spec,
nothing is downloaded, and a network is trained from scratch.
"""


def page() -> str:
    """Return the whole page."""
    return filled("\n".join(part.rstrip() + "\n" for part in (INTRODUCTION, *map(task_section, TASKS))))


def task_section(name: str) -> str:
    """Return the networks of a built-in task, and their parameters."""
    task: Any = task_for({"task": name})
    same = next((other for other in TASKS if _task(other).networks == task.networks), name)
    default = f"Where none is named, the network is {task.default_network}."
    if same != name:
        return f"## {name}\n\n{default} The networks and their parameters are those of [{same}](#{same}).\n"
    networks = list(task.networks.values())
    heads = ("network", "what it is", "image size", "pretrained weights", "their name, licence", "searched on GPUs")
    rows = (
        (f"`{n.name}`", n.description, _sizes(n), n.weights or "none", _origin(task, n), n.on_gpus) for n in networks
    )
    parts = [f"## {name}\n\n{default}\n", table(heads, rows)]
    for space, alike in _alike(networks).items():
        parts.append(f"### {', '.join(network.name for network in alike)}\n")
        cells = ((f"`{p.name}`", default_text(p), domain_text(p), alike[0].sources.get(p.name, "")) for p in space)
        parts.append(table(("parameter", "default", "range", "source"), cells))
    return "\n".join(parts)


def _task(name: str) -> Any:
    return task_for({"task": name})


def _sizes(network: Network) -> str:
    size = network.space["image_size"]
    return f"{default_text(size)} of {domain_text(size)}"


def _origin(task: Any, network: Network) -> str:
    """Return what the library calls the pretrained weights, and their licence."""
    download = task.architecture(network.name).pretrained.download
    return "" if download is None else f"`{download.name}` of {download.library}, {LICENCES[download.library]}"


def _alike(networks: Iterable[Network]) -> dict[SearchSpace, list[Network]]:
    """Return the networks by their search space, in order."""
    found: dict[SearchSpace, list[Network]] = {}
    for network in networks:
        found.setdefault(network.space, []).append(network)
    return found


def default_text(parameter: Parameter) -> str:
    """Return a parameter's default; a constant is its own."""
    default = parameter.from_unit(0.5) if parameter.size == 1 else parameter.default
    return "" if default is NO_DEFAULT else f"`{default if isinstance(default, str) else shown(default)}`"


def domain_text(parameter: Parameter) -> str:
    """Return a parameter's domain and condition."""
    when = "; ".join(f"{c.parent} is {' or '.join(map(str, c.values))}" for c in parameter.when)
    return (describe_domain(parameter) if parameter.size != 1 else "fixed") + (f", when {when}" if when else "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
