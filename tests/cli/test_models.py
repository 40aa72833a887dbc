"""Published models on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.service.published import SPEC, add_trial, picture
from tunewell.service.service import Service


@pytest.fixture
def trained(tmp_path: Path) -> None:
    """An experiment `e` with models of two trials."""
    with Service(tmp_path / ".tunewell") as service:
        service.create(SPEC)
        add_trial(service, 1, 0.9, real=True)
        add_trial(service, 2, 0.8)


@pytest.mark.usefixtures("trained")
def test_probabilities_need_a_place(run: Run, tmp_path: Path) -> None:
    """A table has no room for all of them: that is said before anything is done, and how to get them."""
    (tmp_path / "cat.png").write_bytes(picture().content)
    refused = run("predict", "e", "cat.png", "--probabilities")
    assert refused.code == 2 and "Add --output FILE or --json" in refused.err, refused.err


@pytest.mark.usefixtures("trained")
def test_the_life_of_a_model(run: Run, tmp_path: Path) -> None:
    """Published, listed, shown, rolled back, downloaded, deleted, restored, and gone."""
    assert "No models yet" in run("models").out
    published = run("publish", "e", "--name", "signs", "--note", "the first")
    assert "signs@1 is published, the current version, seen by everybody." in published.out, published.err
    assert run("publish", "e", "--trial", "2", "--name", "signs", "--json").json["number"] == 2
    assert "Its files are those of signs@2" in run("publish", "e", "--trial", "2", "--name", "signs").out
    assert run("models", "use", "signs", "2").code == 0
    assert run("models", "delete", "signs@3", "--forever").code == 0
    assert run("models").out.splitlines()[1].split()[:4] == ["signs", "2", "of", "3"]
    shown = run("models", "signs").out
    assert "the first" in shown and "e (trial 2)" in shown
    assert [one["number"] for one in run("models", "signs", "--json").json["versions"]] == [2, 1]
    beside = run("models", "compare", "signs@1", "signs").out
    assert "signs@1" in beside and "learning_rate" in beside and "0.002" in beside
    assert "Back: tunewell models use signs 2" in run("models", "use", "signs", "1").out
    assert run("models", "download", "signs@2", "there/model").code == 0
    assert json.loads((tmp_path / "there/model/model.json").read_text())["parameters"]["learning_rate"] == 0.002
    assert "it exists already" in run("models", "download", "signs", "there/model").err
    assert "night" in run("models", "note", "signs", "2", "worse at night").out
    assert "its owner" in run("models", "share", "signs", "--private").out
    refused = run("publish", "e", "--name", "signs", "--team")
    assert refused.code == 2 and "tunewell models share signs" in refused.err
    alone = run("models", "compare", "signs@1")
    assert alone.code == 2 and "Name two versions or more" in alone.err
    current = run("models", "delete", "signs@1", "--forever")
    assert current.code == 2 and "tunewell models use signs VERSION" in current.err
    assert "--forever" in run("models", "delete", "signs@2").err
    assert run("models", "delete", "signs@2", "--forever").out == "It is gone.\n"
    assert "tunewell models restore signs" in run("models", "delete", "signs").out
    assert "tunewell models --deleted" in run("models").out
    assert run("models", "signs").code == 2
    assert "the first" in run("models", "restore", "signs").out
    assert run("models", "delete", "signs", "--forever").out == "It is gone.\n"


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_published_model_is_used_by_its_name(run: Run, tmp_path: Path) -> None:
    """`model:NAME` and `model:NAME@VERSION` stand where an experiment or a folder may; what is wrong is said."""
    (tmp_path / "cat.png").write_bytes(picture().content)
    run("publish", "e", "--name", "signs")
    predicted = run("predict", "model:signs", "cat.png")
    assert predicted.code == 0 and "Model: signs@1" in predicted.out, predicted.err
    again = run("predict", "model:signs@1", "cat.png", "--json").json
    assert again == run("predict", "e", "cat.png", "--json").json
    assert "with a version 7" in run("predict", "model:signs@7", "cat.png").err
    assert "'x' is no number of a version" in run("predict", "model:signs@x", "cat.png").err
    assert "There is no model 'other'" in run("export-model", "model:other").err
