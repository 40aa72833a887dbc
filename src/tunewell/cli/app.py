"""The program and its commands."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from tunewell.cli import program

#: Command → the module of this package that has it, and its name there. Groups of commands come last.
COMMANDS: Mapping[str, str] = {
    "demo": "demo.demo",
    "init": "init.init",
    "search": "search.search",
    "check": "search.check",
    "import": "import_.import_",
    "list": "inspect.list_",
    "show": "inspect.show",
    "compare": "compare.compare",
    "logs": "inspect.logs",
    "stop": "inspect.stop",
    "pause": "inspect.pause",
    "resume": "search.resume",
    "retry": "search.retry",
    "set": "steer.set_",
    "add": "steer.add",
    "delete": "steer.delete",
    "restore": "steer.restore",
    "queue": "resources.queue",
    "resources": "resources.resources",
    "usage": "resources.usage",
    "jobs": "inspect.jobs",
    "controller": "search.controller",
    "serve": "serve.serve",
    "worker": "work.worker",
    "login": "login.login",
    "logout": "login.logout",
    "export": "inspect.export",
    "report": "inspect.report",
    "tasks": "inspect.tasks",
    "evaluate": "after.evaluate",
    "repeat": "repeating.repeat",
    "retrain": "after.retrain",
    "predict": "after.predict",
    "export-model": "after.export_model",
    "publish": "models.publish",
    "backup": "upkeep.backup",
    "gc": "upkeep.gc",
    "disk": "upkeep.disk",
    "restore-backup": "upkeep.restore_backup",
    "database": "database.app",
    "datasets": "datasets.app",
    "notify": "notify.app",
    "models": "models.app",
    "users": "users.users",
    "tokens": "users.tokens",
}
_SETTINGS: Mapping[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class _Commands(TyperGroup):
    """The commands, each imported when it is called, or shown in a list: so none waits for what others need."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            self.commands[cmd_name] = _imported(cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in COMMANDS:  # the nearest are told
            for name in COMMANDS:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="tunewell",
    cls=_Commands,
    help="Finds good hyperparameters by itself.",
    no_args_is_help=True,
    **{**_SETTINGS, "add_completion": True},
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and end.", is_eager=True),
) -> None:
    if version:
        from importlib import metadata

        print(f"tunewell {metadata.version('tunewell')}")
        raise typer.Exit


def _imported(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(".")
    found = getattr(import_module(f"tunewell.cli.{module}"), attribute)
    alone = typer.Typer(**_SETTINGS)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
        return typer.main.get_group(alone).commands[name]
    alone.command(name)(found)
    return typer.main.get_command(alone)


def run() -> int:
    """Run the program on the process's arguments; return its exit code."""
    return program.run(app)
