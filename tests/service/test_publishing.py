"""What is put on record of a model when it is published: where it comes from, and what it has reached."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.published import SPEC, add_trial, configuration
from tunewell.controller.job_run import checksum
from tunewell.service.model_figures import known_intervals
from tunewell.service.service import Service
from tunewell.service.storage.contents import COMING
from tunewell.service.storage.limits import BIN_SECONDS
from tunewell.service.storage.tidying import tidy
from tunewell.spec.errors import DataError


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A home with an experiment `e`, whose trial 1 is the default configuration, and trial 2 the best one."""
    with Service(tmp_path / "home") as service:
        service.create(SPEC)
        add_trial(service, 1, 0.7)
        add_trial(service, 2, 0.9)
        with service.store.transaction() as tx:
            tx.set_facts("e", {"default_trial": 1})
        yield service


def retrained(service: Service, trial: int) -> Path:
    """Have a model on record that was trained on all data with a trial's parameters."""
    with service.store.transaction() as tx:
        job = tx.add_job("retrain", "e", {"trial": trial}, "owner")
    model = service.home.folder / "jobs" / str(job) / "1" / "artifacts" / "model"
    model.mkdir(parents=True)
    said = {"metrics": {"test_accuracy": 0.88}, "note": "Trained on all.", "trial": trial}
    (model / "model.json").write_text(json.dumps(configuration(trial) | said))
    (model / "weights.safetensors").write_bytes(b"w")
    file = str(model.relative_to(service.home.folder))
    with service.store.transaction() as tx:
        tx.add_result("e", "model", trial, f"identity e {trial}", {}, file, checksum(model), job)
    return model


def test_a_trial_of_its_own(service: Service) -> None:
    """The best trial's is measured on validation, and on test if it was evaluated; its gain is over the default."""
    version = service.publish("e", "m")
    assert (version.trial, version.value, version.retrained) == (2, 0.9, False)
    assert version.gain == pytest.approx(0.2)
    assert version.validation == {"accuracy": 0.2, "loss": 1.0} and version.test == {}
    figures = {
        "figures": {"val": {"macro_f1": 0.3}, "test": {"accuracy": 0.85, "count": 9, "matrix": [1]}},
        "intervals": {"test": {"accuracy": [0.8, 0.9]}},
        "trained_by": None,
    }
    with service.store.transaction() as tx:
        tx.add_result("e", "evaluation", 2, "identity e 2", figures, None, None, None)
    evaluated = service.publish("e", "m")
    assert evaluated.test == {"accuracy": 0.85}
    assert evaluated.validation == {"accuracy": 0.2, "loss": 1.0, "macro_f1": 0.3}
    assert known_intervals(service.store, "model:m@2", None) == {"test": {"accuracy": [0.8, 0.9]}}
    assert service.model_version("m", 1).test == {}, "what was published stays as it was"
    assert service.publish("e", "m", trial=1).gain is None


def test_a_retrained_model(service: Service) -> None:
    """It comes before the best trial; it has figures on test alone, since it has learned from all else."""
    model = retrained(service, 1)
    version = service.publish("e", "m")
    assert (version.trial, version.retrained, version.training) == (1, True, "Trained on all.")
    assert (version.test, version.validation, version.value) == ({"accuracy": 0.88}, {}, 0.7)
    assert service.publish("e", "m", trial=2).retrained is False
    (model / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(DataError, match="not what was recorded"):
        service.publish("e", "m")


def test_files_are_closed_and_tidied(service: Service) -> None:
    """They can't be written; what a kill has left goes after a day, deleted models after a month, others stay."""
    version = service.publish("e", "m")
    place = service.home.models / version.sha256
    assert [oct(path.stat().st_mode)[-3:] for path in (place, place / "model.json")] == ["555", "444"]
    half = service.home.models / f"{COMING}half"
    half.mkdir()
    orphan = service.home.models / ("f" * 64)
    orphan.mkdir()
    tidy(service._place, time.time() + 2 * 24 * 3600)
    assert not half.exists() and not orphan.exists() and place.exists()
    service.delete_model("m")
    tidy(service._place, time.time() + BIN_SECONDS - 60)
    assert place.exists()
    tidy(service._place, time.time() + BIN_SECONDS + 60)
    assert not place.exists() and service.models(deleted=True).items == ()


def test_what_is_no_model_is_told(service: Service) -> None:
    """A configuration that is damaged, or says too little, is an error that names the file."""
    model = add_trial(service, 3, 0.1)
    for content in ("{", '{"task": "image-classification"}', '{"task": "other"}'):
        (model / "model.json").write_text(content)
        with pytest.raises(DataError, match="configuration of a model") as told:
            service.publish("e", "m", trial=3)
        assert told.value.field.endswith("model.json")
