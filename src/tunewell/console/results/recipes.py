"""Parameters to take away: as a spec, as JSON, as Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pprint import pformat
from typing import Any

from tunewell.spec.files import to_yaml


@dataclass(frozen=True, slots=True)
class Recipe:
    """The same parameters in one language."""

    name: str
    text: str


def recipes(parameters: Mapping[str, Any], trial: int, experiment: str) -> tuple[Recipe, ...]:
    """Return the parameters of a trial as each language writes them."""
    told = f"# Trial {trial} of {experiment}\n"
    python = pformat(dict(parameters), width=88, sort_dicts=False)
    return (
        Recipe("YAML", told + to_yaml({"parameters": dict(parameters)})),
        Recipe("JSON", json.dumps(parameters, indent=2, ensure_ascii=False) + "\n"),
        Recipe("Python", f"{told}parameters = {python}\n"),
    )
