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
    models,
    notifications,
    people,
    results,
    steering,
    trials,
    upkeep,
    uploads,
    workers,
)

ROUTERS = (
    experiments.router,
    steering.router,
    trials.router,
    workers.router,
    results.router,
    jobs.router,
    imports.router,
    catalogue.router,
    changes.router,
    people.router,
    uploads.router,
    datasets.router,
    code.router,
    notifications.router,
    models.router,
    upkeep.router,
)
