"""COCO's metrics (Lin et al. 2014, arXiv:1405.0312; cocodataset.org/#detection-eval), computed by faster-coco-eval.

`map` is the average precision, interpolated at 101 recalls, over the IoU thresholds 0.50, 0.55, … 0.95 and over the
classes that occur; `map50` and `map75` are for one threshold. With masks, IoU is that of masks, and `box_map` and
`box_map50` are those of the boxes. Without any object to find a metric is 0.

COCO looks at the surest 100 detections of each class in a picture. Where pictures are fuller, no network could find all
objects among so few: here all are looked at that a network gives, of which there are `ModelConfig.detections` at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.masks import encode

#: Which overlap is measured.
Overlap = Literal["bbox", "segm"]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """COCO's figures. Symbols: T IoU thresholds, R recalls, K classes; -1: the class does not occur."""

    #: (T, R, K), pictures' objects of all sizes
    precision: np.ndarray
    #: (T, K), the greatest recall
    recall: np.ndarray
    #: IoU thresholds (T,)
    thresholds: np.ndarray
    #: Recalls (R,)
    recalls: np.ndarray
    #: Mean average precision of small (under 32² pixels), medium and large (over 96²) objects, NaN without any.
    by_size: tuple[float, float, float]

    def average_precision(self, iou: float | None = None) -> np.ndarray:
        """Return the average precision of each class at an IoU threshold, or over all of them, (K,); NaN: no object."""
        chosen = self.precision if iou is None else self.precision[np.isclose(self.thresholds, iou)]
        values: np.ndarray = np.where(chosen[0, 0] > -1, chosen.mean(axis=(0, 1)), np.nan)
        return values

    def mean(self, iou: float | None = None) -> float:
        """Return the mean average precision at an IoU threshold, or over all of them; 0 without any object."""
        return _mean(self.average_precision(iou))

    def mean_recall(self) -> float:
        """Return the mean of the greatest recalls over thresholds and classes."""
        return _mean(np.where(self.recall > -1, self.recall, np.nan))


def measure(found: Mapping[int, Detections], annotated: AnnotatedPictures) -> dict[str, float]:
    """Return the metrics that every epoch reports, for the pictures at these positions."""
    boxes = evaluate(found, annotated, "bbox")
    if not annotated.has_masks:
        return {"map": boxes.mean(), "map50": boxes.mean(0.5), "map75": boxes.mean(0.75)}
    masks = evaluate(found, annotated, "segm")
    own = {"map": masks.mean(), "map50": masks.mean(0.5), "map75": masks.mean(0.75)}
    return {**own, "box_map": boxes.mean(), "box_map50": boxes.mean(0.5)}


def evaluate(found: Mapping[int, Detections], annotated: AnnotatedPictures, overlap: Overlap) -> Evaluated:
    """Return COCO's figures for the pictures at the positions of `found`."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(_truth(list(found), annotated, overlap))
    results = _results(found, overlap)
    # The library can't load an empty list.
    given = truth.loadRes(results) if results else COCO({**truth.dataset, "annotations": []})
    evaluation = COCOeval_faster(truth, given, overlap, print_function=_be_silent)
    *smaller, largest = evaluation.params.maxDets
    evaluation.params.maxDets = [*smaller, max([largest, *map(len, found.values())])]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])  # (T, R, K, A, M)
    recall = np.asarray(evaluation.eval["recall"])  # (T, K, A, M)
    small, medium, large = (_mean_of_valid(precision[:, :, :, area, -1]) for area in (1, 2, 3))
    return Evaluated(
        precision[:, :, :, 0, -1],
        recall[:, :, 0, -1],
        np.asarray(evaluation.params.iouThrs),
        np.asarray(evaluation.params.recThrs),
        (small, medium, large),
    )


def _truth(positions: list[int], annotated: AnnotatedPictures, overlap: Overlap) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for position in positions:
        width, height = annotated.sizes[position]
        images.append({"id": position + 1, "width": width, "height": height})
        objects = annotated.objects[position]
        for place in range(len(objects)):
            left, top, right, bottom = objects.boxes[place].tolist()
            annotation = {
                "id": len(annotations) + 1,
                "image_id": position + 1,
                "category_id": int(objects.labels[place]) + 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": int(objects.crowd[place]),
            }
            if overlap == "segm":
                assert objects.masks is not None
                annotation |= _with_area(encode(objects.masks[place], width, height))
            annotations.append(annotation)
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(annotated.classes)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def _with_area(encoded: dict[str, Any]) -> dict[str, Any]:
    from faster_coco_eval.core import mask

    return {"segmentation": encoded, "area": float(np.asarray(mask.area([encoded])).reshape(-1)[0])}


def _results(found: Mapping[int, Detections], overlap: Overlap) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for position, item in found.items():
        for place in range(len(item)):
            left, top, right, bottom = item.boxes[place].tolist()
            result: dict[str, Any] = {
                "image_id": position + 1,
                "category_id": int(item.labels[place]) + 1,
                "score": float(item.scores[place]),
            }
            if overlap == "segm":
                assert item.masks is not None
                results.append(result | {"segmentation": item.masks[place]})
            else:
                results.append(result | {"bbox": [left, top, right - left, bottom - top]})
    return results


def _mean(values: np.ndarray) -> float:
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if valid.size else 0.0


def _mean_of_valid(values: np.ndarray) -> float:
    valid = values[values > -1]
    return float(valid.mean()) if valid.size else float("nan")


def _be_silent(*texts: object) -> None:
    """Take the place of the library's printing."""
