"""The page about networks is made of the code, and true."""

from __future__ import annotations

from typing import Any

import pytest
from docs.generate_networks import LICENCES, PAGE, page

from tunewell.tasks.catalogue import TASKS, task_for


def test_the_page_is_up_to_date() -> None:
    """`docs/networks.md` is what the generator writes; if not, run `.venv/bin/python -m docs.generate_networks`."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", TASKS)
def test_each_network_is_on_the_page(name: str) -> None:
    """Each network has its row, and each of its parameters a source."""
    task: Any = task_for({"task": name})
    for network in task.networks.values():
        assert f"\n| `{network.name}` | {network.description} |" in page()
        assert set(network.space.names) <= set(network.sources)


def test_the_licences_are_those_that_timm_names() -> None:
    """The licence of each network's weights is what timm has on record for them."""
    timm = pytest.importorskip("timm")
    for name in TASKS:
        task: Any = task_for({"task": name})
        for network in task.networks:
            download = task.architecture(network).pretrained.download
            if download is not None and download.library == "timm":
                licence = timm.get_pretrained_cfg(download.name).license
                assert licence == LICENCES["timm"].lower(), download.name
