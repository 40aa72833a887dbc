"""The models that an experiment has."""

from __future__ import annotations

from tunewell.home.home import Home
from tunewell.service.on_record import best_model, retrained_model
from tunewell.service.types import Model
from tunewell.store.store import Store


def list_models(store: Store, home: Home, name: str) -> tuple[Model, ...]:
    """Return the models of an experiment: the best trial's, and the one trained on all data, where there are any."""
    best, retrained = best_model(store, home, store.experiment(name)), retrained_model(store, home, name)
    found = [Model(experiment=name, kind="best", folder=str(best))] if best is not None else []
    if retrained is not None:
        found.append(Model(experiment=name, kind="retrained", folder=str(retrained)))
    return tuple(found)
