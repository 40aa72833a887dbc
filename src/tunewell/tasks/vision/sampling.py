"""Whether it is worth searching on a sample of the training pictures.

On a part of the data configurations rank much as on all of it, and trainings take less time (Klein et al. 2017, "Fast
Bayesian Optimization of Machine Learning Hyperparameters on Large Datasets", arXiv:1605.07079, figure 1): in as many
epochs as much less as there are fewer pictures, and no less where a small sample needs as many steps (`length`).
"""

from __future__ import annotations

from collections.abc import Callable

from tunewell.tasks.data_view import DataSummary

#: Shares that are advised, the smallest that leaves enough.
_SHARES = (0.1, 0.25, 0.5)
#: What enough is: training pictures in all, and pictures or objects of each class.
_LEAST_PICTURES = 1000
_LEAST_OF_A_CLASS = 50
#: How many times as fast a search has to be at least.
_LEAST_GAIN = 1.5


def advise_sampling(sampling: float, data: DataSummary, steps: Callable[[float], int]) -> list[str]:
    """Return a sentence for the user if sampling is worth it and is not asked for (the spec's is 1), else nothing.

    `steps` says how many a training has on a share of the data.
    """
    pictures, train = data.items["train"], list(data.items).index("train")
    share = _share(pictures, min((counts[train] for counts in data.counts.values()), default=0))
    if sampling < 1 or share is None or (times := steps(1.0) / steps(share)) < _LEAST_GAIN:
        return []
    return [
        f"Advice: `sampling: {share:g}` would search on {round(share * pictures)} training pictures, about "
        f"{times:.2g} times as fast; `finalists: full` then trains the five best on all of them."
    ]


def _share(pictures: int, rarest: int) -> float | None:
    for share in _SHARES:
        if share * pictures >= _LEAST_PICTURES and share * rarest >= _LEAST_OF_A_CLASS:
            return share
    return None
