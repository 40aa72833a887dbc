"""Searches over all five picture data sets against the network's default hyperparameters, at an equal budget.

    ./dev bench data_sets --sets sign_digits,bccd --seeds 3

Needs the data sets (in TUNEWELL_SHARED, or `../shared`, below `datasets`). Trial 1 of each search is the default
configuration. Random and Bayesian search train so many configurations in full, evolutionary search so many members,
one round an epoch: as many epochs in all. Prints the objective on the validation and on the test pictures;
`--chart FILE.svg` draws it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sign_digits import tunewell


@dataclass(frozen=True)
class DataSet:
    """What is trained on a data set: light enough for a machine without a GPU."""

    task: str
    network: str
    epochs: int
    parameters: dict[str, Any] = field(default_factory=dict)
    #: Fraction of the training pictures.
    sampling: float = 1.0
    #: Configurations of a search.
    trials: int = 12
    seeds: int = 1
    #: Of the data set; None: as the row is called.
    folder: str | None = None


SETS = {
    "sign_digits": DataSet("image-classification", "small-cnn", 6, {"image_size": 32}, trials=8, seeds=3),
    "a quarter of sign_digits": DataSet(
        "image-classification",
        "small-cnn",
        8,
        {"image_size": 32},
        sampling=0.25,
        trials=20,
        seeds=3,
        folder="sign_digits",
    ),
    "playing_cards_multilabel": DataSet(
        "multilabel-classification", "efficientnet-lite0", 4, {"image_size": 128}, seeds=3
    ),
    "bccd": DataSet("object-detection", "faster-rcnn-lite0", 2, {"image_size": 224}),
    "playing_cards": DataSet("object-detection", "faster-rcnn-lite0", 4, {"image_size": 224}),
    "nuclei_fluo": DataSet("instance-segmentation", "mask-rcnn-lite0", 3, {"image_size": 224}),
}
SEARCHES = ("random", "bayesian", "evolutionary")


@dataclass(frozen=True)
class Found:
    """What a search found: objective of the default and of the best trial, on validation and on test pictures."""

    default: float
    best: float
    test_default: float | None
    test_best: float | None
    seconds: float


def search(data: Path, chosen: DataSet, algorithm: str, seed: int, trials: int) -> Found:
    """Run one search."""
    populated = algorithm == "evolutionary"
    spec = {
        "name": "pictures",
        "task": chosen.task,
        "data": str(data),
        "network": chosen.network,
        "algorithm": {"name": algorithm, **({"population_size": trials, "rounds": chosen.epochs} if populated else {})},
        "early_stopping": "off",
        "seed": seed,
        "sampling": chosen.sampling,
        "parameters": {"epochs": chosen.epochs, **chosen.parameters},
        **({} if populated else {"max_trials": trials}),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pictures.yaml"
        file.write_text(json.dumps(spec))
        started = time.monotonic()
        result = json.loads(tunewell("search", str(file), "--home", folder, "--json"))
        seconds = time.monotonic() - started
    best, default, test = result["best"], result["default"], result["test"]
    return Found(
        default["value"] if default else float("nan"),
        best["value"],
        test.get(str(default["number"])) if default else None,
        test.get(str(best["number"])),
        seconds,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS), help="which, separated by commas")
    parser.add_argument("--searches", default=",".join(SEARCHES), help="which, separated by commas")
    parser.add_argument("--trials", type=int, help="configurations of a search (default: by data set)")
    parser.add_argument("--seeds", type=int, help="how many (default: by data set, more where it is quick)")
    parser.add_argument("--chart", type=Path)
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("TUNEWELL_SHARED", root.parent / "shared")) / "datasets"
    if not folder.is_dir():
        sys.exit(f"{folder}: the data sets are not there; set TUNEWELL_SHARED to the folder that holds datasets")
    rows: list[tuple[str, str, float, float]] = []
    heads = f"{'default':>9}{'best':>9}{'gain':>8}{'test: default':>15}{'best':>9}{'seconds':>9}"
    print(f"{'data set':26}{'search':14}{heads}")
    for name in arguments.sets.split(","):
        for algorithm in arguments.searches.split(","):
            chosen = SETS[name]
            seeds = range(arguments.seeds or chosen.seeds)
            data = folder / (chosen.folder or name)
            found = [search(data, chosen, algorithm, seed, arguments.trials or chosen.trials) for seed in seeds]
            default, best = (statistics.mean(one) for one in zip(*((f.default, f.best) for f in found), strict=True))
            tests = [_mean([f.test_default for f in found]), _mean([f.test_best for f in found])]
            seconds = statistics.mean(f.seconds for f in found)
            gain = best / default - 1
            print(
                f"{name:26}{algorithm:14}{default:9.3f}{best:9.3f}{gain:8.1%}{tests[0]:>15}{tests[1]:>9}{seconds:9.0f}",
                flush=True,
            )
            rows.append((name, algorithm, default, best))
            if arguments.chart:
                arguments.chart.write_text(chart(rows))


def _mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.mean(known):.3f}" if known else "–"


def chart(rows: list[tuple[str, str, float, float]]) -> str:
    """Return an SVG: the objective as bars to the left, default in grey, the relative gain to the right."""
    lines, height = [], 26
    for place, (name, algorithm, default, best) in enumerate(rows):
        y = 30 + place * height
        gain = best / default - 1
        width = min(200.0, max(0.0, 400 * gain))
        lines.append(
            f'<text x="4" y="{y + 13}">{name}, {algorithm}</text>'
            f'<rect x="240" y="{y}" width="{260 * best:.1f}" height="16" fill="#2a7de1"/>'
            f'<rect x="240" y="{y}" width="{260 * min(default, best):.1f}" height="16" fill="#b8bec8"/>'
            f'<text x="506" y="{y + 13}">{default:.3f} → {best:.3f}</text>'
            f'<rect x="640" y="{y}" width="{width:.1f}" height="16" fill="#3aa655"/>'
            f'<text x="{646 + width:.1f}" y="{y + 13}">{gain:+.1%}</text>'
        )
    total = 40 + len(rows) * height
    head = '<text x="240" y="18" font-weight="bold">objective: default and best</text>'
    head += '<text x="640" y="18" font-weight="bold">relative gain</text>'
    style = 'font-family="sans-serif" font-size="12" fill="#1c2430"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="920" height="{total}" {style}>{head}{"".join(lines)}</svg>\n'
    )


if __name__ == "__main__":
    main()
