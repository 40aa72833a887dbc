from __future__ import annotations

import numpy as np
import pytest

from tests.reports import examples
from tests.reports.charts.tables import Drawn, table, view
from tunewell.reports.charts import history_over_time, history_over_trials, ribbon
from tunewell.reports.charts.choosing import MOST_POINTS
from tunewell.reports.charts.ribbon import STRIPES
from tunewell.reports.table import Goal
from tunewell.reports.view import search_view
from tunewell.spec.states import Cause, TrialState

FAILED, PRUNED, RUNNING, SUCCEEDED = TrialState.FAILED, TrialState.PRUNED, TrialState.RUNNING, TrialState.SUCCEEDED


def heights(path: str) -> list[float]:
    """The heights of a stepped line, from its data."""
    start, *rest = path.split("H")
    return [float(start.split()[1]), *(float(part.split("V")[1]) for part in rest)]


def test_each_ended_trial_has_a_mark_in_the_look_of_its_state() -> None:
    """Trials with a value are points, failed ones marks at the edge, the best a star, others are left out."""
    states = [SUCCEEDED, PRUNED, FAILED, SUCCEEDED, RUNNING]
    causes = [None, None, Cause.CRASHED, None, None]
    chart = history_over_trials(view(table([0.5, 0.4, None, 0.7, None], states=states, causes=causes)))
    drawn = Drawn(chart)
    assert drawn.trials("points", "succeeded") == [1, 4]
    assert drawn.trials("points", "pruned") == [2]
    assert drawn.trials("rug", "failed") == [3]
    assert [one.get("data-trial") for one in drawn.groups("best") if one.get("data-trial")] == ["4"]
    assert "failed trials" in chart.caption
    assert drawn.root.get("aria-label") == "accuracy of 3 trials, best 0.7 by trial 4, 1 failed"


@pytest.mark.parametrize(("goal", "sign"), [("maximize", -1), ("minimize", 1)])
def test_the_line_is_the_best_so_far(goal: Goal, sign: int) -> None:
    """The stepped line goes through every improvement and never gets worse; pruned trials don't move it."""
    values = np.random.default_rng(1).normal(size=50)
    states = [PRUNED if i % 7 == 3 else SUCCEEDED for i in range(50)]
    values[3] = -9.0 * sign  # pruned, and better than all others
    for chart in (history_over_trials, history_over_time):
        drawn = Drawn(chart(view(table(values.tolist(), goal=goal, states=states))))
        (line,) = drawn.groups("best-line")
        found = heights(line.get("d", ""))
        assert found == sorted(found, reverse=goal == "maximize")
        results = [value for value, state in zip(values, states, strict=True) if state is SUCCEEDED]
        best = np.minimum.accumulate(results) if goal == "minimize" else np.maximum.accumulate(results)
        assert len(found) == len(np.unique(best)) + 1


def test_levels_are_named_beside_the_chart() -> None:
    """Default, target and best stand with their values where their lines end; a level far away is left out."""
    trials = table([0.5, 0.6, 0.7])
    assert "target 0.8" in Drawn(history_over_trials(view(trials, target=0.8))).texts
    texts = Drawn(history_over_trials(view(trials, default_trial=1, target=0.71))).texts
    assert {"default 0.5", "target 0.71", "best 0.7"} <= set(texts)
    assert "target 1000" not in Drawn(history_over_trials(view(trials, target=1000.0))).texts


def test_time_is_counted_in_a_fitting_unit() -> None:
    """The axis of time has the unit that suits its length, and the trials stand where they ended."""
    drawn = Drawn(history_over_time(search_view(examples.hand_signs())))
    assert "minutes of search time" in drawn.texts
    assert history_over_time(view(table([1.0], ended_after=np.array([np.nan])))).svg is None


def test_one_trial_and_equal_values_can_be_drawn() -> None:
    """A single trial, and trials that are all the same, have a chart with marks within it."""
    for values in ([0.5], [0.5] * 30, [0.0, 0.0], [1e308, -1e308], [-1e-320, 1e-320]):
        for chart in (history_over_trials, history_over_time, ribbon):
            drawn = Drawn(chart(view(table(values))))
            assert "nan" not in "".join(one.get("d", "") for one in drawn.root.iter())


def test_nothing_to_draw_is_said() -> None:
    """Without a trial, or without a value, a sentence stands in place of the chart."""
    for trials in (table([]), table([None, None], states=[FAILED, RUNNING])):
        for chart in (history_over_trials, history_over_time):
            assert chart(view(trials)).svg is None
            assert chart(view(trials)).caption.endswith(".")
    assert ribbon(view(table([]))).svg is None


def test_very_many_trials_are_thinned_out() -> None:
    """Of 100,000 trials about a thousand are drawn, all those that matter among them, and it is said."""
    generator = np.random.default_rng(2)
    trials = table(generator.random(100_000).tolist())
    search = view(trials, default_trial=77)
    chart = history_over_trials(search)
    drawn = Drawn(chart).trials("points")
    assert 0.9 * MOST_POINTS < len(drawn) < 1.1 * MOST_POINTS + 6
    assert {*search.top, 77} <= set(drawn)
    assert np.histogram(drawn, 10, (0, 100_000))[0].min() > 0.08 * MOST_POINTS
    assert f"Of 100000 trials, {len(drawn)} are drawn." in chart.caption
    assert chart.svg is not None and len(chart.svg) < 60_000


def test_charts_beside_each_other_show_the_same_trials() -> None:
    """Which trials are drawn depends on their numbers, and stays so when others join them."""
    values = np.random.default_rng(3).random(20_000).tolist()
    fewer, more = view(table(values[:19_000]), top=()), view(table(values), top=())
    by_trial, by_time = (Drawn(chart(more)).trials("points") for chart in (history_over_trials, history_over_time))
    assert by_trial == by_time
    kept = set(Drawn(history_over_trials(fewer)).trials("points")) & set(by_trial)
    assert len(kept) > 0.9 * len(by_trial)


def test_chosen_trials_are_drawn_for_themselves() -> None:
    """Trials that a choice lets stand out are drawn, however few they are among all."""
    trials = table(np.random.default_rng(4).random(50_000).tolist())
    chosen = np.isin(trials.numbers, [123, 45_678])
    assert {123, 45_678} <= set(Drawn(history_over_trials(view(trials, chosen=chosen))).trials("points"))


def test_the_ribbon_shows_the_whole_budget() -> None:
    """A stripe a trial, the best in orange, failed ones marked, what is left of the budget empty."""
    states = [SUCCEEDED, FAILED, SUCCEEDED, RUNNING, TrialState.WAITING]
    drawn = Drawn(ribbon(view(table([0.1, None, 0.9, None, None], states=states), max_trials=8)))
    assert drawn.trials() == [1, 2, 3, 4]
    styles = [one.get("class") for one in drawn.root.iter() if one.get("data-trial")]
    assert styles == ["strength-3", "failed", "best", "running"]
    assert [one.get("x") for one in drawn.groups("running")] == ["37.5%"]
    assert drawn.root.get("aria-label") == "5 of 8 trials; the best, 0.9, is trial 3"


def test_stripes_of_a_long_search_hold_stretches() -> None:
    """Of many trials a stripe holds a stretch, leads to its best, and is the stronger the better that is."""
    values = np.linspace(0, 1, 10_000)
    drawn = Drawn(ribbon(view(table(values.tolist()))))
    stripes = [one for one in drawn.root.iter() if one.get("data-trial")]
    assert len(stripes) == STRIPES
    assert stripes[0].get("data-trials") == "1-56" and stripes[0].get("data-trial") == "56"
    strengths = [int(str(one.get("class"))[-1]) for one in stripes[:-1]]
    assert strengths == sorted(strengths) and set(strengths) == set(range(7))
    assert stripes[-1].get("class") == "best"


def test_a_stretch_that_mostly_failed_is_marked() -> None:
    """A stripe is marked where at least half of its trials failed."""
    states = [FAILED if 2000 <= i < 3000 and i % 2 else SUCCEEDED for i in range(5000)]
    values = [None if state is FAILED else 0.5 for state in states]
    drawn = Drawn(ribbon(view(table(values, states=states))))
    assert all(2000 <= trial <= 3001 for trial in drawn.trials("failed"))
    assert len(drawn.groups("failed")) > 30
