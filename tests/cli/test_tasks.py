"""What `tunewell tasks` says of the networks."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tunewell.cli.app import app
from tunewell.tasks.catalogue import TASKS, task_for
from tunewell.tasks.contract import Network

NETWORKS: dict[str, Network] = {
    name: network
    for task in TASKS
    for name, network in task_for({"task": task}).networks.items()  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("name", NETWORKS)
def test_sources_are_shown(name: str) -> None:
    """Where each default and range comes from can be read whole on a narrow terminal, too."""
    shown = CliRunner().invoke(app, ["tasks", name], env={"COLUMNS": "80"}, catch_exceptions=False)
    assert shown.exit_code == 0
    assert max(map(len, shown.output.splitlines())) <= 80
    words = shown.output.split()
    for parameter in NETWORKS[name].space.names:
        source = NETWORKS[name].sources[parameter].split()
        assert [parameter, *source] in [words[place : place + len(source) + 1] for place in range(len(words))]


def test_every_task_is_listed_once_with_its_default_network() -> None:
    """Tasks with the same networks share a list; each list says which network is taken where none is named."""
    shown = CliRunner().invoke(app, ["tasks"], env={"COLUMNS": "200"}, catch_exceptions=False).output
    assert shown.splitlines()[0] == "image-classification, multilabel-classification"
    assert shown.count("  resnet18 ") == 1
    assert "Where none is named: small-cnn for pictures of up to 64 pixels a side, else efficientnet-lite0" in shown
    assert "Where none is named: mask-rcnn-lite0" in shown
