"""Logs of the service's processes: a line an event on standard error, for people or as JSON.

All parts log by the standard library. What an event is about goes with it as `extra`: experiment, trial, job, attempt;
the number of a request comes from the context. No line has a secret in it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter

from tunewell.server.options import Options
from tunewell.spec.secrets import hide_tokens, hide_values, passwords

#: What may go with an event, beside its text.
FACTS = (
    "experiment",
    "trial",
    "attempt",
    "job",
    "state",
    "cause",
    "method",
    "path",
    "route",
    "status",
    "seconds",
    "client",
    "caller",
)


def configure(options: Options, process: str) -> None:
    """Have this process log; `process` is what it is called in each line."""
    secrets = passwords(options.database or "")

    def name_process(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        del logger, method
        return {**event, "process": process}

    def hide(logger: Any, method: str, line: Any) -> str:
        del logger, method
        return without_secrets(line, secrets)

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        ExtraAdder(allow=FACTS),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_process,
    ]
    if options.log_format == "json":
        rendering: list[structlog.types.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        colors, plain = sys.stderr.isatty(), structlog.dev.plain_traceback
        rendering = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, pad_event_to=0)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared, processors=[ProcessorFormatter.remove_processors_meta, *rendering, hide]
        )
    )
    logging.basicConfig(handlers=[handler], level=options.log_level.upper(), force=True)
    # What others say of their own inner life; the last one is SQLAlchemy's.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", "alembic", "tunewell.store.dialect._Pool"):
        logging.getLogger(name).setLevel(logging.WARNING)


def without_secrets(line: str, secrets: Sequence[str]) -> str:
    """Return a line in which neither one of `secrets` can be read nor what somebody proves themselves by."""
    return hide_tokens(hide_values(line, secrets))
