"""Networks as PyTorch modules.

Every module is one of torchvision's detectors: called with a list of pictures, float (3, H, W) from 0 to 1, and in
training with targets, it gives a mapping of losses; else for each picture `boxes` (n, 4), `scores` and `labels` (n,)
and perhaps `masks`. Pictures are taken as they are, all of one size, so whoever calls it has put them into their
`Frame`. Masks are given as the mask head does, (n, 1, M, M) from 0 to 1, stretched over the box.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection import faster_rcnn, mask_rcnn, retinanet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from tunewell.tasks.object_detection.networks import Architecture, architecture
from tunewell.tasks.vision.device import mixed_precision

#: Detections below this score are not given: what torchvision's Faster R-CNN has.
SCORE_THRESHOLD = 0.05
#: Most detections of a picture: as many as COCO's metrics look at.
MOST_DETECTIONS = 100
#: Side of the mask heads' masks (He et al. 2017, arXiv:1703.06870, figure 4).
MASK_SIDE = 28
#: Channels of the light feature pyramid.
_CHANNELS = 64
#: Side of the anchors at strides 8, 16, 32 and 64 of the light networks.
_ANCHOR_SIDES = (16, 32, 64, 128)
_STRIDES = (8, 16, 32, 64)
#: Light R-CNN: proposals of a picture, boxes of them that the heads learn from, width of the box head.
_PROPOSALS = 250
_SAMPLED_BOXES = 64
_BOX_HEAD = 256
#: Ratio between the two shapes of anchors that SSD has besides squares: 2 and 3.
_SSD_SECOND_RATIO = 1.5


class Framed(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision has no types
    """Normalises pictures of one size and makes them a batch; size and results stay as they are."""

    def forward(self, images: list[torch.Tensor], targets: Any = None) -> tuple[ImageList, Any]:
        """Return the batch and the targets, unchanged."""
        batch = self.normalize(torch.stack(images))
        return ImageList(batch, [tuple(batch.shape[-2:])] * len(images)), targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """Return the result unchanged."""
        del image_shapes, original_image_sizes
        return result


class PyramidBackbone(nn.Module):
    """A backbone with a feature pyramid: (N, 3, H, W) → name of a level → (N, channels, H / stride, W / stride).

    This is where most of the work is, so it has mixed precision where the hardware computes with bfloat16. The heads
    have not: they would reckon coordinates in it, which beyond 256 pixels are steps of 2.
    """

    def __init__(self, body: nn.Module, fpn: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = fpn
        self.out_channels = out_channels

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the levels, float32."""
        with mixed_precision(images.device):
            levels = self.body(images)
            levels = dict(zip("012", levels, strict=True)) if isinstance(levels, list) else levels
            return {name: level.float() for name, level in self.fpn(levels).items()}


def build_module(network: str, num_classes: int, anchor_scale: float = 1.0, anchor_ratio: float = 2.0) -> nn.Module:
    """Return a network with random weights.

    Args:
        network: its name.
        num_classes: number of classes, the background not counted.
        anchor_scale: factor of the anchors' sizes.
        anchor_ratio: ratio of the sides of anchors that are no squares.
    """
    design = architecture(network)
    labels = num_classes + design.has_background
    module: Any = _build_light(design, labels) if design.timm_name else _build_full(design, labels)
    module.transform = Framed(1, 1, list(design.mean), list(design.std))
    if design.has_anchors:
        _set_anchors(module, anchor_scale, anchor_ratio)
    built: nn.Module = module
    return built


def stages(module: nn.Module) -> list[list[nn.Module]]:
    """Return the parts of the backbone, by the five strides from 2 to 32."""
    backbone: Any = module.backbone
    body: Any = getattr(backbone, "body", None)
    if hasattr(body, "conv_stem"):  # EfficientNet
        blocks = body.blocks
        return [[body.conv_stem, body.bn1, blocks[0]], [blocks[1]], [blocks[2]], [*blocks[3:5]], [*blocks[5:7]]]
    if body is not None:  # ResNet
        return [[body.conv1, body.bn1], [body.layer1], [body.layer2], [body.layer3], [body.layer4]]
    first = list(backbone.features[0])  # MobileNetV3 of SSDLite: 0 and 1 have stride 2, 2 and 3 have 4, 4 to 6 have 8
    return [first[:2], first[2:4], first[4:7], first[7:], [backbone.features[1]]]


def freeze(module: nn.Module, frozen_stages: int) -> None:
    """Keep so many stages as they are, and all batch normalisations, which batches of few pictures would spoil."""
    for stage in stages(module)[:frozen_stages]:
        for part in stage:
            part.requires_grad_(False)
    for part in batch_norms(module):
        part.requires_grad_(False)


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """Return all batch normalisations."""
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


def _light_backbone(timm_name: str) -> PyramidBackbone:
    """Return levels `0`, `1`, `2` and `pool` at strides 8, 16, 32 and 64."""
    import timm

    body: Any = timm.create_model(timm_name, features_only=True, out_indices=(2, 3, 4))
    fpn = FeaturePyramidNetwork(body.feature_info.channels(), _CHANNELS, extra_blocks=LastLevelMaxPool())
    return PyramidBackbone(body, fpn, _CHANNELS)


def _build_light(design: Architecture, labels: int) -> Any:
    backbone = _light_backbone(str(design.timm_name))
    limits: dict[str, Any] = {"detections_per_img": MOST_DETECTIONS, "score_thresh": SCORE_THRESHOLD}
    if design.kind == "fcos":
        anchors = AnchorGenerator(tuple((stride,) for stride in _STRIDES), ((1.0,),) * len(_STRIDES))
        return detection.FCOS(backbone, labels, anchor_generator=anchors, **limits)
    if design.kind == "retinanet":
        sides = tuple((side, side * 2 ** (1 / 3), side * 2 ** (2 / 3)) for side in _ANCHOR_SIDES)
        anchors = AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * len(sides))
        norm = partial(nn.GroupNorm, 16)  # as in torchvision's second RetinaNet, with groups of as many channels
        head = retinanet.RetinaNetHead(_CHANNELS, anchors.num_anchors_per_location()[0], labels, norm_layer=norm)
        return detection.RetinaNet(backbone, labels, anchor_generator=anchors, head=head, **limits)
    anchors = AnchorGenerator(tuple((side,) for side in _ANCHOR_SIDES), ((0.5, 1.0, 2.0),) * len(_ANCHOR_SIDES))
    settings: dict[str, Any] = {
        "rpn_anchor_generator": anchors,
        "rpn_pre_nms_top_n_train": 2 * _PROPOSALS,
        "rpn_pre_nms_top_n_test": 2 * _PROPOSALS,
        "rpn_post_nms_top_n_train": _PROPOSALS,
        "rpn_post_nms_top_n_test": _PROPOSALS,
        "box_roi_pool": MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=2),
        "box_head": faster_rcnn.TwoMLPHead(_CHANNELS * 7 * 7, _BOX_HEAD),
        "box_predictor": faster_rcnn.FastRCNNPredictor(_BOX_HEAD, labels),
        "box_batch_size_per_image": _SAMPLED_BOXES,
        "box_score_thresh": SCORE_THRESHOLD,
        "box_detections_per_img": MOST_DETECTIONS,
    }
    if design.kind == "faster-rcnn":
        return detection.FasterRCNN(backbone, **settings)
    return detection.MaskRCNN(
        backbone,
        mask_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], output_size=14, sampling_ratio=2),
        mask_head=mask_rcnn.MaskRCNNHeads(_CHANNELS, (_CHANNELS,), dilation=1),
        mask_predictor=mask_rcnn.MaskRCNNPredictor(_CHANNELS, _CHANNELS, labels),
        **settings,
    )


def _build_full(design: Architecture, labels: int) -> Any:
    assert design.torchvision_name is not None
    build = getattr(detection, design.torchvision_name)
    names = ("score_thresh", "detections_per_img")
    prefix = "box_" if design.kind in ("faster-rcnn", "mask-rcnn") else ""
    limits = {prefix + names[0]: SCORE_THRESHOLD, prefix + names[1]: MOST_DETECTIONS}
    module = build(weights=None, weights_backbone=None, num_classes=labels, **limits)
    if design.kind != "ssd":
        own = module.backbone
        module.backbone = PyramidBackbone(own.body, own.fpn, own.out_channels)
    return module


def _set_anchors(module: nn.Module, scale: float, ratio: float) -> None:
    """Give the network anchors `scale` times as large as its own, standing and lying ones with sides of `ratio`."""
    owner: Any = module.rpn if hasattr(module, "rpn") else module
    own = owner.anchor_generator
    if isinstance(own, DefaultBoxGenerator):
        shapes = [[ratio, _SSD_SECOND_RATIO * ratio] for _ in own.aspect_ratios]
        owner.anchor_generator = DefaultBoxGenerator(shapes, scales=[scale * item for item in own.scales])
        return
    sides: Sequence[Sequence[float]] = own.sizes
    scaled = tuple(tuple(scale * side for side in level) for level in sides)
    owner.anchor_generator = AnchorGenerator(scaled, ((1 / ratio, 1.0, ratio),) * len(scaled))
