"""New databases for benchmarks, of either kind."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.postgres import DURABLE, running_server

KINDS = ("sqlite", "postgresql")


@contextmanager
def new_databases(kind: str) -> Iterator[Callable[[], str]]:
    """Give what makes an empty database of a kind and returns its URL.

    A PostgreSQL server is a child of this process, so that it is none of what this process measures of its other
    children. It waits for the disk at each durable commit, as SQLite does.
    """
    with ExitStack() as stack:
        if kind == "sqlite":
            folder, numbers = stack.enter_context(tempfile.TemporaryDirectory()), count(1)
            yield lambda: f"sqlite:///{Path(folder) / f'{next(numbers)}.db'}"
        else:
            server = stack.enter_context(running_server(DURABLE))
            yield lambda: stack.enter_context(server.new_database())
