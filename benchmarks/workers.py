"""How `tunewell serve` keeps many workers going: real processes, SQLite, all on one machine.

500 workers in one client process ask for the trials of one search, report three times while they train (they sleep),
and complete them. They begin at different moments of the first training, as machines do. Told is how long answers took
as workers see it (of a suggestion: from the question to the trial, there being no limit on how many run at once), what
was no good answer, and whether any attempt was had twice.

    ./dev bench workers
    ./dev bench workers --workers 100 --seconds 10 --trials 400
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.server.serving import Serving, serving

from tunewell.service.paging import every
from tunewell.service.service import Service

AIM_SECONDS = 0.3
SEARCH = "/api/v1/experiments/owner~e"
SPEC: Mapping[str, Any] = {
    "name": "e",
    "scheduler": "workers",
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}},
    "algorithm": "random",
    "early_stopping": "off",
}


@dataclass
class Seen:
    """What the workers have seen."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    #: Attempt → how often it was had, which must be once.
    had: Counter[tuple[int, int]] = field(default_factory=Counter)
    #: How often a worker was told to wait, and to ask again.
    waits: int = 0


@dataclass
class Worker:
    """Asks for one trial after the other."""

    name: str
    http: httpx2.AsyncClient
    token: str
    seen: Seen
    generator: random.Random
    #: How long a training takes, about.
    train_seconds: float

    async def work(self) -> None:
        """Work until the search has ended."""
        await asyncio.sleep(self.generator.uniform(0.0, self.train_seconds))
        asked = time.perf_counter()
        while True:
            answer = await self.ask("", "/suggestions", {"worker": self.name, "wait": 20}, self.token)
            if answer is None or answer["kind"] == "ended":
                return
            if answer["kind"] == "wait":
                self.seen.waits += 1
                continue
            self.seen.seconds["suggestion"].append(time.perf_counter() - asked)
            await self.train(answer["trial"])
            asked = time.perf_counter()

    async def train(self, trial: Mapping[str, Any]) -> None:
        """Sleep and report, three times, and complete."""
        self.seen.had[trial["number"], trial["attempt"]] += 1
        place, proof = f"/trials/{trial['number']}", trial["credential"]
        pause = self.generator.uniform(0.5, 1.5) * self.train_seconds / 3
        for step in (1, 2, 3):
            await asyncio.sleep(pause)
            report = {"step": step, "metrics": {"loss": trial["parameters"]["x"] / step}}
            await self.ask("report", f"{place}/reports", {"reports": [report]}, proof)
        await self.ask("complete", f"{place}/complete", {"value": trial["parameters"]["x"]}, proof)

    async def ask(self, what: str, path: str, body: Any, proof: str) -> Any:
        """Ask for something, and note how long the answer took."""
        began = time.perf_counter()
        try:
            answer = await self.http.post(SEARCH + path, json=body, headers={"Authorization": f"Bearer {proof}"})
        except httpx2.TransportError as error:
            self.seen.errors[f"{what or 'suggestion'}: {type(error).__name__}"] += 1
            return None
        if what:
            self.seen.seconds[what].append(time.perf_counter() - began)
        if not answer.is_success:
            self.seen.errors[f"{what or 'suggestion'}: {answer.status_code} {answer.text[:200]}"] += 1
            return None
        return answer.json() if answer.content else {}


async def drive(service: Serving, arguments: argparse.Namespace, seen: Seen) -> None:
    """Let all workers work until the search has ended."""
    token = service.token_file.read_text().strip()
    limits = httpx2.Limits(max_connections=arguments.workers + 10, max_keepalive_connections=arguments.workers + 10)
    async with httpx2.AsyncClient(base_url=service.url, timeout=90.0, limits=limits) as http:
        workers = [
            Worker(f"worker {number}", http, token, seen, random.Random(number), arguments.seconds)
            for number in range(arguments.workers)
        ]
        await asyncio.gather(*(worker.work() for worker in workers))


def main() -> int:
    """Run it, and print the figures; 0 if all aims are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=30.0, help="about how long a training takes")
    parser.add_argument("--web-workers", type=int, default=2)
    arguments = parser.parse_args()
    seen, wrong = Seen(), []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        with serving(home, "--workers", str(arguments.web_workers), "--log-level", "warning") as service:
            with Service(home) as opened:
                opened.create({**SPEC, "max_trials": arguments.trials})
            began = time.monotonic()
            asyncio.run(drive(service, arguments, seen))
            seconds = time.monotonic() - began
            with Service(home, access="read") as opened:
                one = opened.experiment("e")
                trials = list(every(lambda cursor: opened.trials("e", cursor=cursor, limit=1000)))
    if one.state.value != "completed" or len(trials) != arguments.trials:
        wrong.append(f"the search is {one.state} with {len(trials)} trials")
    wrong += [f"trial {trial.number} is {trial.state}" for trial in trials if trial.state.value != "succeeded"][:5]
    wrong += [f"{trial.number} has {trial.value}" for trial in trials if trial.value != trial.parameters["x"]][:5]
    wrong += [f"attempt {what} was had {times} times" for what, times in seen.had.items() if times > 1]
    if len(seen.had) != sum(trial.attempts for trial in trials):
        wrong.append(f"{len(seen.had)} attempts were had, {sum(trial.attempts for trial in trials)} are on record")
    wrong += [f"{times} times {error}" for error, times in seen.errors.items()]
    print(f"{arguments.workers} workers, {len(trials)} trials of about {arguments.seconds:g} s, in {seconds:.0f} s")
    print(f"{os.cpu_count()} cores; load of the machine at the end {os.getloadavg()[0]:.1f}")
    for what, taken in seen.seconds.items():
        median, p95 = statistics.median(taken), statistics.quantiles(taken, n=20)[18]
        print(f"{what}: {len(taken)}, median {1000 * median:.0f} ms, p95 {1000 * p95:.0f} ms, most {max(taken):.2f} s")
        if p95 > AIM_SECONDS:
            wrong.append(f"{what}: p95 is {1000 * p95:.0f} ms, the aim {1000 * AIM_SECONDS:.0f}")
    print(
        f"told to wait and ask again: {seen.waits} times; attempts had twice: {sum(n > 1 for n in seen.had.values())}"
    )
    for line in wrong:
        print(f"wrong: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
