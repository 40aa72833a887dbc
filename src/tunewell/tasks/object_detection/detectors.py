"""torchvision's detectors, whole, or on a backbone of one's own with a light pyramid and small heads.

Called with a list of pictures, float (3, H, W) from 0 to 1, and in training with targets, a detector gives a mapping
of losses; else for each picture `boxes` (n, 4), `scores` and `labels` (n,) and perhaps `masks`. Masks are given as the
mask head does, (n, 1, M, M) from 0 to 1, stretched over the box.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection import faster_rcnn, mask_rcnn, retinanet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from tunewell.tasks.object_detection.grids import LIGHT_ANCHORS, LIGHT_STRIDES
from tunewell.tasks.vision.device import mixed_precision

#: Detections below this score are not given: what Faster R-CNN, RetinaNet and FCOS have in their authors' code.
SCORE_THRESHOLD = 0.05
#: SSDLite's, which is less sure of what it finds, and its candidates of each class at least: what torchvision's was
#: measured with.
_SSD_SCORE_THRESHOLD = 0.001
_SSD_CANDIDATES = 300
#: Side of the mask heads' masks (He et al. 2017, arXiv:1703.06870, figure 4).
MASK_SIDE = 28
#: Channels of the light feature pyramid.
_CHANNELS = 64
#: Proposals of an R-CNN, and candidates on each level of a one-stage detector, for each detection of a picture.
_PROPOSALS_EACH = 2.5
_CANDIDATES_EACH = 4
#: What torchvision has of them at least: proposals in training and else, candidates.
_WHOLE_PROPOSALS = (2000, 1000)
_CANDIDATES = 1000
#: Light R-CNN: boxes of a picture's proposals that the heads learn from, width of the box head.
_SAMPLED_BOXES = 64
_BOX_HEAD = 256


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


def light_detector(kind: str, body: nn.Module, channels: tuple[int, int, int], labels: int, detections: int) -> Any:
    """Return a detector with random weights.

    Args:
        kind: `fcos`, `retinanet`, `faster-rcnn` or `mask-rcnn`.
        body: gives a list of levels at strides 8, 16 and 32.
        channels: of these levels.
        labels: their number, the background among them where the kind has one.
        detections: most detections of a picture.
    """
    # Levels `0`, `1`, `2` and `pool`, at strides 8, 16, 32 and 64.
    pyramid = FeaturePyramidNetwork(list(channels), _CHANNELS, extra_blocks=LastLevelMaxPool())
    backbone = PyramidBackbone(body, pyramid, _CHANNELS)
    limits = _limits(kind, detections)
    if kind == "fcos":
        anchors = AnchorGenerator(tuple((stride,) for stride in LIGHT_STRIDES), ((1.0,),) * len(LIGHT_STRIDES))
        return detection.FCOS(backbone, labels, anchor_generator=anchors, **limits)
    if kind == "retinanet":
        sides = tuple((side, side * 2 ** (1 / 3), side * 2 ** (2 / 3)) for side in LIGHT_ANCHORS)
        anchors = AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * len(sides))
        norm = partial(nn.GroupNorm, 16)  # as in torchvision's second RetinaNet, with groups of as many channels
        head = retinanet.RetinaNetHead(_CHANNELS, anchors.num_anchors_per_location()[0], labels, norm_layer=norm)
        return detection.RetinaNet(backbone, labels, anchor_generator=anchors, head=head, **limits)
    anchors = AnchorGenerator(tuple((side,) for side in LIGHT_ANCHORS), ((0.5, 1.0, 2.0),) * len(LIGHT_ANCHORS))
    proposals = int(_PROPOSALS_EACH * detections)
    settings: dict[str, Any] = {
        **limits,
        "rpn_anchor_generator": anchors,
        "rpn_pre_nms_top_n_train": 2 * proposals,
        "rpn_pre_nms_top_n_test": 2 * proposals,
        "rpn_post_nms_top_n_train": proposals,
        "rpn_post_nms_top_n_test": proposals,
        "box_roi_pool": MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=2),
        "box_head": faster_rcnn.TwoMLPHead(_CHANNELS * 7 * 7, _BOX_HEAD),
        "box_predictor": faster_rcnn.FastRCNNPredictor(_BOX_HEAD, labels),
        "box_batch_size_per_image": _SAMPLED_BOXES,
    }
    if kind == "faster-rcnn":
        return detection.FasterRCNN(backbone, **settings)
    return detection.MaskRCNN(
        backbone,
        mask_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], output_size=14, sampling_ratio=2),
        mask_head=mask_rcnn.MaskRCNNHeads(_CHANNELS, (_CHANNELS,), dilation=1),
        mask_predictor=mask_rcnn.MaskRCNNPredictor(_CHANNELS, _CHANNELS, labels),
        **settings,
    )


def whole_detector(kind: str, name: str, labels: int, detections: int) -> Any:
    """Return a detector of torchvision by its name there, with random weights; see above for what is asked for."""
    build = getattr(detection, name)
    limits = _limits(kind, detections)
    if kind in ("faster-rcnn", "mask-rcnn"):
        for state, least in zip(("train", "test"), _WHOLE_PROPOSALS, strict=True):
            proposals = max(least, int(_PROPOSALS_EACH * detections))
            limits |= {f"rpn_{when}_nms_top_n_{state}": proposals for when in ("pre", "post")}
    module = build(weights=None, weights_backbone=None, num_classes=labels, **limits)
    if kind != "ssd":
        own = module.backbone
        module.backbone = PyramidBackbone(own.body, own.fpn, own.out_channels)
    return module


def _limits(kind: str, detections: int) -> dict[str, Any]:
    """Return what a detector gives at most: from which score on, and how much of a picture."""
    if kind == "ssd":
        candidates = max(_SSD_CANDIDATES, detections)
        return {"score_thresh": _SSD_SCORE_THRESHOLD, "detections_per_img": detections, "topk_candidates": candidates}
    if kind in ("faster-rcnn", "mask-rcnn"):
        return {"box_score_thresh": SCORE_THRESHOLD, "box_detections_per_img": detections}
    candidates = max(_CANDIDATES, _CANDIDATES_EACH * detections)
    return {"score_thresh": SCORE_THRESHOLD, "detections_per_img": detections, "topk_candidates": candidates}
