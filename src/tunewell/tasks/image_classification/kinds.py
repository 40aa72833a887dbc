"""What depends on whether a picture has one label or several: loss, probabilities, metrics, decisions.

Symbols: B pictures in a batch, N in a set, C classes; `outputs` and `logits` (B or N, C).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional

from tunewell.tasks.image_classification import (
    detailed_metrics,
    metrics,
    multilabel_details,
    multilabel_metrics,
    resampling,
)
from tunewell.tasks.uncertainty import Measure

#: Largest weight of a positive: against a single picture that outweighs a whole set.
_MAX_POSITIVE_WEIGHT = 100.0


class Kind(Protocol):
    """How the labels of a task are learned and measured."""

    def balance(self, targets: np.ndarray, classes: int) -> np.ndarray:
        """Return a weight for each class, (C,), that makes up for its rarity among training `targets`."""

    def loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, smoothing: float, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the mean loss; `weights` (C,) are those of `balance`."""

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the probability of each class, (B, C)."""

    def thresholds(self, logits: np.ndarray, targets: np.ndarray) -> tuple[float, ...]:
        """Return the probability from which on each class is given; nothing if the likeliest one is."""

    def measure(self, logits: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> dict[str, float]:
        """Return the metrics of N pictures."""

    def measure_in_detail(
        self,
        logits: np.ndarray,
        targets: np.ndarray,
        thresholds: Sequence[float],
        classes: Sequence[str],
        paths: Sequence[Path],
    ) -> dict[str, Any]:
        """Return all metrics of N > 0 pictures as JSON types."""

    def on_resamples(self, logits: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> Measure:
        """Return what measures resamples of N > 0 pictures."""


class SingleLabel:
    """One label a picture; targets are labels (N,)."""

    def balance(self, targets: np.ndarray, classes: int) -> np.ndarray:
        """N / (C · pictures of the class), as scikit-learn's `balanced` (King, Zeng 2001); 0 for one without any."""
        counts = np.bincount(targets, minlength=classes)
        weights: np.ndarray = np.where(counts > 0, len(targets) / (classes * np.maximum(counts, 1)), 0)
        return weights

    def loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, smoothing: float, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Cross entropy; `smoothing` spreads a share of the target over all classes."""
        return functional.cross_entropy(outputs, targets, weight=weights, label_smoothing=smoothing)

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Softmax."""
        return outputs.softmax(dim=1)

    def thresholds(self, logits: np.ndarray, targets: np.ndarray) -> tuple[float, ...]:
        """None: the likeliest class is given."""
        del logits, targets
        return ()

    def measure(self, logits: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> dict[str, float]:
        """See `metrics.measure`."""
        del thresholds
        return metrics.measure(logits, targets)

    def measure_in_detail(
        self,
        logits: np.ndarray,
        targets: np.ndarray,
        thresholds: Sequence[float],
        classes: Sequence[str],
        paths: Sequence[Path],
    ) -> dict[str, Any]:
        """See `detailed_metrics.measure`."""
        del thresholds
        return detailed_metrics.measure(logits, targets, classes, paths)

    def on_resamples(self, logits: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> Measure:
        """See `resampling.single_label`."""
        del thresholds
        return resampling.single_label(logits, targets)


class SeveralLabels:
    """Any number of labels a picture; targets are their presence, 0 or 1, (N, C)."""

    def balance(self, targets: np.ndarray, classes: int) -> np.ndarray:
        """Pictures without the label / pictures with it, the weight of the latter (PyTorch's `pos_weight`)."""
        del classes
        counts = targets.sum(axis=0)
        ratios = np.minimum((len(targets) - counts) / np.maximum(counts, 1), _MAX_POSITIVE_WEIGHT)
        weights: np.ndarray = np.where((counts > 0) & (ratios > 0), ratios, 1.0)
        return weights

    def loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, smoothing: float, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Binary cross entropy; `smoothing` moves targets towards one half."""
        smoothed = targets * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(outputs, smoothed, pos_weight=weights)

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Sigmoid."""
        return outputs.sigmoid()

    def thresholds(self, logits: np.ndarray, targets: np.ndarray) -> tuple[float, ...]:
        """Those with the best F1 of each label; one half where the logits are no numbers."""
        if not np.isfinite(logits).all():
            return (0.5,) * int(logits.shape[1])
        return tuple(multilabel_metrics.best_thresholds(logits, targets))

    def measure(self, logits: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> dict[str, float]:
        """See `multilabel_metrics.measure`."""
        return multilabel_metrics.measure(logits, targets, thresholds)

    def measure_in_detail(
        self,
        logits: np.ndarray,
        targets: np.ndarray,
        thresholds: Sequence[float],
        classes: Sequence[str],
        paths: Sequence[Path],
    ) -> dict[str, Any]:
        """See `multilabel_details.measure`."""
        return multilabel_details.measure(logits, targets, thresholds, classes, paths)

    def on_resamples(self, logits: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> Measure:
        """See `resampling.several_labels`."""
        return resampling.several_labels(logits, targets, thresholds)


#: Task → its kind.
KINDS: Mapping[str, Kind] = {"image-classification": SingleLabel(), "multilabel-classification": SeveralLabels()}
