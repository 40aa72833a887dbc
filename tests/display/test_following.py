"""Looking on while a search runs elsewhere."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from tunewell.display.following import wait_for_search
from tunewell.service.types import Page
from tunewell.spec.states import ExperimentState


class Deaf:
    """Verbs on a search that never ends, which swallow a KeyboardInterrupt, as a callback of a library may."""

    def __init__(self) -> None:
        """Nobody has looked yet."""
        self.looks = 0

    def experiment(self, name: str) -> Any:
        """Return the experiment; the first time, Ctrl-C comes meanwhile."""
        self.looks += 1
        if self.looks == 1:
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        return SimpleNamespace(state=ExperimentState.RUNNING)

    def jobs(self, **chosen: Any) -> Page[Any]:
        """Return no jobs."""
        return Page(items=())


@pytest.mark.timeout(30)
def test_ctrl_c_is_never_lost() -> None:
    """Whoever looks on can leave, even if the first word of it went astray; afterwards Ctrl-C is what it was."""
    verbs = Deaf()
    with pytest.raises(KeyboardInterrupt):
        wait_for_search(verbs, "e", goes_on=False)  # type: ignore[arg-type]
    assert verbs.looks == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
