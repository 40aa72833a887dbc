"""Models on disk, and pictures on their way into them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.data import read_manifest
from tunewell.tasks.image_classification.model import (
    ModelConfig,
    build_module,
    load_model,
    normalize,
    preprocess,
    save_model,
)
from tunewell.tasks.vision.cache import decode, load_cached_pixels
from tunewell.tasks.vision.picture_set import fingerprint

CONFIG = ModelConfig(
    network="small-cnn",
    classes=("a", "b", "c"),
    image_size=32,
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.3, 0.4),
    parameters={"learning_rate": 0.01, "horizontal_flip": False},
    metrics={"accuracy": 0.9},
    value_ranges={"grey": (0.0, 4095.0)},
)


def test_a_saved_model_is_the_same(tmp_path: Path) -> None:
    """A loaded model gives the same outputs, in evaluation mode, and its configuration is complete."""
    torch.set_num_threads(1)
    module = build_module("small-cnn", 3)
    module(torch.rand(8, 3, 32, 32))  # moves the statistics of the normalisation
    save_model(tmp_path / "model", module, CONFIG)
    loaded, config = load_model(tmp_path / "model")
    assert config == CONFIG
    assert set(config.versions) == {"torch", "timm"}
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(loaded(images), module.eval()(images))
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "weights.safetensors"]


def test_preprocessing_equals_training(digits: Path, tmp_path: Path) -> None:
    """New pictures enter the network exactly as the cached ones did in training."""
    manifest = read_manifest(digits, 0)
    decoded = decode(manifest, fingerprint(manifest), 32, tmp_path, lambda *step: None)
    trained_on = normalize(torch.from_numpy(load_cached_pixels(decoded.folder)[:5].copy()), CONFIG)
    assert torch.equal(preprocess([manifest.path(position) for position in range(5)], CONFIG), trained_on)


def test_normalisation() -> None:
    """Pixels from 0 to 255 become (pixel / 255 - mean) / std, channel by channel."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    expected = (pixels / 255 - np.array(CONFIG.mean)) / np.array(CONFIG.std)
    result = normalize(torch.from_numpy(pixels), CONFIG)
    assert result.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(result.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    """A picture that can't be read is named, with the reason."""
    (tmp_path / "a.png").write_text("nothing")
    with pytest.raises(DataError, match=r"a\.png: it can't be read as a picture \(it is no picture, or damaged\)"):
        preprocess([tmp_path / "a.png"], CONFIG)
    with pytest.raises(DataError, match=r"b\.png: "):
        preprocess([tmp_path / "b.png"], CONFIG)


def test_folders_without_a_model(tmp_path: Path) -> None:
    """A folder without a complete model, or with another kind of model, is an error that says so."""
    with pytest.raises(DataError, match=r"holds no model .*model\.json is missing"):
        load_model(tmp_path)
    save_model(tmp_path, build_module("small-cnn", 3), CONFIG)
    fields = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**fields, "task": "object-detection"}))
    with pytest.raises(DataError, match="made for object-detection"):
        load_model(tmp_path)
    save_model(tmp_path, build_module("small-cnn", 3), replace(CONFIG, classes=("a", "b")))
    with pytest.raises(DataError, match=r"its model can't be read .*size mismatch"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="its model can't be read"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(DataError, match=r"weights\.safetensors is missing"):
        load_model(tmp_path)
