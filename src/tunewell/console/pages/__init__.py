"""The pages, a module a page: what each shows is asked of verbs, and nothing else."""

from __future__ import annotations

from tunewell.console.pages import (
    actions,
    dataset,
    datasets,
    disk,
    entrance,
    experiment,
    experiments,
    job,
    later,
    new_search,
    preferences,
    results,
    sample,
    trial,
)

ROUTERS = (
    experiments.router,
    experiment.router,
    new_search.router,
    trial.router,
    results.router,
    datasets.router,
    dataset.router,
    job.router,
    actions.router,
    entrance.router,
    sample.router,
    preferences.router,
    disk.router,
    later.router,
)
