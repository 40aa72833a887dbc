"""Where the networks of this task get pretrained weights from."""

from __future__ import annotations

from tunewell.tasks.image_classification.networks import Architecture
from tunewell.tasks.vision.weights import Download, Pretrained, huggingface_url


def pretrained_weights(design: Architecture) -> Pretrained:
    """Return what there is: ImageNet weights of an installed package or of timm."""
    return Pretrained(
        network=design.network.name,
        converter="tunewell.tasks.image_classification.convert_weights",
        content="ImageNet",
        package=design.package,
        download=Download("timm", design.timm_name, huggingface_url()) if design.timm_name else None,
        without="",
        alternative="; from scratch, the network small-cnn often learns faster",
    )
