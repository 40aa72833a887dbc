"""A first spec searches for what the program prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tunewell.cli.printed import printed_metrics
from tunewell.spec.files import read_spec_file

PRINTED = {
    'print(f"epoch {epoch}: loss={loss}")': ["loss"],
    'print(f"{val_loss=} {accuracy=:.3f}")': ["val_loss", "accuracy"],
    'print("accuracy:", accuracy)': ["accuracy"],
    'print("loss=%.3f time=%d" % (loss, seconds))': ["loss", "time"],
    'print("step {} loss: {:.4f}".format(step, loss), flush=True)': ["loss"],
    'print("rmse=" + str(rmse))': ["rmse"],
    'print(json.dumps({"step": 3, "f1": value}))': ["f1"],
    'print({"train_accuracy": a, "val_accuracy": b})': ["val_accuracy", "train_accuracy"],
    "trial.report(mAP=value, step=epoch)": ["mAP"],
    'print(f"lr={lr}")': [],
    'print("training")\nprint(1)\nprint()': [],
}


@pytest.mark.parametrize("code", PRINTED)
def test_what_code_prints(code: str) -> None:
    """Metrics are found as the rule for lines would find them; those of data held out come first, durations last."""
    assert printed_metrics(ast.parse(code)) == PRINTED[code]


def test_a_first_spec_searches_for_what_is_printed(run: Run, tmp_path: Path) -> None:
    """A program that prints a loss gets a spec that minimizes it, so that its trials have a value."""
    (tmp_path / "train.py").write_text('print(f"loss={0.5} seconds={3}")')
    answer = run("init", "train.py")
    assert read_spec_file(tmp_path / "train.yaml")["objective"] == {"metric": "loss", "goal": "minimize"}
    assert "printed or reported by the program" in answer.out
    assert run("check", "train.yaml").code == 0


def test_a_program_that_names_no_metric(run: Run, tmp_path: Path) -> None:
    """The spec does not say that the program prints what it does not: it asks for the name."""
    (tmp_path / "train.py").write_text("print('done')")
    assert "write what your program prints" in run("init", "train.py").out
