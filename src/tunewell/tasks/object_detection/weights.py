"""Where the networks of both tasks get pretrained weights from.

For the light networks there are ImageNet weights of the backbone, for the others the COCO weights of torchvision.
"""

from __future__ import annotations

from tunewell.tasks.object_detection.networks import Architecture
from tunewell.tasks.vision.weights import Download, Pretrained, huggingface_url

_TORCHVISION_URL = "https://download.pytorch.org"


def pretrained_weights(design: Architecture) -> Pretrained:
    """Return what there is: of an installed package, timm or torchvision."""
    if design.timm_name:
        content, download = "ImageNet for the backbone", Download("timm", design.timm_name, huggingface_url())
    else:
        assert design.torchvision_name is not None
        content, download = "COCO", Download("torchvision", design.torchvision_name, _TORCHVISION_URL)
    return Pretrained(
        network=design.network.name,
        converter="tunewell.tasks.object_detection.convert_weights",
        content=content,
        package=design.package,
        download=download,
        without=", which takes many times as long",
    )
