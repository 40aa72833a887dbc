"""How a search is shown that a program runs or follows: as lines, as a bar in a notebook, or not at all."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

from tunewell.display.lines import ProgressLines, note_line
from tunewell.python_api.html import progress_html
from tunewell.service.runs import Situation
from tunewell.service.types import Overview
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import DataError
from tunewell.spec.states import TrialState

log = logging.getLogger("tunewell")

#: Least time between two looks at a search that a notebook shows.
UPDATE_SECONDS = 0.5


class Progress(Protocol):
    """What shows a search."""

    def update(self, run: Situation) -> None:
        """Show how it stands, after each step."""

    def tell(self, sentence: str) -> None:
        """Show a sentence."""

    def conclude(self) -> None:
        """Show how it ended."""


def progress_of(verbs: Verbs, name: str, wanted: bool) -> Progress:
    """Return what shows a search here; `wanted`: whether anything is to be seen unless something is wrong."""
    if not wanted:
        return Warnings()
    return NotebookProgress(verbs, name) if is_notebook() else ProgressLines(verbs, name)


class Warnings:
    """Logs what keeps a search waiting that shows nothing."""

    def __init__(self) -> None:
        """Begin without a problem."""
        self._problem = ""

    def update(self, run: Situation) -> None:
        """Log what is new."""
        if run.problem and run.problem != self._problem:
            log.warning("waiting: %s", run.problem)
        self._problem = run.problem

    def tell(self, sentence: str) -> None:
        """Do nothing."""

    def conclude(self) -> None:
        """Do nothing."""


def is_notebook() -> bool:
    """Whether this is a notebook, which shows HTML: IPython is there, with a kernel."""
    ipython = sys.modules.get("IPython")  # who has not imported it runs none
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookProgress:
    """A bar in the output of a cell, which changes in its place. It needs IPython alone, and no widgets."""

    def __init__(self, verbs: Verbs, name: str) -> None:
        """Show experiment `name` from now on."""
        self._verbs, self._name = verbs, name
        self._told: list[str] = []
        self._last = float("-inf")
        self._cell: Any = None
        self._show(Situation("", False))

    def update(self, run: Situation) -> None:
        """Show the present state, if the last look is long enough ago. For `Service.run(on_step=…)`."""
        if time.monotonic() - self._last >= UPDATE_SECONDS:
            with suppress(DataError):  # what can't be read now is read later
                self._show(run)

    def tell(self, sentence: str) -> None:
        """Show a sentence below the bar from the next look on. For `Service.run(tell=…)`."""
        self._told.append(sentence)

    def conclude(self) -> None:
        """Show how the search ended."""
        self._show(Situation("", False))

    def _show(self, run: Situation) -> None:
        self._last = time.monotonic()
        overview = self._verbs.overview(self._name, recent=5)
        shown = _Html(progress_html(overview, [*self._told, *_lines(overview, run)]))
        if self._cell is None:
            self._cell = _display()(shown, display_id=True)
        else:
            self._cell.update(shown)


class _Html:
    """HTML for a notebook."""

    def __init__(self, html: str) -> None:
        self._html = html

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return "<search>"


def _display() -> Callable[..., Any]:
    """Return IPython's `display`, which this is called in a notebook for: nobody else needs it."""
    found: Callable[..., Any] = import_module("IPython.display").display
    return found


def _lines(overview: Overview, run: Situation) -> list[str]:
    result = overview.result
    lines = [note_line(note) for note in result.notes]
    failed = next((trial for trial in overview.ended if trial.state is TrialState.FAILED), None)
    if failed is not None:
        lines.append(f"trial {failed.number} failed ({failed.cause}): {failed.detail}")
    if result.state.final:
        return [*lines, result.detail, *(f"Advice: {advice.detail}" for advice in result.advice)]
    if run.problem:
        lines.append(f"waiting: {run.problem}")
    return [*lines, run.doing] if run.doing else lines
