"""What each trial of an experiment gets of a machine, and how many run at once."""

from __future__ import annotations

from tunewell.schedulers.contract import Scheduler
from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import Resources
from tunewell.tuners.contract import Tuner


def plan_resources(spec: ExperimentSpec, scheduler: Scheduler) -> Resources:
    """Return what each trial of an experiment gets on this scheduler.

    GPUs: one a trial where there are any. Cores: all, divided among the trials that run at once.

    Raises:
        SpecError: the spec asks for more than there is.
    """
    cores, wanted = max(1, scheduler.slots(Resources(cpus=1))), spec.resources.cpus
    found = scheduler.slots(Resources(cpus=1, gpus=1))
    gpus = spec.resources.gpus if spec.resources.gpus is not None else min(found, 1)
    at_once = found // gpus if gpus else cores
    at_once = max(1, min(at_once, spec.max_concurrency or at_once, cores))
    _check_there_is("cpus", wanted or 0, cores)
    _check_there_is("gpus", gpus, found)
    return Resources(cpus=cores // at_once if wanted is None else wanted, gpus=gpus)


def explain_concurrency(spec: ExperimentSpec, resources: Resources, scheduler: Scheduler, tuner: Tuner) -> str:
    """Return a sentence on how many trials run at once, and what bounds them."""
    slots, asked, useful = scheduler.slots(resources), spec.max_concurrency, tuner.concurrency()
    if asked is not None and asked <= min(slots, useful or asked):
        return f"At most {_trials(asked)} at once, as max_concurrency says."
    if useful is not None and useful <= slots:
        return f"At most {_trials(useful)} at once: {tuner.name} learns from these before it proposes more."
    cores, gpus = scheduler.slots(Resources(cpus=1)), scheduler.slots(Resources(cpus=0, gpus=1))
    if resources.gpus and slots == gpus // resources.gpus:
        bound, remedy = f"this machine offers trials {gpus} GPUs and each takes {resources.gpus}", ""
    else:
        bound = f"this machine has {cores} cores and each trial takes {resources.cpus:g}"
        remedy = "; `resources: {cpus: …}` with a fraction lets more run"
    return f"At most {_trials(slots)} at once: {bound}{remedy if asked is not None else ''}."


def _trials(amount: int) -> str:
    return f"{amount} trial" + ("" if amount == 1 else "s")


def _check_there_is(what: str, wanted: float, found: int) -> None:
    if wanted > found:
        remedy = f"Give {found} at most" if found else "Drop it"
        raise SpecError(
            f"resources.{what}", f"{wanted} a trial, but this machine offers trials {found}", remedy, wanted
        )
