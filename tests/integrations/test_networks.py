"""Reports from PyTorch Lightning, Hugging Face Transformers and Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integrations.searching import ends_early, library, reports_of

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(300)]
_random = np.random.default_rng(0)
SAMPLES = _random.normal(size=(32, 4)).astype("float32")
TARGETS = SAMPLES[:, :1].copy()


def test_lightning(tmp_path: Path) -> None:
    """Each epoch's validation is on record, what is tried before is not, and a trial that is to end trains no more."""
    lightning = library("lightning.pytorch", "lightning")
    import torch

    from tunewell.integrations.lightning import ReportCallback

    class Model(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)
            self.seen: list[float] = []

        def loss(self, batch: Any) -> Any:
            return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

        def training_step(self, batch: Any, index: int) -> Any:
            return self.loss(batch)

        def validation_step(self, batch: Any, index: int) -> None:
            loss = self.loss(batch)
            if not self.trainer.sanity_checking:
                self.seen.append(float(loss))
            self.log("val_loss", loss)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = torch.utils.data.TensorDataset(torch.from_numpy(SAMPLES), torch.from_numpy(TARGETS))
    model = Model()

    def train(epochs: int = 3) -> None:
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=[ReportCallback()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        loader = torch.utils.data.DataLoader(data, batch_size=32)
        trainer.fit(model, loader, loader)

    reports = reports_of(train, tmp_path)
    assert [report["step"] for report in reports] == [1, 2, 3]
    assert [report["val_loss"] for report in reports] == pytest.approx(model.seen)
    assert ends_early(lambda: train(10)) == 2


def test_transformers(tmp_path: Path) -> None:
    """Each evaluation is on record, as the trainer has it, and a trial that is to end trains no further."""
    transformers = library("transformers", "transformers")
    library("accelerate", "accelerate")
    import torch

    from tunewell.integrations.transformers import ReportCallback

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            found = self.layer(x)
            return {"loss": torch.nn.functional.mse_loss(found, labels), "logits": found}

    data = [{"x": x, "labels": y} for x, y in zip(SAMPLES, TARGETS, strict=True)]
    logged: list[float] = []

    def train(epochs: int = 3) -> None:
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"),
            num_train_epochs=epochs,
            per_device_train_batch_size=8,
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = transformers.Trainer(
            Model(), arguments, train_dataset=data, eval_dataset=data, callbacks=[ReportCallback()]
        )
        trainer.train()
        logged.extend(entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry)

    reports = reports_of(train, tmp_path)
    assert [report["step"] for report in reports] == [4, 8, 12]
    assert [report["eval_loss"] for report in reports] == logged
    assert ends_early(lambda: train(10)) == 8


def test_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each epoch is on record, as Keras has it, and a trial that is to end trains no further."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = library("keras", "keras")
    from tunewell.integrations.keras import ReportCallback

    found: dict[str, list[float]] = {}

    def train(epochs: int = 3) -> None:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
        settings = {"epochs": epochs, "validation_data": (SAMPLES, TARGETS), "verbose": 0}
        found.update(model.fit(SAMPLES, TARGETS, callbacks=[ReportCallback()], **settings).history)

    reports = reports_of(train, tmp_path)
    assert [report["step"] for report in reports] == [1, 2, 3]
    assert [report["val_loss"] for report in reports] == found["val_loss"]
    assert [report["loss"] for report in reports] == found["loss"]
    assert ends_early(lambda: train(10)) == 2
