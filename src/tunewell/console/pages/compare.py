"""Searches side by side: what came of each, what differs in them, and what can't be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from tunewell.api.asked import AsCaller, AskedNames, Text
from tunewell.api.lanes import takes_long
from tunewell.console.page import Page, show
from tunewell.display.wording import field_text, value_text
from tunewell.reports.charts import Course, compared_progress
from tunewell.service.comparing_searches import LEAST, LETTERS, MOST
from tunewell.service.types import Chart, ComparedExperiment, ComparedField, ExperimentComparison, Progress
from tunewell.service.verbs import Verbs
from tunewell.spec.format import NOTHING
from tunewell.spec.names import in_address

router = APIRouter()

#: Searches that are offered to be chosen.
OFFERED = 25


@router.get("/compare")
@takes_long
def compare(
    request: Request,
    verbs: AsCaller,
    e: Annotated[AskedNames, Query(max_length=100)] = [],  # noqa: B006 - only read
    over: Literal["", "time"] = "",
    fields: Literal["", "all"] = "",
    choose: Literal["", "yes"] = "",
    search: Text = "",
) -> Response:
    """Return searches side by side, or, where they are too few or too many, what there is to choose from."""
    chosen = {verbs.experiment(name).name: name for name in e}
    if choose or not LEAST <= len(chosen) <= MOST:
        offered = verbs.experiments(search=search, limit=OFFERED)
        context = {
            "chosen": [verbs.experiment(name) for name in chosen.values()],
            "others": [one for one in offered.items if one.name not in chosen],
            "more": offered.next is not None,
            "search": search,
            "too_many": len(chosen) > MOST,
            "most": MOST,
        }
        return show(request, Page("compare-choose.html.j2", "Compare", ("compare-choose",), context, follows=("*",)))
    return _compared(request, verbs, list(chosen.values()), over, fields)


def _compared(request: Request, verbs: Verbs, names: Sequence[str], over: str, fields: str) -> Response:
    found = verbs.compare(names)
    names = [one.experiment.name for one in found.experiments]

    def link(**changes: str) -> str:
        """Return the address of this comparison, shown in another way."""
        shown = {"over": over, "fields": fields, **changes}
        chosen = [("e", in_address(name)) for name in names]
        return "?" + urlencode([*chosen, *((name, value) for name, value in shown.items() if value)], safe="~")

    def without(name: str) -> str:
        return "?" + urlencode([("e", in_address(one)) for one in names if one != name], safe="~")

    context = {
        "found": found,
        "columns": list(zip(LETTERS, found.experiments, strict=False)),
        "bests": _bests(found),
        "chart": _chart(found, over == "time") if found.comparable else None,
        "over": over,
        "every": fields == "all",
        "sections": _sections(found, fields == "all"),
        "left_out": _count(_sections(found, True)) - _count(_sections(found, False)),
        "splits": list(dict.fromkeys(split for one in found.experiments if one.data for split in one.data.items)),
        "importances": _importances(found),
        "link": link,
        "without": without,
        "field_text": field_text,
    }
    parts = ("compare-head", "compare-progress", "compare-table")
    return show(request, Page("compare.html.j2", f"Compare {', '.join(names)}", parts, context, follows=tuple(names)))


def _bests(found: ExperimentComparison) -> set[int]:
    """Return the places of those that have come farthest; none where that can't be told."""
    values = {place: one.experiment.best.value for place, one in enumerate(found.experiments) if one.experiment.best}
    if not found.comparable or len(values) < 2:
        return set()
    goal = found.experiments[0].experiment.objective.goal
    best = max(values.values()) if goal == "maximize" else min(values.values())
    return {place for place, value in values.items() if value == best} if len(set(values.values())) > 1 else set()


def _chart(found: ExperimentComparison, over_time: bool) -> Chart:
    objective = found.experiments[0].experiment.objective
    courses = [_course(letter, one, over_time) for letter, one in zip(LETTERS, found.experiments, strict=False)]
    drawn = compared_progress(courses, objective.metric, objective.goal, over_time=over_time)
    return Chart(title=drawn.title, caption=drawn.caption, svg=drawn.svg)


def _course(letter: str, one: ComparedExperiment, over_time: bool) -> Course:
    steps = one.progress_over_time if over_time else one.progress
    places = [_seconds(step) for step in steps] if over_time else [float(step.trial) for step in steps]
    end = one.experiment.elapsed_seconds if over_time else float(one.last_trial)
    return Course(one.experiment.name, letter, places, [step.value for step in steps], max([end, *places]))


def _seconds(step: Progress) -> float:
    assert step.elapsed_seconds is not None
    return step.elapsed_seconds


def _sections(found: ExperimentComparison, every: bool) -> list[tuple[str, list[ComparedField], str]]:
    """Return title, rows, and what is said where there are none."""

    def shown(fields: Iterable[ComparedField]) -> list[ComparedField]:
        told = (one for one in fields if any(value_text(value) != NOTHING for value in one.values))
        return [one for one in told if every or one.differs]

    return [
        ("Spec", shown(found.fields), "Their specs are the same."),
        ("Search space", shown(found.space), "They search the same space."),
        ("Parameters of the best trial", shown(found.best), "They are the same." if found.best else "No result yet."),
    ]


def _count(sections: list[tuple[str, list[ComparedField], str]]) -> int:
    return sum(len(rows) for _, rows, _ in sections)


def _importances(found: ExperimentComparison) -> list[tuple[str, list[float | None]]]:
    """Return parameters with the share that each has in every search, the most important anywhere first."""
    shares: list[dict[str, Any]] = [{row.parameter: row.share for row in one.importances} for one in found.experiments]
    names = dict.fromkeys(name for of in shares for name in of)
    rows = [(name, [of.get(name) for of in shares]) for name in names]
    return sorted(rows, key=lambda row: -max(share or 0.0 for share in row[1]))
