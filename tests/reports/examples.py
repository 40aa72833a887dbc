"""Experiments as reports see them, made up but lifelike.

`python -m tests.reports.examples FOLDER` renders them for a look in a browser.
"""

from __future__ import annotations

import base64
import math
import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.reports import html
from tunewell.reports.view import ExperimentView, TrialView, ranked
from tunewell.spec.declaration import parse_space
from tunewell.spec.space import Choice, Configuration, Numeric, SearchSpace
from tunewell.spec.states import Cause, ExperimentState, TrialState

START = 1_770_000_000.0
SIGNS = [f"sign {digit}" for digit in range(10)]
SPACE = parse_space(
    {
        "learning_rate": {"low": 1e-5, "high": 1e-1, "log": True, "default": 1e-3},
        "batch_size": {"ordinal": [16, 32, 64, 128], "default": 32},
        "optimizer": {"choices": ["sgd", "adamw", "rmsprop"], "default": "adamw"},
        "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}, "default": 0.9},
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True, "default": 1e-4},
        "label_smoothing": {"low": 0.0, "high": 0.2, "step": 0.05, "default": 0.1},
        "frozen_blocks": {"low": 0, "high": 5, "default": 0},
        "mixup": {"choices": [True, False], "default": False},
        "epochs": 12,
    }
)


def hand_signs(amount: int = 40, evaluated: bool = True) -> ExperimentView:
    """A finished search over an image network, with failures, pruned trials and evaluations."""
    generator = np.random.default_rng(3)
    trials = [_image_trial(number, generator) for number in range(1, amount + 1)]
    return _finished(
        ExperimentView(
            name="hand-signs",
            spec={
                "name": "hand-signs",
                "task": "image-classification",
                "data": "/data/sign_digits",
                "network": "efficientnet-lite0",
                "objective": {"metric": "accuracy", "goal": "maximize", "target": 0.995},
                "algorithm": {"name": "bayesian"},
                "max_trials": amount,
                "max_duration": "24h",
                "parameters": {"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}},
                "initial": [],
                "seed": 0,
                "weights": None,
            },
            space=SPACE,
            metric="accuracy",
            goal="maximize",
            algorithm="bayesian (chosen because the space has conditions)",
            state=ExperimentState.COMPLETED,
            version="0.1.0",
            trials=tuple(trials),
            default_trial=1,
            target=0.995,
            stop_rule="max_trials",
            stop_detail=f"The maximum of {amount} trials was reached.",
            notes=(
                "ImageNet weights of efficientnet-lite0 were taken from the installed package.",
                "The folder has no test pictures.",
            ),
            created_at=START,
            elapsed_seconds=trials[-1].ended_at - START if trials[-1].ended_at else 0.0,
        ),
        evaluated,
    )


def single_trial() -> ExperimentView:
    """A search with one trial, the default."""
    return hand_signs(1, evaluated=False)


def no_success() -> ExperimentView:
    """A search in which every trial failed."""
    view = hand_signs(6, evaluated=False)
    causes = [Cause.GPU_OOM] * 5 + [Cause.CRASHED]
    trials = tuple(
        replace(trial, state=TrialState.FAILED, cause=cause, detail=DETAILS[cause], value=None, curve={})
        for trial, cause in zip(view.trials, causes, strict=True)
    )
    detail = "6 of 6 trials failed; a share of 50% was allowed."
    return replace(
        view,
        trials=trials,
        top=(),
        state=ExperimentState.FAILED,
        stop_rule="max_failed_trials",
        stop_detail=detail,
    )


def running() -> ExperimentView:
    """A search that is going on: trials that run, one that waits."""
    view = hand_signs(12, evaluated=False)
    now = [
        replace(view.trials[8], state=TrialState.SUCCEEDED),
        *(
            replace(
                t,
                state=TrialState.RUNNING,
                value=None,
                ended_at=None,
                ended_after=None,
                cause=None,
                detail="",
                curve={},
            )
            for t in view.trials[9:11]
        ),
        replace(
            view.trials[11],
            state=TrialState.WAITING,
            value=None,
            started_at=None,
            ended_at=None,
            ended_after=None,
            cost_seconds=0.0,
            cause=None,
            detail="",
            curve={},
        ),
    ]
    going_on = replace(
        view, trials=(*view.trials[:8], *now), state=ExperimentState.RUNNING, stop_rule=None, stop_detail=""
    )
    return _finished(going_on, evaluated=False)


def empty() -> ExperimentView:
    """An experiment that has not begun."""
    view = hand_signs(2, evaluated=False)
    return replace(
        view,
        trials=(),
        top=(),
        default_trial=None,
        state=ExperimentState.CREATED,
        stop_rule=None,
        stop_detail="",
        elapsed_seconds=0.0,
        notes=(),
    )


def thousand(amount: int = 1000) -> ExperimentView:
    """A long search over a command that minimises a loss, with outliers."""
    space = parse_space(
        {
            "learning_rate": {"low": 1e-5, "high": 1.0, "log": True, "default": 0.01},
            "layers": {"low": 1, "high": 8, "default": 2},
            "width": {"low": 8, "high": 1024, "log": True, "default": 64},
            "dropout": {"low": 0.0, "high": 0.6, "default": 0.1},
            "activation": {"choices": ["relu", "gelu", "tanh"], "default": "relu"},
        }
    )
    generator = np.random.default_rng(1)
    trials = []
    clock = START
    for number in range(1, amount + 1):
        parameters = space.default() if number == 1 else space.sample(generator)
        assert parameters is not None
        distance = (math.log10(parameters["learning_rate"]) + 2.3) ** 2 + 0.1 * (parameters["layers"] - 4) ** 2
        loss = 0.05 + 0.1 * distance + 0.01 * float(generator.standard_normal()) ** 2
        if parameters["learning_rate"] > 0.4:
            loss *= 1e4
        cost = 20 + 3 * parameters["layers"]
        trials.append(_ended(number, parameters, loss, clock, cost, {}))
        clock += cost / 8
    command = [
        "python",
        "train.py",
        "--lr",
        "{learning_rate}",
        "--layers",
        "{layers}",
        "--out",
        "{output_dir}",
    ]
    return _finished(
        ExperimentView(
            name="tabular-loss",
            spec={
                "name": "tabular-loss",
                "command": command,
                "objective": {"metric": "validation_loss", "goal": "minimize"},
                "max_trials": amount,
                "algorithm": {"name": "auto"},
            },
            space=space,
            metric="validation_loss",
            goal="minimize",
            algorithm="random",
            state=ExperimentState.STOPPED,
            version="0.1.0",
            trials=tuple(trials),
            default_trial=1,
            stop_rule="by_hand",
            stop_detail="It was stopped by hand.",
            created_at=START,
            elapsed_seconds=clock - START,
        ),
        evaluated=False,
    )


def planted(text: str) -> ExperimentView:
    """An experiment with `text` in every field that a user, a data set or a training script can fill in."""
    space = SearchSpace((Numeric("learning_rate", 1e-4, 1e-1, log=True), Choice(text, (text, "other"))))
    generator = np.random.default_rng(0)
    trials = [
        replace(
            _ended(
                number,
                space.sample(generator),
                float(generator.random()),
                START + 9 * number,
                9.0,
                {1: 0.1, 2: 0.2},
            ),
            origin=text,
            detail=text,
        )
        for number in range(1, 31)
    ]
    trials[4] = replace(trials[4], state=TrialState.FAILED, cause=Cause.CRASHED, value=None)
    view = _finished(
        ExperimentView(
            name=text,
            spec={"name": text, "command": [text, "{learning_rate}"], "network": text, text: text},
            space=space,
            metric=text,
            goal="minimize",
            algorithm=text,
            state=ExperimentState.COMPLETED,
            version=text,
            trials=tuple(trials),
            default_trial=1,
            stop_rule=text,
            stop_detail=text,
            notes=(text,),
            project=text,
            tags=(text, text),
            description=text,
            created_at=START,
            elapsed_seconds=300.0,
        ),
        evaluated=False,
    )
    measured = _measured([text, "other"], np.array([[8, 2], [1, 9]]), 0, text)
    return replace(view, evaluations={view.top[0]: {"val": {**measured, text: 0.5}, "test": None}})


DETAILS = {
    Cause.GPU_OOM: "CUDA out of memory: 2.50 GiB were asked for, 1.12 GiB of 23.7 GiB were free.",
    Cause.NON_FINITE: "accuracy was nan at step 3",
    Cause.CRASHED: "RuntimeError: stack expects each tensor to be equal size, but got [3, 96, 96] at entry 0",
}


def _image_trial(number: int, generator: np.random.Generator) -> TrialView:
    parameters = SPACE.default() if number == 1 else SPACE.sample(generator)
    assert parameters is not None
    rate = math.log10(parameters["learning_rate"]) + 2.0
    best = 0.986 - 0.014 * rate**2 - 0.02 * (parameters["optimizer"] == "rmsprop") - 0.006 * parameters["frozen_blocks"]
    best = max(best + 0.004 * float(generator.standard_normal()), 0.1)
    curve = {epoch: best * (1 - 0.7 * math.exp(-epoch / 2.2)) for epoch in range(1, 13)}
    cost = 60.0 + 400.0 / parameters["batch_size"] + 5 * float(generator.random())
    trial = _ended(number, parameters, curve[12], START + 33.0 * (number - 1), cost, curve)
    if number > 1 and parameters["batch_size"] == 128 and parameters["frozen_blocks"] < 2:
        return _failed(trial, Cause.GPU_OOM)
    if number > 1 and rate > 0.8:
        return _failed(trial, Cause.NON_FINITE)
    if number in (17, 23):
        return _failed(trial, Cause.CRASHED)
    if number > 8 and best < 0.93:
        short = {epoch: curve[epoch] for epoch in range(1, 5)}
        return replace(trial, state=TrialState.PRUNED, curve=short, value=short[4], cost_seconds=cost / 3)
    return replace(trial, attempts=2) if number == 6 else trial


def _ended(
    number: int,
    parameters: Configuration,
    value: float,
    started_at: float,
    cost: float,
    curve: dict[int, float],
) -> TrialView:
    return TrialView(
        number=number,
        state=TrialState.SUCCEEDED,
        parameters=parameters,
        origin="default" if number == 1 else "random" if number <= 10 else "model",
        value=value,
        curve=curve,
        started_at=started_at,
        ended_at=started_at + cost,
        ended_after=started_at + cost - START,
        cost_seconds=cost,
    )


def _failed(trial: TrialView, cause: Cause) -> TrialView:
    return replace(
        trial,
        state=TrialState.FAILED,
        cause=cause,
        detail=DETAILS[cause],
        value=None,
        curve={},
        cost_seconds=9.0,
        ended_at=(trial.started_at or 0.0) + 9.0,
        ended_after=(trial.started_at or 0.0) + 9.0 - START,
    )


def _finished(view: ExperimentView, evaluated: bool) -> ExperimentView:
    top = tuple(trial.number for trial in ranked(view)[:5])
    return replace(view, top=top, evaluations={n: _evaluation(n) for n in top} if evaluated else {})


def _evaluation(number: int) -> dict[str, Any]:
    generator = np.random.default_rng(number)
    return {
        split: _measured(SIGNS, generator.poisson(0.15, (10, 10)) + np.diag(generator.integers(35, 45, 10)), number)
        for split in ("val", "test")
    }


def _measured(
    classes: list[str], matrix: Any, seed: int, path: str = "/data/sign_digits/val/4/IMG_{}.JPG"
) -> dict[str, Any]:
    """Return measures of one split in the form of the image classification task."""
    hits, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    rows = [
        {
            "name": name,
            "precision": float(hits[i] / predicted[i]),
            "recall": float(hits[i] / support[i]),
            "f1": float(2 * hits[i] / (support[i] + predicted[i])),
            "support": int(support[i]),
        }
        for i, name in enumerate(classes)
    ]
    wrong = [
        (t, p, int(matrix[t, p])) for t in range(len(classes)) for p in range(len(classes)) if t != p and matrix[t, p]
    ]
    wrong.sort(key=lambda pair: -pair[2])
    mean = {name: float(np.mean([row[name] for row in rows])) for name in ("precision", "recall", "f1")}
    return {
        "count": int(matrix.sum()),
        "accuracy": float(hits.sum() / matrix.sum()),
        "f1": mean["f1"],
        "macro": {name: mean[name] for name in ("precision", "recall")},
        "weighted": {name: mean[name] for name in ("precision", "f1")},
        "auroc": 0.9981,
        "expected_calibration_error": 0.0173,
        "classes": rows,
        "confusion_matrix": matrix.tolist(),
        "confused_pairs": [{"true": classes[t], "predicted": classes[p], "count": c} for t, p, c in wrong[:10]],
        "worst_mistakes": [
            {
                "path": path.format(1000 + i),
                "true": classes[t],
                "predicted": classes[p],
                "probability": 0.99 - 0.03 * i,
                "thumbnail": None if i == 3 else picture(seed + i),
            }
            for i, (t, p, _) in enumerate(wrong[:8])
        ],
    }


def picture(seed: int, side: int = 48) -> str:
    """Return a small PNG with random stripes as a `data:` URI."""
    colours = np.random.default_rng(seed).integers(60, 220, (side // 8, 1, 3))
    pixels = np.repeat(np.repeat(colours, 8, axis=0), side, axis=1).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()


def population(members: int = 8, rounds: int = 6) -> ExperimentView:
    """A population trained in rounds, in which the worst two take over from the best two after each."""
    space = parse_space(
        {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "dropout": {"low": 0.0, "high": 0.6}}
    )
    generator = np.random.default_rng(5)
    view = thousand(1)
    trials: list[TrialView] = []
    for number in range(1, members * rounds + 1):
        part = (number - 1) // members
        before = trials[(part - 1) * members : part * members] if part else []
        ranking = sorted(before, key=lambda trial: trial.value or 0.0)
        own = before[(number - 1) % members] if before else None
        parent = own if own not in ranking[-2:] else ranking[int(generator.integers(2))]
        parameters = space.sample(generator) if own is not parent or parent is None else parent.parameters
        rate = (math.log10(parameters["learning_rate"]) + 2) ** 2
        loss = (0.9 * (parent.value or 1.0) if parent else 1.0) + 0.02 * rate + 0.02 * float(generator.random())
        trial = _ended(number, parameters, loss, START + 30.0 * part, 20.0 + 5 * float(generator.random()), {})
        fidelity = (part + 1) / rounds
        trials.append(replace(trial, fidelity=fidelity, resume_from=parent.number if parent else None))
    return _finished(replace(view, name="population", space=space, trials=tuple(trials)), evaluated=False)


EXAMPLES = {
    "population": population,
    "hand-signs": hand_signs,
    "single-trial": single_trial,
    "no-success": no_success,
    "running": running,
    "empty": empty,
    "thousand": thousand,
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in EXAMPLES.items():
        html.write(make(), folder / f"{name}.html")
