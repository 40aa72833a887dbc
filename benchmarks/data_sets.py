"""What a search over a picture data set gains on its default configuration, at an equal number of epochs.

    ./dev bench data_sets --folder FOLDER --sets sign_digits,nuclei_fluo --seeds 3

Needs the data sets (in TUNEWELL_SHARED, or `../shared`, below `datasets`). Epochs follow from the data, as for every
user. Ways, each with as many epochs in all, but for the first:

default         one training with the default configuration
repeated        as many of these as a search has, with other seeds
random          configurations drawn at random
bayesian        configurations proposed by a model of those before
evolutionary    as many members of a population

and two that search as long by the clock as `bayesian` did, however many configurations that makes:

halving         bayesian, which ends trainings that are behind others
promotion       bayesian, which trains the better ones of many short trainings on

What is best on the validation pictures is taken, and measured on the test pictures, which nothing has looked at before.

All searches lie in FOLDER: ended in the middle, be it by `kill -9`, the same command goes on, and with a further seed
or data set it adds to what is there. `--chart FILE.svg` draws the test figures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sign_digits import tunewell


@dataclass(frozen=True)
class DataSet:
    """What is trained on a data set: light enough for a machine without a GPU."""

    task: str
    network: str
    parameters: dict[str, Any] = field(default_factory=dict)
    #: Configurations of a search.
    trials: int = 4
    #: Name of the data set of which a part of the training pictures is taken, every so many-th; empty: all of this one.
    part_of: str = ""
    every: int = 1


SETS = {
    "sign_digits": DataSet("image-classification", "small-cnn", {"image_size": 32}, trials=8),
    "sign_digits_tenth": DataSet(
        "image-classification", "small-cnn", {"image_size": 32}, trials=8, part_of="sign_digits", every=10
    ),
    "nuclei_fluo": DataSet("object-detection", "faster-rcnn-lite0", {"image_size": 224, "tiles": 1}),
    "playing_cards_multilabel": DataSet("multilabel-classification", "efficientnet-lite0", {"image_size": 128}),
    "bccd": DataSet("object-detection", "faster-rcnn-lite0", {"image_size": 224}),
    "playing_cards": DataSet("object-detection", "faster-rcnn-lite0", {"image_size": 224}),
}
DEFAULT, REPEATED, BAYESIAN, EVOLUTIONARY = "default", "repeated", "bayesian", "evolutionary"
STOPPING = ("halving", "promotion")
WAYS = (DEFAULT, REPEATED, "random", BAYESIAN, EVOLUTIONARY, *STOPPING)
#: Trials that are more than a search has time for.
MANY = 1000
#: Rounds of a population, at most.
MOST_ROUNDS = 8
#: Between two lines of the chart, in units of the objective.
TICK = 0.05
#: Seeds of repeated trainings are numbered from here for each seed of a search.
SEEDS_APART = 1000


@dataclass(frozen=True)
class Found:
    """The objective of the trial that was chosen, on validation and on test pictures, and what finding it took."""

    value: float
    test: float
    seconds: float
    #: The objective's metric, and the parameters of the trial.
    objective: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """Where the searches and the data sets lie."""

    folder: Path
    data: Path

    def found(self, name: str, way: str, seed: int) -> Found:
        """Return what a way finds on a data set, having searched as far as that is still to be done."""
        chosen = SETS[name]
        if way == DEFAULT:
            return _found(self._searched(name, "random", seed, max_trials=1))
        if way == REPEATED:
            seeds = [seed, *(SEEDS_APART * (seed + 1) + again for again in range(1, chosen.trials))]
            all_found = [_found(self._searched(name, "random", one, max_trials=1)) for one in seeds]
            best = max(all_found, key=lambda one: one.value)
            return replace(best, seconds=sum(one.seconds for one in all_found))
        if way == EVOLUTIONARY:
            epochs = self._searched(name, "random", seed, max_trials=1)["default"]["parameters"]["epochs"]
            interval = -(-epochs // MOST_ROUNDS)
            options = {"population_size": chosen.trials, "rounds": epochs // interval, "disturbance_interval": interval}
            return _found(self._searched(name, way, seed, options))
        if way in STOPPING:
            seconds = self.found(name, BAYESIAN, seed).seconds
            limits = {"max_trials": MANY, "max_duration": round(seconds)}
            return _found(self._searched(name, BAYESIAN, seed, called=way, early_stopping=way, **limits))
        return _found(self._searched(name, way, seed, max_trials=chosen.trials))

    def _pictures(self, name: str) -> Path:
        """Return the folder of a data set; one that is a part of another is made."""
        chosen = SETS[name]
        if not chosen.part_of:
            return self.data / name
        folder, whole = self.folder / "pictures" / name, self.data / chosen.part_of
        if not folder.is_dir():
            unfinished = folder.with_name(f"{name}.new")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(whole, unfinished)
            for class_ in (unfinished / "train").iterdir():
                for number, picture in enumerate(sorted(class_.iterdir())):
                    if number % chosen.every:
                        picture.unlink()
            unfinished.rename(folder)
        return folder

    def _searched(
        self,
        name: str,
        algorithm: str,
        seed: int,
        options: dict[str, Any] | None = None,
        called: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Return the result of a search, which is gone on with where it was left."""
        chosen, single = SETS[name], fields.get("max_trials") == 1
        experiment = f"{name}-{called or (DEFAULT if single else algorithm)}-{seed}"
        spec = {
            "name": experiment,
            "task": chosen.task,
            "data": str(self._pictures(name)),
            "network": chosen.network,
            "algorithm": {"name": algorithm, **(options or {})},
            "early_stopping": "off",
            "seed": seed,
            "parameters": chosen.parameters,
            **fields,
        }
        file = self.folder / f"{experiment}.json"
        file.write_text(json.dumps(spec))
        result: dict[str, Any] = json.loads(tunewell("search", str(file), "--home", str(self.folder), "--json"))
        return result


def _found(result: dict[str, Any]) -> Found:
    best = result["best"]
    test = result["test"][str(best["number"])]
    return Found(best["value"], test, result["elapsed_seconds"], result["objective"]["metric"], best["parameters"])


def main() -> None:
    """Search, a seed after the other, and print the table after each search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the searches are kept")
    parser.add_argument(
        "--sets", default=",".join(SETS), help="which, separated by commas; NAME:SEEDS has seeds of its own"
    )
    parser.add_argument("--ways", default=",".join(WAYS), help="which, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--chart", type=Path, help="SVG file to draw the test figures in")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("TUNEWELL_SHARED", root.parent / "shared")).resolve() / "datasets"
    if not data.is_dir():
        sys.exit(f"{data}: the data sets are not there; set TUNEWELL_SHARED to the folder that holds datasets")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    bench, table = Bench(arguments.folder, data), Table()
    chosen = [part.partition(":") for part in arguments.sets.split(",")]
    seeds_of = {name: int(own or arguments.seeds) for name, _, own in chosen}
    most = max(seeds_of.values())
    for seed in range(most):
        for name in (name for name, seeds in seeds_of.items() if seed < seeds):
            for way in arguments.ways.split(","):
                found = bench.found(name, way, seed)
                table.add(name, way, found)
                print(
                    f"{name:26}{way:14}seed {seed}: validation {found.value:.3f}, test {found.test:.3f}, "
                    f"{found.seconds:.0f} s",
                    flush=True,
                )
        print(f"\nAfter {seed + 1} of {most} seeds\n{table.as_text()}\n", flush=True)
        if arguments.chart:
            arguments.chart.write_text(table.as_chart())


class Table:
    """What was found, by data set and way, a value a seed."""

    def __init__(self) -> None:
        """Begin empty."""
        self._rows: dict[tuple[str, str], list[Found]] = {}

    def add(self, name: str, way: str, found: Found) -> None:
        """Take a value."""
        self._rows.setdefault((name, way), []).append(found)

    def as_text(self) -> str:
        """Return a line a data set and way: means, and the lowest and highest test figure of a seed."""
        heads = f"{'data set':26}{'way':14}{'validation':>11}{'test':>8}"
        heads += f"{'lowest':>9}{'highest':>9}{'gain':>9}{'seconds':>9}"
        return "\n".join([heads, *self._lines()])

    def _lines(self) -> Iterator[str]:
        for (name, way), found in self._rows.items():
            tests = [one.test for one in found]
            gains = [one.test - default.test for one, default in zip(found, self._rows[name, DEFAULT], strict=False)]
            yield (
                f"{name:26}{way:14}{statistics.mean(one.value for one in found):11.3f}{statistics.mean(tests):8.3f}"
                f"{min(tests):9.3f}{max(tests):9.3f}{statistics.mean(gains):+9.3f}"
                f"{statistics.mean(one.seconds for one in found):9.0f}"
            )

    def as_chart(self) -> str:
        """Return an SVG: what each seed and their mean have over the mean of the default, all sets at one scale."""
        left, right, height = 300, 830, 20
        tests = {key: [one.test for one in found] for key, found in self._rows.items()}
        base = {name: statistics.mean(tests[name, DEFAULT]) for name, _ in tests}
        gains = [value - base[name] for (name, _), values in tests.items() for value in values]
        low, high = (math.floor(min(gains) / TICK) * TICK, math.ceil(max(gains) / TICK) * TICK)
        y, bottom = 52, 52 + height * (len(tests) + len(base) - 1)

        def at(gain: float) -> float:
            return left + (gain - low) / (high - low) * (right - left)

        lines = []
        for tick in (low + TICK * step for step in range(round((high - low) / TICK) + 1)):
            colour, label = ("#dfe3e8", f"{tick:+.2f}") if abs(tick) > TICK / 2 else ("#8a94a3", "0")
            lines.append(
                f'<line x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="40" y2="{bottom}" stroke="{colour}"/>'
                f'<text x="{at(tick):.1f}" y="34" text-anchor="middle">{label}</text>'
            )
        for name, start in base.items():
            lines.append(f'<text x="4" y="{y + 4}" font-weight="bold">{name}</text>')
            for way, values in ((way, values) for (of, way), values in tests.items() if of == name):
                mean = statistics.mean(values)
                dots = "".join(
                    f'<circle cx="{at(one - start):.1f}" cy="{y}" r="4" fill="#2a7de1" fill-opacity="0.5"/>'
                    for one in values
                )
                middle = at(mean - start)
                lines.append(
                    f'{dots}<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{y - 7}" y2="{y + 7}" stroke="#1c2430" '
                    f'stroke-width="2"/><text x="190" y="{y + 4}">{way}</text>'
                    f'<text x="{right + 20}" y="{y + 4}">{mean:.3f}</text>'
                )
                y += height
            y += height
        style = 'font-family="sans-serif" font-size="12" fill="#1c2430"'
        about = "objective on test pictures, over the mean of the default: each seed (points) and their mean (line)"
        head = f'<text x="4" y="14">{about}</text>'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="920" height="{bottom}" {style}>'
            f'<rect width="100%" height="100%" fill="#fff"/>{head}{"".join(lines)}</svg>\n'
        )


if __name__ == "__main__":
    main()
