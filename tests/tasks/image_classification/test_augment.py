"""What augmentation changes, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tunewell.tasks.image_classification import augment as module
from tunewell.tasks.image_classification.augment import augment, mixup


@pytest.fixture
def images() -> torch.Tensor:
    """Sixteen normalised pictures, smooth along x and y."""
    torch.set_num_threads(1)
    ramp = torch.linspace(-1, 1, 24)
    picture = torch.stack([ramp.expand(24, 24), ramp.expand(24, 24).T, torch.zeros(24, 24)])
    return picture.expand(16, 3, 24, 24).contiguous()


def generator(seed: int = 0) -> np.random.Generator:
    """Return a fresh source of randomness."""
    return np.random.default_rng(seed)


def test_nothing_to_do(images: torch.Tensor) -> None:
    """Strength 0 without flip gives the very same tensor."""
    assert augment(images, 0.0, False, generator()) is images


def test_flip_alone_mirrors_some(images: torch.Tensor) -> None:
    """Each picture is either as before or exactly mirrored, and both happen."""
    flipped = augment(images, 0.0, True, generator())
    same = torch.isclose(flipped, images, atol=1e-5).flatten(1).all(dim=1)
    mirrored = torch.isclose(flipped, images.flip(3), atol=1e-5).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert 0 < int(mirrored.sum()) < 16


def test_without_flip_left_stays_left(images: torch.Tensor) -> None:
    """At full strength, rotation, shift and scale never turn the ramp around."""
    changed = augment(images, 1.0, False, generator())
    assert (changed[:, 0, :, -4:].mean(dim=(1, 2)) > changed[:, 0, :, :4].mean(dim=(1, 2))).all()


def test_strength_is_graded(images: torch.Tensor) -> None:
    """The stronger, the farther from the original; every picture differs from the others."""
    distances = [
        float((augment(images, strength, False, generator()) - images).abs().mean()) for strength in (0.1, 0.5, 1.0)
    ]
    assert 0 < distances[0] < distances[1] < distances[2]
    changed = augment(images, 0.5, False, generator())
    assert len({tuple(picture.flatten()[:50].tolist()) for picture in changed}) == 16


def test_same_seed_same_result(images: torch.Tensor) -> None:
    """All randomness comes from the generator."""
    assert torch.equal(augment(images, 1.0, True, generator(3)), augment(images, 1.0, True, generator(3)))
    assert not torch.equal(augment(images, 1.0, True, generator(3)), augment(images, 1.0, True, generator(4)))


def test_shift_has_the_reach_that_is_promised(images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """At strength 1 the middle of a picture moves by up to 20 % of the side, and not by more."""
    for name in ("_LOG_SCALE", "_ROTATION", "_BRIGHTNESS", "_CONTRAST"):
        monkeypatch.setattr(module, name, 0.0)
    many = images[:1].expand(200, 3, 24, 24).contiguous()
    middles = augment(many, 1.0, False, generator())[:, 0, 11:13, 11:13].mean(dim=(1, 2))
    # The ramp rises by 2 over the side less one pixel.
    shifts = middles / 2 * 23 / 24
    assert 0.18 < float(shifts.abs().max()) <= 0.2001


def test_mixup(images: torch.Tensor) -> None:
    """Each result is the weighted mean of a picture and its partner, the picture weighing at least as much."""
    distinct = images + torch.arange(16.0)[:, None, None, None]
    mixed, partners, weight = mixup(distinct, 0.4, generator())
    assert 0.5 <= weight <= 1
    assert sorted(partners.tolist()) == list(range(16))
    torch.testing.assert_close(mixed, weight * distinct + (1 - weight) * distinct[partners])
