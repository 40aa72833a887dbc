from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np

from tests.reports import examples
from tests.reports.charts.tables import Drawn, table, view
from tunewell.reports.charts import learning_curves, lineage, outcomes, timeline
from tunewell.reports.charts.choosing import FADED_CURVES
from tunewell.reports.charts.outcomes import MOST_BARS
from tunewell.reports.view import search_view
from tunewell.spec.states import Cause, TrialState

FAILED, PRUNED, RUNNING, SUCCEEDED = TrialState.FAILED, TrialState.PRUNED, TrialState.RUNNING, TrialState.SUCCEEDED


# Learning curves -------------------------------------------------------------------------------------------


def test_the_best_have_coloured_curves_with_their_numbers() -> None:
    """Each of the best has a colour and its number at the end of its line, all others are faded, pruned ones more."""
    experiment = examples.hand_signs()
    drawn = Drawn(learning_curves(search_view(experiment)))
    for rank, trial in enumerate(experiment.top, start=1):
        (line,) = [one for one in drawn.groups(f"rank-{rank}") if one.get("d")]
        assert line.get("data-trial") == str(trial)
        assert f"trial {trial}" in [one.text for one in drawn.groups(f"rank-{rank}")]
    pruned = {trial.number for trial in experiment.trials if trial.state is PRUNED}
    assert set(drawn.trials("faded", "pruned")) == pruned
    others = {trial.number for trial in experiment.trials if trial.curve} - set(experiment.top)
    assert set(drawn.trials("faded")) == others


def test_long_curves_and_many_of_them_stay_small() -> None:
    """Of a thousand trials with ten thousand steps each, some curves and some of their steps are drawn."""
    steps = {step: float(step) for step in range(10_000)}
    search = view(table([float(i) for i in range(1000)]), curves=dict.fromkeys(range(1, 1001), steps))
    chart = learning_curves(search)
    assert len(Drawn(chart).trials()) < 1.2 * FADED_CURVES
    assert chart.svg is not None and len(chart.svg) < 150_000


def test_curves_of_one_step_are_none() -> None:
    """A single step makes no line: a sentence stands in its place."""
    assert learning_curves(view(table([0.1]), curves={1: {1: 0.1}})).svg is None
    assert learning_curves(view(table([0.1]), curves={1: {1: 0.1, 2: 0.1}})).svg is not None


# Outcomes --------------------------------------------------------------------------------------------------


def test_outcomes_count_every_trial() -> None:
    """There is a bar for each way to end and for each cause of failure, and together they are all trials."""
    drawn = Drawn(outcomes(search_view(examples.hand_signs())))
    names = [one.text for one in drawn.groups("name-beside")]
    assert names == ["succeeded", "pruned", "failed: gpu_oom", "failed: crashed", "failed: non_finite"]
    assert [one.text for one in drawn.groups("amount")] == ["26 (65 %)", "7 (18 %)", "3 (7.5 %)", "2 (5 %)", "2 (5 %)"]
    assert outcomes(view(table([]))).svg is None


def test_failures_of_unknown_cause_are_counted() -> None:
    """A failure without a cause has a bar, too."""
    drawn = Drawn(outcomes(view(table([None, None], states=[FAILED] * 2, causes=[None, Cause.CRASHED]))))
    assert [one.text for one in drawn.groups("name-beside")] == ["failed: crashed", "failed: unknown"]


# Timeline --------------------------------------------------------------------------------------------------


def spans(drawn: Drawn) -> dict[float, list[tuple[float, float]]]:
    """Row → (start, end) of its bars, in order."""
    rows: defaultdict[float, list[tuple[float, float]]] = defaultdict(list)
    for mark in (one for one in drawn.root.iter() if one.get("data-trial")):
        start, rest = mark.get("d", "").removeprefix("M").split(" ")
        height, width = rest.split("v")[0].split("h")
        rows[float(height)].append((float(start), float(start) + float(width)))
    return {row: sorted(bars) for row, bars in rows.items()}


def test_trials_that_run_at_once_have_rows_of_their_own() -> None:
    """No two bars of the timeline overlap, and there are as many rows as trials ran at once."""
    starts = np.array([0.0, 10.0, 20.0, 100.0, 100.0])
    trials = table([1.0] * 5, started_at=starts, ended_at=starts + np.array([95.0, 50, 30, 10, 10]))
    chart = timeline(view(trials))
    rows = spans(Drawn(chart))
    assert [len(bars) for _, bars in sorted(rows.items())] == [2, 2, 1]
    assert all(end <= start for bars in rows.values() for (_, end), (start, _) in pairwise(bars))
    assert "in 3 slots" in chart.caption


def test_running_trials_reach_to_the_present() -> None:
    """A trial that has not ended reaches to the latest moment that is known; one that waits has no bar."""
    nan = np.nan
    columns = {"started_at": np.array([0.0, 10.0, nan]), "ended_at": np.array([60.0, nan, nan])}
    states = [SUCCEEDED, RUNNING, TrialState.WAITING]
    drawn = Drawn(timeline(view(table([0.5, None, None], states=states, **columns))))
    assert sorted(drawn.trials()) == [1, 2]
    (bar,) = spans(
        Drawn(timeline(view(table([None], states=[RUNNING], started_at=np.zeros(1), ended_at=np.full(1, nan)))))
    )
    assert bar == 1
    assert max(end for bars in spans(drawn).values() for _, end in bars) > 999
    assert timeline(view(table([None], states=[RUNNING], started_at=np.full(1, nan)))).svg is None
    long = timeline(view(table([0.5, None, None], states=states, **columns), as_of=3610.0))
    bars = sorted(bar for row in spans(Drawn(long)).values() for bar in row)
    assert bars[0][1] < 20 and bars[1][1] > 999
    assert "busy 51 %" in long.caption


def test_a_long_timeline_joins_short_trials() -> None:
    """Of 100,000 trials, those too short to be told apart are one bar; the whole time stays covered."""
    starts = 10.0 * np.arange(100_000) // 8
    chart = timeline(view(table([1.0] * 100_000, started_at=starts, ended_at=starts + 70.0)))
    rows = spans(Drawn(chart))
    assert sum(map(len, rows.values())) < 1.2 * MOST_BARS
    assert all(bars[0][0] < 10 and bars[-1][1] > 990 for bars in rows.values())
    assert chart.svg is not None and len(chart.svg) < 80_000


# Lineage ---------------------------------------------------------------------------------------------------


def test_a_lineage_leads_from_round_to_round() -> None:
    """Every trial of a population is a point, with a line from the one that it went on from."""
    experiment = examples.population(8, 6)
    chart = lineage(search_view(experiment))
    drawn = Drawn(chart)
    assert sorted(drawn.trials("points")) == [trial.number for trial in experiment.trials]
    links = sum(len(list(group)) for group in drawn.groups("link"))
    assert links == sum(trial.resume_from is not None for trial in experiment.trials)
    assert sum(len(list(group)) for group in drawn.groups("led")) == 5
    heirs = Counter(trial.resume_from for trial in experiment.trials)
    taken = sum(heirs[trial.resume_from] > 1 for trial in experiment.trials if trial.resume_from)
    way = experiment.lineage(experiment.top[0])
    led = sum(heirs[number] > 1 for number in way[:-1])
    assert sum(len(list(group)) for group in drawn.groups("taken")) == taken - led
    assert f"came from the trials {', '.join(map(str, way))}" in str(drawn.root.get("aria-label"))


def test_without_inheritance_there_is_no_lineage() -> None:
    """Where no trial went on from another, or its ancestor is not known, a sentence says so."""
    assert lineage(search_view(examples.hand_signs())).svg is None
    assert lineage(view(table([0.1], parents=np.array([77])))).svg is None
    assert lineage(view(table([]))).svg is None
    search = search_view(examples.population())
    unmeasured = replace(search, table=replace(search.table, values=np.full(len(search.table), np.nan)))
    assert lineage(unmeasured).svg is None
