"""Commands that tell what there is for trials, who uses it, and who waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    ServerOption,
    existing,
    print_json,
    terminal,
)
from tunewell.display.machines import away_text, custom_texts, gpus_text, labels_of
from tunewell.service.paging import every
from tunewell.service.types import Gpu, Node, Used, UserUsage
from tunewell.spec.errors import count
from tunewell.spec.format import NOTHING, moment, number, size
from tunewell.spec.quota import WORDS, amount, used_amount


def resources(
    home: HomeOption = HOME, database: DatabaseOption = None, server: ServerOption = None, json_: JsonOption = False
) -> None:
    """Show what there is for trials, and what runs."""
    with existing(home, database, server) as service:
        found = service.resources()
    if json_:
        print_json(found.to_json())
        return
    console = terminal()
    for node in found.nodes:
        console.print(Text(node.called or node.name, style="bold") + Text(f"  {_free(node)}"))
        for line in _of_cluster(node) if node.cluster else map(partial(_gpu, node), node.gpus):
            console.print(Text(f"  {line}"))
        _print_used(node.used)
    if found.cluster is not None and found.cluster.away_since is not None:
        since = moment(found.cluster.away_since.timestamp())
        told = f"{away_text(found.cluster)} Noticed {since}; searches for it wait, and go on by themselves."
        console.print(Text(told, style="yellow"))
    for host, there in found.elsewhere.items():
        console.print(Text(host or "with workers, or about to be started", style="bold"))
        _print_used(there)


def _free(node: Node) -> str:
    cores = f"{number(node.free_cpus)} of {count(node.cpus, 'core')} free"
    memory = f"{size(max(0, node.free_memory_bytes))} of {size(node.memory_bytes)} of memory not reserved"
    return f"{cores}, {memory}" + ("" if node.gpus else ", no GPU")


def _gpu(node: Node, gpu: Gpu) -> str:
    name = f"  {gpu.name}" if gpu.name else ""
    memory = f", {size(gpu.memory_bytes)}" if gpu.memory_bytes is not None else ""
    return f"GPU {gpu.device}{name}{memory}: {'free' if gpu.device in node.free_devices else 'in use'}"


def _of_cluster(node: Node) -> Iterator[str]:
    """Yield what else than cores and memory a node of a cluster has."""
    if node.gpus:
        yield f"GPUs: {gpus_text(node)}"
    for name, told in custom_texts(node).items():
        yield f"{name}: {told}"
    if labels := labels_of(node):
        yield f"labels: {', '.join(f'{name}: {value}' for name, value in labels.items())}"


def _print_used(found: tuple[Used, ...]) -> None:
    if not found:
        terminal().print(Text("  Nothing runs.", style="dim"))
        return
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for title in ("what", "owner", "since", "cores", "GPUs"):
        table.add_column(title, overflow="fold", justify="right" if title == "cores" else "left")
    for one in found:
        gpus = ", ".join(one.devices) or (number(one.gpus) if one.gpus else "")
        since = moment(one.since.timestamp()) if one.since is not None else NOTHING
        table.add_row(Text(_called(one)), one.owner or NOTHING, since, number(one.cpus), gpus)
    terminal().print(table)


def _called(one: Used) -> str:
    if one.owner is None:
        return "another user's"
    return " ".join(
        part
        for part in (one.experiment, f"trial {one.trial}" if one.trial else "", f"job {one.job}" if one.job else "")
        if part
    )


def queue(
    home: HomeOption = HOME, database: DatabaseOption = None, server: ServerOption = None, json_: JsonOption = False
) -> None:
    """List what waits, whose turn comes first, and why it waits."""
    with existing(home, database, server) as service:
        known = service.queue()
    if json_:
        print_json(known.to_json())
        return
    if not known.entries:
        print("Nothing waits.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("place", "what", "owner", "running", "reason"):
        right = title in ("place", "running")
        table.add_column(title, no_wrap=right, overflow="fold", justify="right" if right else "left")
    for one in known.entries:
        what = (
            str(one.experiment or "") if one.job is None else " ".join(filter(None, (f"job {one.job}", one.experiment)))
        )
        table.add_row(
            str(one.place or ""), Text(what), one.owner, str(one.running or ""), Text(one.waits_for.detail)
        )  # fmt: skip
    terminal().print(table)


def usage(
    month: Annotated[str | None, typer.Option("--month", help="Such as 2026-03 (UTC); default: this one.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what users have used in a month, and may have."""
    with existing(home, database, server, "write") as service:
        found = list(every(lambda cursor: service.usage(month=month, cursor=cursor)))
    if json_:
        print_json({"usage": [one.to_json() for one in found]})
        return
    names = [name for name in WORDS if any(name in one.used for one in found)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("user", overflow="fold")
    for name in names:
        table.add_column(WORDS[name], justify="right")
    for one in found:
        table.add_row(one.user, *(_of_quota(name, one) for name in names))
    console = terminal()
    console.print(table)
    may_have = "; behind a stroke what the user may have" if any(one.quota for one in found) else ""
    console.print(Text(f"In {found[0].month} (UTC){may_have}.", style="dim"))


def _of_quota(name: str, one: UserUsage) -> str:
    told = used_amount(name, one.used[name])
    return f"{told} / {amount(name, one.quota[name])}" if name in one.quota else told
