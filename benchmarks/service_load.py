"""How `tunewell serve` answers many users while it runs many searches: real processes, SQLite, all on one machine.

200 searches of quick commands run at once, of one user each of ten; 50 clients ask once a second each, four of five
times for something (lists, an experiment, trials, an overview, a log), else for something to be done (pause, resume,
change, stop a trial, run one again). At the end one long trial gets 10,000 further reports through the API.
Told is how long answers took as clients see it, what was no good answer, and the memory of the service's processes
(PSS: what they share is divided among them).

    ./dev bench service_load
    ./dev bench service_load --searches 40 --trials 400 --workers 2
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.server.serving import Serving, serving

from tunewell.service.service import Service

AIM_READS, AIM_COMMANDS, AIM_MEGABYTES = 0.1, 0.2, 400.0
USERS = 10
#: Reports that are sent after the searches have ended, and how many at once.
REPORTS, BATCH = 10_000, 100
SPEC: Mapping[str, Any] = {
    "command": ["sh", "-c", "echo loss={x}"],
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}},
    "algorithm": "random",
    "max_concurrency": 1,
    "resources": {"cpus": 0.5},
}
#: A trial that runs until it is stopped.
LONG: Mapping[str, Any] = {
    **SPEC,
    "name": "long",
    "command": ["sleep", "100000"],
    "max_trials": 1,
    "resources": {"cpus": 0},
}


@dataclass
class Seen:
    """What the clients have seen."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def of(self, kind: str) -> list[float]:
        """Return how long all reads, or all commands, took."""
        return [one for name, taken in self.seconds.items() for one in taken if name.startswith(kind)]


@dataclass
class Client:
    """One user at work on a few searches."""

    http: httpx2.AsyncClient
    headers: Mapping[str, str]
    names: Sequence[str]
    seen: Seen
    generator: random.Random
    paused: str | None = None

    async def work(self, until: asyncio.Event) -> None:
        """Ask once a second."""
        await asyncio.sleep(self.generator.random())
        while not until.is_set():
            began = time.perf_counter()
            await self.ask(*self.choose())
            await asyncio.sleep(max(0.0, 1.0 - (time.perf_counter() - began)))
        if self.paused is not None:
            await self.ask("command resume", "POST", f"/experiments/{self.paused}/resume", {})

    def choose(self) -> tuple[str, str, str, dict[str, Any]]:
        """Return what to ask for."""
        name, trial = self.generator.choice(self.names), self.generator.randrange(1, 8)
        if self.generator.random() < 0.8:
            reads = {
                "list": "/experiments?limit=50",
                "experiment": f"/experiments/{name}",
                "trials": f"/experiments/{name}/trials?limit=100",
                "overview": f"/experiments/{name}/overview",
                "log": f"/experiments/{name}/trials/{trial}/log",
            }
            which = self.generator.choice([*reads])
            return f"read {which}", "GET", reads[which], {}
        if self.paused is not None:
            name, self.paused = self.paused, None
            return "command resume", "POST", f"/experiments/{name}/resume", {}
        which = self.generator.choice(["pause", "set", "stop", "retry"])
        if which == "pause":
            self.paused = name
            return "command pause", "POST", f"/experiments/{name}/pause", {}
        if which == "set":
            change = {"headers": {"If-Match": "*"}, "json": {"weight": self.generator.randint(1, 3)}}
            return "command set", "PATCH", f"/experiments/{name}", change
        return f"command {which}", "POST", f"/experiments/{name}/trials/{trial}/{which}", {}

    async def ask(self, what: str, method: str, path: str, given: dict[str, Any]) -> None:
        """Ask for something, and note how long the answer took; 409 and 404 say that there is nothing to do."""
        headers = {**self.headers, **given.pop("headers", {})}
        began = time.perf_counter()
        try:
            answer = await self.http.request(method, f"/api/v1{path}", headers=headers, **given)
        except httpx2.HTTPError as error:
            self.seen.errors[f"{what}: {type(error).__name__}"] += 1
            return
        self.seen.seconds[what].append(time.perf_counter() - began)
        self.seen.statuses[f"{what} {answer.status_code}"] += 1
        if answer.is_error and answer.status_code not in (404, 409):
            self.seen.errors[f"{what} {answer.status_code}: {answer.text[:200]}"] += 1


def processes_of(server: Serving) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the service's processes with what they are."""
    launcher = psutil.Process(server.process.pid)
    yield "launcher", launcher
    for child in launcher.children():
        name = next(part for part in ("worker", "controller") if f"tunewell.server.{part}" in child.cmdline())
        yield name, child
        if name == "controller":
            for below in child.children():
                if "tunewell.schedulers.fork_server" in below.cmdline():
                    yield "fork server", below


def memory(server: Serving) -> dict[str, float]:
    """Return the PSS of the service's processes in MB, those of web workers together."""
    found: dict[str, float] = defaultdict(float)
    for name, process in processes_of(server):
        found[name] += process.memory_full_info().pss / 1e6
    return {name: round(megabytes) for name, megabytes in found.items()}


def cpu_seconds(server: Serving) -> dict[str, float]:
    """Return the CPU time that the service's processes have taken."""
    found: dict[str, float] = defaultdict(float)
    for name, process in processes_of(server):
        times = process.cpu_times()
        found[name] += times.user + times.system
    return {name: round(seconds, 1) for name, seconds in found.items()}


def users_of(home: Path) -> dict[str, str]:
    """Make the users; return a token for each."""
    tokens = {}
    with Service(home) as service:
        for number in range(USERS):
            name = f"user{number}"
            service.add_user(name, {"role": "user", "run_code": True})
            tokens[name] = service.create_token("load", owner=name).secret
    return tokens


async def ended_trials(http: httpx2.AsyncClient, headers: Mapping[str, str]) -> tuple[int, int]:
    """Return how many trials have ended, and how many there are in all experiments, from the figures."""
    text = (await http.get("/metrics", headers=headers)).text
    ended = total = 0
    for line in text.splitlines():
        if line.startswith("tunewell_trials{"):
            state, number = line.split('"')[1], int(float(line.split()[-1]))
            total += number
            ended += number if state in ("succeeded", "failed", "stopped", "infeasible") else 0
    return ended, total


async def load(server: Serving, tokens: Mapping[str, str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Run searches and clients; return the figures."""
    seen, told = Seen(), asyncio.Event()
    limits = httpx2.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx2.AsyncClient(base_url=server.url, timeout=30.0, limits=limits) as http:
        headers = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
        names: dict[str, list[str]] = {name: [] for name in tokens}
        await begin_long(http, headers["user0"])
        sizes = [memory(server)]
        for number in range(arguments.searches):
            user = f"user{number % USERS}"
            spec = {**SPEC, "name": f"s{number}", "max_trials": arguments.trials // arguments.searches}
            (await http.post("/api/v1/experiments", json=spec, headers=headers[user])).raise_for_status()
            names[user].append(f"s{number}")
        clients = [
            Client(http, headers[user], names[user], seen, random.Random(f"{arguments.seed} {number}"))
            for number, user in zip(range(arguments.clients), [*tokens] * arguments.clients, strict=False)
        ]
        began, before = time.perf_counter(), cpu_seconds(server)
        tasks = [asyncio.create_task(client.work(told)) for client in clients]
        first = next(iter(headers.values()))
        ended = 0
        while ended < arguments.trials and time.perf_counter() - began < arguments.most_seconds:
            await asyncio.sleep(5.0)
            ended, total = await ended_trials(http, first)
            if len(sizes) == 1 and ended >= arguments.trials / 2:
                sizes.append(memory(server))
            print(f"{time.perf_counter() - began:5.0f} s: {ended} of {total} trials", file=sys.stderr, flush=True)
        seconds, used = time.perf_counter() - began, cpu_seconds(server)
        sizes.append(memory(server))
        reporting = await report(http, headers["user0"], arguments.reports)
        sizes.append(memory(server))
        told.set()
        await asyncio.gather(*tasks)
    reads, commands = seen.of("read"), seen.of("command")
    return {
        "setting": {name: getattr(arguments, name) for name in ("searches", "trials", "clients", "workers")},
        "trials": ended,
        "seconds": round(seconds),
        "trials_a_second": round(ended / seconds, 1),
        "requests_a_second": round((len(reads) + len(commands)) / (time.perf_counter() - began), 1),
        "reads": quantiles(reads),
        "commands": quantiles(commands),
        "each": {name: quantiles(taken) for name, taken in sorted(seen.seconds.items())},
        "statuses": dict(sorted(seen.statuses.items())),
        "errors": dict(seen.errors),
        "reports_sent": arguments.reports,
        "reports_batch_ms": quantiles(reporting),
        "cpu_share": {name: round((used[name] - before.get(name, 0.0)) / seconds, 2) for name in used},
        "megabytes_start_middle_end_after_reports": sizes,
        "load_average": os.getloadavg(),
    }


async def begin_long(http: httpx2.AsyncClient, headers: Mapping[str, str]) -> None:
    """Have the trial run to which reports are sent at the end."""
    (await http.post("/api/v1/experiments", json=LONG, headers=headers)).raise_for_status()
    while True:
        found = await http.get("/api/v1/experiments/long/trials/1", headers=headers)
        if found.status_code == 200 and found.json()["state"] == "running":
            return
        await asyncio.sleep(0.2)


async def report(http: httpx2.AsyncClient, headers: Mapping[str, str], number: int) -> list[float]:
    """Send so many further reports to one trial; return how long each batch took."""
    taken, step = [], 0
    while step < number:
        reports = [{"step": step + one, "metrics": {"loss": 1.0}} for one in range(1, BATCH + 1)]
        began = time.perf_counter()
        path = "/api/v1/experiments/long/trials/1/reports"
        answer = await http.post(path, params={"attempt": 1}, json={"reports": reports}, headers=headers)
        answer.raise_for_status()
        taken.append(time.perf_counter() - began)
        step += BATCH
    while True:  # the controller has read them all
        found = (await http.get("/api/v1/experiments/long/overview", headers=headers)).json()
        if found["latest"].get("1", {}).get("step") == step:
            break
        await asyncio.sleep(0.5)
    (await http.post("/api/v1/experiments/long/stop", headers=headers)).raise_for_status()
    return taken


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum in milliseconds."""
    if len(seconds) < 2:
        return {"number": len(seconds)}
    p95 = statistics.quantiles(seconds, n=20)[-1]
    values = {"p50": statistics.median(seconds), "p95": p95, "max": max(seconds)}
    return {"number": len(seconds), **{name: round(1000 * value, 1) for name, value in values.items()}}


def main() -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--trials", type=int, default=10_000, help="in all searches together")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--reports", type=int, default=REPORTS, help="sent at the end")
    parser.add_argument("--most-seconds", type=float, default=7200.0, help="when to end before all trials have")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, help="a folder to work in, which is kept; default: a temporary one")
    arguments = parser.parse_args()
    if arguments.searches < USERS:
        parser.error(f"each of {USERS} users needs a search")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # trials may live on
        home = (arguments.home or Path(folder)).resolve() / "home"
        home.parent.mkdir(parents=True, exist_ok=True)
        with serving(home, "--workers", str(arguments.workers), "--log-level", "warning") as server:
            figures = asyncio.run(load(server, users_of(home), arguments))
            server.end()
        figures["said"] = server.err.read_text()[-2000:]
    print(json.dumps(figures, indent=1))
    middle = figures["megabytes_start_middle_end_after_reports"][-1]
    good = (
        not figures["errors"]
        and figures["reads"]["p95"] <= 1000 * AIM_READS
        and figures["commands"]["p95"] <= 1000 * AIM_COMMANDS
        and middle["worker"] + middle["controller"] <= AIM_MEGABYTES
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
