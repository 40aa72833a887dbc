"""What a notebook shows of a search: small, without colours of its own, so that it suits light and dark pages."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from tunewell.display.wording import best_text, counts_text, failures_text
from tunewell.service.types import Overview, SearchResult
from tunewell.spec.format import duration, number, scalar

#: Most parameters that have a column; others are counted.
_MOST_COLUMNS = 8
_CELL = 'style="text-align: left; padding: 0.1em 1em 0.1em 0"'
_FAINT = 'style="opacity: 0.7"'


def result_html(name: str, result: SearchResult) -> str:
    """Return what a search has brought: its state, and the best trials as a table."""
    head = f"<b>{escape(name)}</b> · {escape(str(result.state))} · {escape(counts_text(result))}"
    lines = [line for line in (result.detail, failures_text(result) if result.failures else "") if line]
    more = "".join(f"<div {_FAINT}>{escape(line)}</div>" for line in lines)
    return f"<div><div>{head}</div>{more}{_best(result)}</div>"


def progress_html(overview: Overview, lines: Iterable[str]) -> str:
    """Return how far a search is: a bar, what is best, how long it takes; below it, lines on what else there is."""
    experiment, result = overview.experiment, overview.result
    done, of = overview.ended_count, experiment.max_trials
    bar = f'<progress max="{of}" value="{min(done, of)}" style="width: 16em"></progress>'
    facts = [f"{done}/{of} trials", counts_text(result), duration(result.elapsed_seconds)]
    if result.state.final:
        facts.append(str(result.state))
    elif overview.remaining_seconds is not None:
        facts.append(f"about {duration(overview.remaining_seconds)} left")
    more = "".join(f"<div {_FAINT}>{escape(line)}</div>" for line in lines)
    return (
        f"<div><div><b>{escape(experiment.name)}</b> · {escape(best_text(result))}</div>"
        f"<div>{bar} {escape(' · '.join(facts))}</div>{more}</div>"
    )


def _best(result: SearchResult) -> str:
    if not result.top:
        return ""
    names = list(dict.fromkeys(name for trial in result.top for name in trial.parameters))
    shown, more = names[:_MOST_COLUMNS], len(names) - _MOST_COLUMNS
    heads = ["trial", result.objective.metric, *shown, *([f"+{more}"] if more > 0 else [])]
    rows = [
        [str(trial.number), number(trial.value)]
        + [scalar(trial.parameters[name]) if name in trial.parameters else "" for name in shown]
        for trial in result.top
    ]
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    table = f"<thead><tr>{_cells('th', heads)}</tr></thead><tbody>{body}</tbody>"
    return f'<div style="overflow-x: auto"><table style="color: inherit">{table}</table></div>'


def _cells(kind: str, texts: Iterable[str]) -> str:
    return "".join(f"<{kind} {_CELL}>{escape(text)}</{kind}>" for text in texts)
