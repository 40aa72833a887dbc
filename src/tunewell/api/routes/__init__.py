"""The routes, a module a resource. A route is named after its verb, and does no more than call it."""

from __future__ import annotations

from tunewell.api.routes import (
    catalogue,
    changes,
    code,
    datasets,
    experiments,
    imports,
    jobs,
    people,
    results,
    steering,
    trial_reports,
    trials,
    upkeep,
    uploads,
)

ROUTERS = (
    experiments.router,
    steering.router,
    trials.router,
    trial_reports.router,
    results.router,
    jobs.router,
    imports.router,
    catalogue.router,
    changes.router,
    people.router,
    uploads.router,
    datasets.router,
    code.router,
    upkeep.router,
)
