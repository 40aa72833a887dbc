"""Trained models in no time: real networks with random weights, as if trials had left them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tunewell.schedulers.records import make_folder
from tunewell.service.service import Service
from tunewell.service.types import Picture
from tunewell.service.verbs import Verbs
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import TrialState
from tunewell.store.rows import AttemptEnd

CLASSES = ("cat", "dog", "owl")
#: An experiment that has models, as far as the record goes.
SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["true"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "algorithm": "random",
    "max_trials": 3,
}


def add_trial(service: Service, number: int, value: float, name: str = "e", *, real: bool = False) -> Path:
    """Record a trial that has succeeded, and return the folder of its model.

    Its weights are any bytes, which is enough for all but asking it, unless it is to be `real`.
    """
    key, identity = AttemptKey(name, number, 1), f"identity {name} {number}"
    with service.store.transaction() as tx:
        tx.add_trial(name, number, {"x": number / 10}, "random", 1.0, None, 1.0)
        tx.start_attempt(key, identity, 2.0)
        tx.finish_trial(key, AttemptEnd(TrialState.SUCCEEDED, value=value, now=3.0, seconds=1.0))
    folder = service.home.place(key)
    make_folder(folder, identity)
    model = folder / "artifacts" / "model"
    if real:
        write_real(model, number)
    else:
        model.mkdir(parents=True)
        (model / "model.json").write_text(json.dumps(configuration(number)))
        (model / "weights.safetensors").write_bytes(bytes([number]) * 1000)
    return model


def configuration(number: int) -> dict[str, Any]:
    """Return what a model says of itself."""
    return {
        "network": "small-cnn",
        "classes": list(CLASSES),
        "parameters": {"learning_rate": number / 1000, "image_size": 32},
        "metrics": {"accuracy": number / 10, "loss": 1.0},
        "note": "",
        "trial": None,
        "task": "image-classification",
    }


def write_real(folder: Path, seed: int) -> None:
    """Write a network that can be asked."""
    import torch

    from tunewell.tasks.image_classification.model import ModelConfig, build_module, save_model

    torch.manual_seed(seed)
    module = build_module("small-cnn", len(CLASSES))
    config = ModelConfig("small-cnn", CLASSES, 32, (0.5,) * 3, (0.25,) * 3, metrics={"accuracy": seed / 10})
    save_model(folder, module.eval(), config)


def picture(seed: int = 0, name: str = "cat.png", side: int = 40) -> Picture:
    """Return a picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return Picture(name=name, content=content.getvalue())


def add_pictures(verbs: Verbs, name: str, **facts: Any) -> None:
    """Add a data set of a few pictures; the sample would take seconds to make."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for number, kind in enumerate(CLASSES):
            packed.writestr(f"test/{kind}/0.png", picture(number, side=8).content)
    content = archive.getvalue()
    upload = verbs.create_upload("pictures.zip", len(content))
    verbs.put_part(upload.id, 0, [content])
    verbs.add_dataset(name, upload=verbs.finish_upload(upload.id).id, **facts)
