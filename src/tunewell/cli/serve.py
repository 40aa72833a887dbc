"""`tunewell serve`. What it imports is waited for before the service is ready."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    HomeOption,
    MailFromOption,
    RayOption,
    SmtpOption,
    SmtpPasswordFileOption,
)
from tunewell.server.launcher import Launcher
from tunewell.server.options import LogFormat, LogLevel, Options


def serve(
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0: one that is free.")] = 8700,
    workers: Annotated[int, typer.Option("--workers", help="Processes that answer requests.")] = 1,
    root_path: Annotated[
        str, typer.Option("--root-path", help="Path below which a reverse proxy shows the service, as in /tunewell.")
    ] = "",
    url: Annotated[
        str,
        typer.Option("--url", help="Where people find it, for links; its name is allowed, its path is the root path."),
    ] = "",
    allowed_host: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", metavar="NAME", help="A name by which browsers address it; more than once."),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option("--trusted-proxy", metavar="ADDRESS", help="A reverse proxy that tells who asks; more than once."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="Write a token for programs there (mode 0600).")
    ] = None,
    stop_trials: Annotated[
        bool, typer.Option("--stop-trials", help="At the end, let trials end, too; they go on at the next start.")
    ] = False,
    trial_user: Annotated[
        str | None,
        typer.Option("--trial-user", metavar="NAME", help="As root: run users' own code as this user of the system."),
    ] = None,
    allow_functions: Annotated[
        bool,
        typer.Option("--allow-functions", help="Let users who may run code send Python functions (tunewell.search)."),
    ] = False,
    smtp: SmtpOption = "",
    mail_from: MailFromOption = "",
    smtp_password_file: SmtpPasswordFileOption = None,
    ray: RayOption = None,
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="Logs on standard error.")] = "text",
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="The lowest level that is logged.")] = "info",
) -> None:
    """Serve searches to a team, over REST, until Ctrl-C.

    Running trials live on then, and the next start takes them over.
    """
    options = Options(
        home=home,
        database=database,
        host=host,
        port=port,
        workers=workers,
        root_path=root_path,
        url=url,
        allowed_hosts=tuple(allowed_host or ()),
        trusted_proxies=tuple(trusted_proxy or ()),
        token_file=token_file,
        stop_trials=stop_trials,
        trial_user=trial_user,
        allow_functions=allow_functions,
        smtp=smtp,
        mail_from=mail_from,
        smtp_password_file=smtp_password_file,
        ray=ray,
        log_format=log_format,
        log_level=log_level,
    )
    Launcher(options, _say, _log(options)).run()


def _say(line: str) -> None:
    """Tell people something once, on standard output."""
    print(line, flush=True)


def _log(options: Options) -> Callable[[], Callable[[str], None]]:
    """Return what gives the log, which is not made before it is needed."""

    def log() -> Callable[[str], None]:
        from tunewell.server import logs

        logger = logging.getLogger("tunewell.server.launcher")
        if not logger.hasHandlers():
            logs.configure(options, "launcher")
        return logger.warning

    return log
