"""The pages, a module a page: what each shows is asked of verbs, and nothing else."""

from __future__ import annotations

from tunewell.console.pages import (
    actions,
    compare,
    dataset,
    datasets,
    entrance,
    experiment,
    experiments,
    job,
    model,
    models,
    new_search,
    preferences,
    resources,
    results,
    sample,
    settings,
    trial,
)

ROUTERS = (
    experiments.router,
    experiment.router,
    compare.router,
    new_search.router,
    trial.router,
    results.router,
    datasets.router,
    dataset.router,
    models.router,
    model.router,
    job.router,
    resources.router,
    actions.router,
    entrance.router,
    sample.router,
    *settings.ROUTERS,
    preferences.router,
)
