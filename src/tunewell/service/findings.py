"""Checking a spec: what follows from it, what is found in its data, and in a line of its program's output."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewell.controller.resources import concurrency, explain_concurrency, plan_resources
from tunewell.home.cluster import Cluster
from tunewell.service import wire
from tunewell.service.data_page import write_data_page
from tunewell.service.estimating import estimate
from tunewell.service.line_check import look_at_line
from tunewell.service.origins import lean_text
from tunewell.service.storage.own_programs import what_is_sent
from tunewell.service.submission import Plan, make_plan
from tunewell.service.types import Checked, DataFindings, LineFindings, Objective
from tunewell.service.warm_start import with_space
from tunewell.spec.experiment import parse_spec
from tunewell.spec.rules import RAY
from tunewell.store.queries.visible import EVERYBODY
from tunewell.store.store import Store
from tunewell.tasks.command import check_placeholders, declared_space, tell_of_line
from tunewell.tuners.catalogue import leans_on


def check_form(raw: Mapping[str, Any]) -> None:
    """Check what is right or wrong of a command's spec wherever it runs, whether its program is there or not.

    Raises:
        SpecError, SpecErrors: something is wrong.
    """
    spec = parse_spec(raw)
    check_placeholders(spec, declared_space(spec))


def check_spec(
    raw: Mapping[str, Any],
    line: str | None = None,
    page: Path | None = None,
    store: Store | None = None,
    seen_by: str = EVERYBODY,
    *,
    measures: bool = False,
    claims: Path | None = None,
    cluster: Cluster | None = None,
) -> Checked:
    """Check everything that can be checked without starting anything.

    Args:
        raw: the spec.
        line: a line of the program's output, in which metrics are looked for.
        page: where to write a page about the data, every picture of which is opened for it.
        store: holds the experiment from which the spec takes its space, if it has none of its own (see `lacks_space`),
            and those that tell how long it may take.
        seen_by: whose eyes the answer is for.
        measures: whether a few steps of a trial are measured where no experiment tells how long it takes.
        claims: file in which it is counted what is taken of this machine, which must have room for that.
        cluster: the Ray cluster that searches can use; None: there is none.

    Raises:
        UserError: something is wrong; the message names it and the remedy.
    """
    plan = make_plan(with_space(store, raw) if store is not None else raw, cluster=cluster)
    sent = what_is_sent(plan.spec.model_dump()) if plan.spec.scheduler == RAY else ()
    machine = plan.machines
    resources = plan_resources(plan.spec, machine)
    estimated, not_estimated = estimate(store, plan, seen_by, measures, claims)
    return Checked(
        experiment=plan.spec.name,
        network=plan.spec.network or "",
        objective=Objective(**plan.spec.objective.model_dump(include={"metric", "goal", "target"})),
        algorithm=plan.choice.name,
        algorithm_reason=plan.choice.reason,
        options=dict(plan.choice.options),
        first_trials=lean_text(leans_on(plan.choice.name, plan.choice.options, plan.space))
        if plan.choice.max_trials > 1
        else "",
        early_stopping=plan.spec.early_stopping,
        max_trials=plan.choice.max_trials,
        at_once=min(concurrency(plan.spec, resources, machine, plan.tuner), plan.choice.max_trials),
        concurrency=explain_concurrency(plan.spec, resources, machine, plan.tuner),
        estimate=estimated,
        not_estimated=not_estimated,
        parameters=wire.parameters(plan.space),
        findings=(*plan.findings, *sent),
        line=_look_at_line(plan, line) if line is not None else None,
        data=_look_at_data(plan, page) if page is not None else None,
    )


def _look_at_line(plan: Plan, line: str) -> LineFindings:
    found = look_at_line(line, plan.spec.metric_pattern, plan.spec.objective.metric)
    return LineFindings(step=found.step, metrics=found.metrics, told=tell_of_line(plan.spec, found))


def _look_at_data(plan: Plan, page: Path) -> DataFindings:
    view = write_data_page(plan, page)
    return DataFindings(unit=view.summary.unit, broken=len(view.broken), copied=view.copied)
