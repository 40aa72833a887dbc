"""A small experiment on real pictures, for the tests of what comes after a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits
from tests.tasks.supervised import run

from tunewell.spec.capacity import Capacity
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tasks.image_classification.train import train

PARAMETERS = {
    "learning_rate": 0.01,
    "batch_size": 16,
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "schedule": "one-cycle",
    "epochs": 2,
    "image_size": 32,
}
SPLITS = {"train": 240, "val": 60, "test": 60}


@dataclass(frozen=True)
class Trained:
    """An experiment with one trial that has ended."""

    data: Path
    #: The experiment's folder.
    folder: Path

    @property
    def task_file(self) -> Path:
        """What `prepare` left."""
        return self.folder / "task.json"

    @property
    def attempt(self) -> Path:
        """Folder of the trial's only attempt."""
        return self.folder / "trials" / "1" / "1"

    @property
    def model(self) -> Path:
        """The trial's model."""
        return self.attempt / "artifacts" / "model"


def write_pictures(folder: Path, splits: Mapping[str, int]) -> Path:
    """Write scikit-learn's first digits as `SPLIT/CLASS/INDEX.png`, so many in each split."""
    digits = load_digits()
    index = 0
    for split, count in splits.items():
        for _ in range(count):
            path = folder / split / str(digits.target[index]) / f"{index:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((digits.images[index] * 15).astype("uint8")).resize((32, 32)).save(path)
            index += 1
    return folder


def train_digits(folder: Path, splits: Mapping[str, int] = SPLITS) -> Trained:
    """Prepare an experiment on digits and train its only trial."""
    trained = Trained(write_pictures(folder / "digits", splits), folder / "experiment")
    task = ImageClassification()
    raw = {"name": "digits", "task": "image-classification", "data": str(trained.data), "network": "small-cnn"}
    spec = parse_spec(task.complete({**raw, "weights": "none", "parameters": {"image_size": 32, "epochs": 2}}))
    task.prepare(spec, task.space(spec, Capacity(())), trained.folder, folder / "cache", lambda what, done, total: None)
    run(train, trained.attempt, PARAMETERS, TUNEWELL_TASK_FILE=str(trained.task_file))
    return trained
