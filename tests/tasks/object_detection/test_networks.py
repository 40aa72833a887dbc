"""Every network: its declaration, its module, a training step."""

from __future__ import annotations

import pytest
import torch

from tunewell.spec.errors import SpecError
from tunewell.tasks.object_detection import detectors as modules
from tunewell.tasks.object_detection.building import batch_norms, build_module, freeze
from tunewell.tasks.object_detection.detectors import MASK_SIDE
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters
from tunewell.tasks.object_detection.networks import ARCHITECTURES, architecture, detectors

LIGHT = [name for name, design in ARCHITECTURES.items() if not name.endswith("resnet50")]


def step(name: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the losses of one picture with an object and one without."""
    torch.manual_seed(0)
    pictures = [torch.rand(3, 32, 64) for _ in range(2)]
    masks = [torch.zeros(count, 32, 64, dtype=torch.uint8) for count in range(2)]
    targets = [
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "masks": masks[0]},
        {"boxes": torch.tensor([[8.0, 8, 40, 30]]), "labels": torch.tensor([1]), "masks": masks[1]},
    ]
    losses: dict[str, torch.Tensor] = module(pictures, targets)
    return losses


def test_the_lists_are_complete() -> None:
    """The networks that the tasks promise are there; the first ones are light."""
    assert next(iter(detectors(with_masks=False))) == "faster-rcnn-lite0"
    assert list(detectors(with_masks=True)) == ["mask-rcnn-lite0", "mask-rcnn-resnet50"]
    assert set(detectors(with_masks=False)) == {
        "ssdlite-mobilenetv3",
        *(f"{kind}-{size}" for kind in ("faster-rcnn", "fcos", "retinanet") for size in ("lite0", "resnet50")),
    }


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_default_has_a_source_and_can_be_used(name: str) -> None:
    """Each parameter names its source; default values make hyperparameters; parameters are of known kinds."""
    network = architecture(name).network
    assert {parameter.name for parameter in network.space} == set(network.sources)
    assert all(parameter.name in {**Hyperparameters.bounds, **Hyperparameters.values} for parameter in network.space)
    defaults = {parameter.name: parameter.default for parameter in network.space if parameter.name != "momentum"}
    chosen = Hyperparameters.from_configuration(defaults)
    assert all(isinstance(getattr(chosen, field), int) for field in Hyperparameters.whole())
    assert ("anchor_scale" in defaults) == architecture(name).has_anchors


@pytest.mark.parametrize("name", LIGHT)
def test_light_networks_learn_a_step_and_find(name: str) -> None:
    """With and without objects, losses are finite and reach the parts that are trained; results have the right form."""
    module = build_module(name, 3)
    stages = architecture(name).stages(module)
    freeze(module, stages[:2])
    module.train()
    loss = torch.stack(list(step(name, module).values())).sum()
    loss.backward()
    assert torch.isfinite(loss)
    frozen = [parameter for stage in stages[:2] for part in stage for parameter in part.parameters()]
    assert frozen and all(parameter.grad is None for parameter in frozen)
    assert any(parameter.grad is not None for parameter in stages[3][0].parameters())
    assert all(parameter.grad is None for norm in batch_norms(module) for parameter in norm.parameters())
    with torch.inference_mode():
        found = module.eval()([torch.rand(3, 32, 64)])[0]
    assert {"boxes", "scores", "labels"} <= set(found)
    assert ("masks" in found) == architecture(name).has_masks
    if "masks" in found:
        assert found["masks"].shape == (len(found["boxes"]), 1, MASK_SIDE, MASK_SIDE)


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - set(LIGHT)))
def test_full_networks_are_built(name: str) -> None:
    """Full networks have five stages, which make up their backbone but for its pyramid."""
    module = build_module(name, 3)
    stages = architecture(name).stages(module)
    parts = [part for stage in stages for part in stage]
    counted = sum(parameter.numel() for part in parts for parameter in part.parameters())
    assert len(stages) == 5
    assert counted == sum(parameter.numel() for parameter in module.backbone.body.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["faster-rcnn-lite0", "retinanet-lite0", "ssdlite-mobilenetv3"])
def test_anchors_are_scaled_and_stretched(name: str) -> None:
    """Twice the scale doubles the anchors' sides; the number of anchors stays, so that weights still fit."""

    def areas(scale: float, ratio: float) -> torch.Tensor:
        module = build_module(name, 3, scale, ratio)
        owner = module.rpn if hasattr(module, "rpn") else module
        generator = owner.anchor_generator
        if hasattr(generator, "cell_anchors"):
            cells = torch.cat(generator.cell_anchors)
            return (cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1])
        return torch.cat(generator._wh_pairs).prod(dim=1)

    torch.testing.assert_close(areas(2, 2), 4 * areas(1, 2), rtol=0.15, atol=0)
    assert len(areas(1, 3)) == len(areas(1, 2))
    states = [build_module(name, 3, scale).state_dict() for scale in (1.0, 2.0)]
    assert {key: value.shape for key, value in states[0].items()} == {k: v.shape for k, v in states[1].items()}


@pytest.mark.parametrize("name", ["faster-rcnn-lite0", "fcos-resnet50"])
def test_mixed_precision_ends_before_the_heads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backbones may compute in bfloat16, but coordinates are float32; results are nearly the same."""
    torch.manual_seed(0)
    module = build_module(name, 3).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        exact = module.backbone(images)  # type: ignore[operator]
        monkeypatch.setattr(modules, "mixed_precision", lambda device: torch.autocast("cpu", torch.bfloat16))
        mixed = module.backbone(images)  # type: ignore[operator]
        found = module([images[0]])[0]
    assert list(mixed) == list(exact)
    for level in exact:
        assert mixed[level].dtype == torch.float32
        assert not torch.equal(mixed[level], exact[level])
        torch.testing.assert_close(mixed[level], exact[level], rtol=0.1, atol=0.1 * float(exact[level].abs().max()))
    assert found["boxes"].dtype == torch.float32


def test_unknown_networks() -> None:
    """An unknown network is refused with the nearest one, one of the other task with its name."""
    with pytest.raises(SpecError, match=r"^network: there is no network 'fcos-lite'. Did you mean 'fcos-lite0'\?$"):
        architecture("fcos-lite")
    with pytest.raises(SpecError, match=r"It is one of the task instance-segmentation\.$"):
        architecture("mask-rcnn-lite0", with_masks=False)
