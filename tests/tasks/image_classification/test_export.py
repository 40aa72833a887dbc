from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from tests.tasks.image_classification.trained import Trained, train_digits
from tests.tasks.supervised import failure, hand_over, use_as_told

from tunewell.tasks.image_classification import export as export_module
from tunewell.tasks.image_classification.export import export
from tunewell.tasks.image_classification.model import ModelConfig, build_module, load_model, preprocess, save_model
from tunewell.tasks.image_classification.networks import ARCHITECTURES
from tunewell.trial import Failed

#: Networks of the same operators as others, and EfficientNetV2, which with random weights is so ill-conditioned that
#: PyTorch's own results in single and double precision have nothing in common.
LEFT_OUT = {"mobilenetv3-large", "resnet50", "efficientnetv2-s"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment with a model and 60 pictures that it has not learned from."""
    return train_digits(tmp_path_factory.mktemp("trained"))


def _facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return facts


def _probabilities(file: Path, images: np.ndarray) -> np.ndarray:
    """What the file says of images (N, 3, S, S) from 0 to 1."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    [probabilities] = session.run(["probabilities"], {"images": images})
    return np.asarray(probabilities)


def _patchwork(count: int, size: int) -> np.ndarray:
    """Pictures (count, size, size, 3) of 16 random colours each: noise would look the same to a network."""
    colours = np.random.default_rng(count).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return colours.repeat(size // 4, axis=1).repeat(size // 4, axis=2)


def _channels_first(pixels: np.ndarray) -> np.ndarray:
    """Pixels (N, S, S, 3) → images (N, 3, S, S) from 0 to 1: what the file wants."""
    return pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255


def _lively(config: ModelConfig) -> torch.nn.Module:
    """A network of random weights whose outputs depend on the picture, as those of a trained one do."""
    torch.manual_seed(0)
    module = build_module(config.network, len(config.classes))
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # take over the statistics of the one batch
    inputs = preprocess([Image.fromarray(array) for array in _patchwork(16, config.image_size)], config)
    classifier = module.get_classifier()  # type: ignore[operator]
    with torch.no_grad():
        module.train()(inputs)
        std, mean = torch.std_mean(module.eval()(inputs), dim=0)  # (C,) each
        classifier.bias.copy_((classifier.bias - mean) / std)
        classifier.weight.div_(std[:, None])
    return module


def test_a_user_gets_the_models_predictions_from_the_file_alone(trained: Trained, tmp_path: Path) -> None:
    """Pictures prepared as the metadata say give the labels and probabilities of `predict`, at any batch size."""
    folder = hand_over(export, tmp_path / "job", trained.model, trained.task_file)
    output, facts = folder / "model.onnx", _facts(tmp_path / "job")
    assert facts["max_difference"] <= 1e-4
    assert facts["compared_on"] == "30 pictures of the data set"
    metadata = onnxruntime.InferenceSession(output).get_modelmeta().custom_metadata_map
    classes, size = json.loads(metadata["classes"]), json.loads(metadata["image_size"])
    assert (metadata["network"], json.loads(metadata["opset"])) == ("small-cnn", facts["opset"])
    paths = sorted((trained.data / "test").rglob("*.png"))
    images = np.stack([np.asarray(Image.open(path).convert("RGB").resize((size, size))) for path in paths])
    given = _probabilities(output, _channels_first(images))  # (60, 10)
    module, config = load_model(trained.model)
    with torch.inference_mode():
        expected = module(preprocess(paths, config)).softmax(dim=1).numpy()
    assert np.abs(given - expected).max() <= 1e-4
    labels = [classes[index] for index in given.argmax(axis=1)]
    assert labels == [config.classes[index] for index in expected.argmax(axis=1)]
    assert np.mean([label == path.parent.name for label, path in zip(labels, paths, strict=True)]) > 0.5
    assert use_as_told(folder, paths[0]) == f"{labels[0]} {float(given[0].max())}\n"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("network", sorted(set(ARCHITECTURES) - LEFT_OUT))
def test_every_kind_of_network_can_be_exported(network: str, tmp_path: Path) -> None:
    """The file of each kind of network on offer agrees with it on batches of 1, 2 and 5, and is a single file."""
    size = 32 if network == "small-cnn" else 64
    design = ARCHITECTURES[network]
    config = ModelConfig(network, tuple("abcde"), size, design.mean, design.std)
    save_model(tmp_path / "model", _lively(config), config)
    folder = hand_over(export, tmp_path / "job", tmp_path / "model")
    assert _facts(tmp_path / "job")["compared_on"] == "32 random pictures"
    assert [path.name for path in folder.glob("*onnx*")] == ["model.onnx"]
    module, _ = load_model(tmp_path / "model")
    for count in (1, 2, 5):
        pixels = _patchwork(count, size)
        with torch.inference_mode():
            expected = module(preprocess([Image.fromarray(array) for array in pixels], config)).softmax(dim=1).numpy()
        given = _probabilities(folder / "model.onnx", _channels_first(pixels))
        assert np.abs(given - expected).max() <= 1e-4
        assert count == 1 or np.ptp(expected, axis=0).max() > 0.1, "the outputs must depend on the picture"


def test_a_file_that_disagrees_is_not_handed_over(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the graph computes something else, the job fails with the difference, and says nothing of a file."""

    def without_mean(self: Any, images: torch.Tensor) -> torch.Tensor:
        return self.module(images / self.std).softmax(dim=1)

    monkeypatch.setattr(export_module._FromPixels, "forward", without_mean)
    with pytest.raises(Failed):
        hand_over(export, tmp_path / "job", trained.model, trained.task_file)
    assert "the export's probabilities differ by 0." in failure(tmp_path / "job")["detail"]
    assert "more than 0.0001" in failure(tmp_path / "job")["detail"]
    assert not (tmp_path / "job" / "result.json").exists()
