"""From the store to a report: everything about an experiment as the plain data that reports are made of."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tunewell.home.home import Home
from tunewell.home.spec_on_record import shareable_spec
from tunewell.reports import html
from tunewell.reports.charts.choosing import curved
from tunewell.reports.view import ExperimentView, FinalistView, RepeatedView, StandingView, TrialView
from tunewell.service import wire
from tunewell.service.advice import advise
from tunewell.service.on_record import evaluated, evaluations, finalists, rank_agreement
from tunewell.service.repeats import repeats_of
from tunewell.service.results import command_by_hand, default_trial
from tunewell.service.types import ReportFile, Uncertainty
from tunewell.service.uncertainty import uncertainty_of
from tunewell.service.verbs import TOP
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import DataError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.standing import gain_text, rest_text, spread_text, standing_text
from tunewell.spec.states import TIME_LIMITS
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store


def render_report(store: Store, home: Home, name: str) -> str:
    """Return the HTML report of an experiment; raises `NotFoundError`."""
    return html.render(experiment_view(store, home, name))


def write_report(store: Store, home: Home, name: str) -> ReportFile:
    """Write the HTML report of an experiment into its folder.

    Raises:
        NotFoundError: there is no such experiment.
        DataError: the file can't be written.
    """
    view = experiment_view(store, home, name)
    home.claim(name)
    save_report(html.render(view), home.experiment(name) / wire.REPORT_FILE)
    written = wire.report_file(home, name)
    assert written is not None, name
    return written


def save_report(document: str, path: Path) -> Path:
    """Write a rendered report to a file, for its owner alone; return its whole path.

    Raises:
        DataError: it can't be written.
    """
    target = path.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        html.save(document, target)
    except OSError as error:
        raise DataError(
            f"the report can't be written ({error.strerror or error})",
            field=str(target),
            remedy="Name another file for it",
        ) from None
    return target


def experiment_view(store: Store, home: Home, name: str) -> ExperimentView:
    """Return an experiment with all of its trials, as reports show it; raises `NotFoundError`."""
    row = store.experiment(name)
    spec = parse_spec(row.spec)
    top = store.top(name, TOP)
    advice = advise(row, top, store.cut_trials(name, TIME_LIMITS))
    trials = _trial_views(store, name, spec.objective.metric, [trial.number for trial in top])
    default = default_trial(store, row)
    best_on_all_data = finalists(store, home, row)
    return ExperimentView(
        name=name,
        spec=shareable_spec(home, row),
        space=parse_space(row.space),
        metric=spec.objective.metric,
        goal=spec.objective.goal,
        target=spec.objective.target,
        algorithm=algorithm_name(row),
        state=row.state,
        stop_rule=row.stop_rule,
        stop_detail=row.detail,
        notes=tuple(row.notes),
        project=row.project,
        tags=row.tags,
        description=row.description,
        advice=tuple(one.detail for one in advice),
        more_time=next((one.value for one in advice if one.field == "max_duration" and row.state.final), None),
        created_at=row.created_at,
        elapsed_seconds=row.elapsed_seconds,
        trials=trials,
        top=tuple(trial.number for trial in top),
        running=home.is_running(name),
        best_command=command_by_hand(row, top[0]) if top else (),
        default_trial=default.number if default else None,
        evaluations=evaluations(store, home, name),
        version=version("tunewell"),
        standing=_standing(
            uncertainty_of(store, row, default, evaluated(store, name)),
            top[0].number if top and not best_on_all_data else None,
        ),
        finalists=tuple(FinalistView(one.number, one.sample_value, one.value, one.detail) for one in best_on_all_data),
        repeats=tuple(
            RepeatedView(
                one.number,
                spread_text(one.mean, one.deviation),
                len(one.values),
                rest_text(one.failed, one.unfinished),
            )
            for one in repeats_of(store, row)
        ),
        rank_agreement=rank_agreement(best_on_all_data),
    )


def _standing(known: Uncertainty | None, best: int | None) -> StandingView:
    if known is None:
        return StandingView({}, {}, (), "")
    text = standing_text(known.ties, known.compared, known.items, known.unit, in_full=known.in_full)
    gain = gain_text(known.gains.get(best)) if best is not None else ""
    return StandingView(known.intervals, known.test_intervals, known.ties, f"{gain} {text}".strip())


def algorithm_name(row: ExperimentRow) -> str:
    """Return the algorithm's name for people, with the reason if it was chosen for them."""
    name, reason = str(row.algorithm["name"]), row.algorithm.get("reason")
    return f"{name} ({reason})" if reason else name


def _trial_views(store: Store, name: str, metric: str, top: Sequence[int]) -> tuple[TrialView, ...]:
    rows = list(store.iterate_trials(name))
    curves = store.curves(name, metric, curved(np.array([row.number for row in rows], dtype=np.int64), top))
    return tuple(
        TrialView(
            number=row.number,
            state=row.state,
            parameters=row.parameters,
            origin=row.origin,
            cause=row.cause,
            detail=row.detail,
            notes=row.notes,
            fidelity=row.fidelity,
            resume_from=row.resume_from,
            value=row.value,
            curve=curves.get(row.number, {}),
            attempts=row.attempt,
            started_at=row.started_at,
            ended_at=row.ended_at,
            ended_after=row.ended_after,
            cost_seconds=row.cost_seconds,
            epochs=row.epochs,
            planned_epochs=row.planned_epochs,
            cut_by=row.cut_by,
        )
        for row in rows
    )
