from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.schedulers.ray_cluster import running_cluster
from tests.schedulers.ray_ledger import Round


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_over_ray(tmp_path: Path) -> None:
    """Whatever is killed, each attempt begins at most once, each report is told once, and nothing is left."""
    with running_cluster(3, num_cpus=2) as cluster:
        for number in range(2):
            one = Round(cluster, tmp_path / str(number))
            one.run(random.Random(number), kills=6)
            assert not one.wrong
            assert one.kills.total() == 6
