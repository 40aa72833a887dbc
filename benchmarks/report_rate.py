"""How many reports a second a running attempt can send over the network and have on the disk when they are answered.

Several threads send batches to `add_reports`, each for a trial of its own, in a process that is killed without warning
in the midst of it. Whatever had been answered by then must be in the attempts' folders.

With `--http` they are sent to `tunewell serve`, for trials that it runs, and one of its processes is killed at the end.

    ./dev bench report_rate --senders 4 --batch 100 --seconds 10
    ./dev bench report_rate --http worker        # or controller, launcher
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.server.serving import Serving, serving, wait_until

from tunewell.schedulers.records import make_folder
from tunewell.schedulers.report_reader import ReportReader
from tunewell.service.service import Service
from tunewell.service.types import GivenReport
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import TrialState

SPEC = {
    "name": "e",
    "command": ["true"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "algorithm": "random",
}


def arrange(home: Path, trials: int) -> None:
    """Record running trials, whose folders are there."""
    with Service(home) as service:
        service.create(SPEC)
        with service.store.transaction() as tx:
            for number in range(1, trials + 1):
                tx.add_trial("e", number, {"x": number / 1000}, "random", 1.0, None)
                tx.start_attempt(AttemptKey("e", number, 1), f"{number:032d}")
        service.home.claim("e")
        for number in range(1, trials + 1):
            make_folder(service.home.place(AttemptKey("e", number, 1)), f"{number:032d}")


def send(home: Path, trials: int, batch: int) -> None:
    """Send without end; print trial and last step of each batch that was answered."""
    with Service(home) as service:

        def sender(number: int) -> None:
            step = 0
            while True:
                steps = range(step + 1, step + batch + 1)
                service.add_reports("e", number, 1, [GivenReport(step=n, metrics={"accuracy": 0.5}) for n in steps])
                step += batch
                os.write(1, f"{number} {step}\n".encode())

        threads = [threading.Thread(target=sender, args=(number,)) for number in range(1, trials + 1)]
        for thread in threads:
            thread.start()
        threads[0].join()


def send_over_http(home: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Send to a service for a while, and kill one of its processes; return the figures."""
    spec = {**SPEC, "command": ["sleep", "100000"], "max_trials": arguments.senders}
    spec |= {"max_concurrency": arguments.senders, "resources": {"cpus": 0}}
    with serving(home, "--log-level", "warning") as server:
        with Service(home) as service:
            token = service.create_token("rate").secret
            service.create(spec)
            wait_until(lambda: len(service.trials("e", states=[TrialState.RUNNING]).items) == arguments.senders)
        answered, over = dict.fromkeys(range(1, arguments.senders + 1), 0), threading.Event()

        def sender(number: int) -> None:
            path = f"/api/v1/experiments/e/trials/{number}/reports"
            headers = {"Authorization": f"Bearer {token}"}
            with httpx2.Client(base_url=server.url, headers=headers, timeout=60.0) as http:
                while not over.is_set():
                    first = answered[number] + 1
                    reports = [{"step": n, "metrics": {"accuracy": 0.5}} for n in range(first, first + arguments.batch)]
                    try:
                        answer = http.post(path, params={"attempt": 1}, json={"reports": reports})
                    except httpx2.TransportError:
                        return  # it was killed
                    assert answer.status_code == 201, answer.text
                    answered[number] += arguments.batch

        threads = [threading.Thread(target=sender, args=(number,)) for number in answered]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        time.sleep(arguments.seconds)
        total, seconds = sum(answered.values()), time.monotonic() - begun
        kill(server, arguments.http)
        over.set()
        for thread in threads:
            thread.join()
        kept = kept_reports(home, [*answered])
    with Service(home) as service:  # its trials live on
        service.stop("e")
        service.run("e")
    lost = sum(max(0, step - kept[number]) for number, step in answered.items())
    return {"killed": arguments.http, "reports_a_second": round(total / seconds), "answered": total, "lost": lost}


def kill(server: Serving, victim: str) -> None:
    """Kill a process of the service."""
    process = psutil.Process(server.process.pid) if victim == "launcher" else server.child(victim)
    assert process is not None
    process.kill()


def kept_reports(home: Path, trials: list[int]) -> dict[int, int]:
    """Return the last step that lies in the folder of each trial's attempt."""
    kept = {}
    with Service(home, access="read") as service:
        for number in trials:
            reader = ReportReader(service.home.place(AttemptKey("e", number, 1)), "accuracy")
            kept[number] = max((report.step for report in reader.read_rest()), default=0)
    return kept


def main() -> None:
    """Arrange, send, kill, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--home", type=Path, help="sends only: the home")
    parser.add_argument("--http", choices=("worker", "controller", "launcher"), help="to a service; what is killed")
    arguments = parser.parse_args()
    if arguments.home is not None:
        send(arguments.home, arguments.senders, arguments.batch)
        return
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        home = Path(folder).resolve() / "home"
        if arguments.http is not None:
            figures = send_over_http(home, arguments)
            print(json.dumps({"senders": arguments.senders, "batch": arguments.batch, **figures}))
            raise SystemExit(figures["lost"] > 0)
        arrange(home, arguments.senders)
        options = ["--senders", str(arguments.senders), "--batch", str(arguments.batch), "--home", str(home)]
        with subprocess.Popen([sys.executable, __file__, *options], stdout=subprocess.PIPE) as sending:
            assert sending.stdout is not None
            first = sending.stdout.readline()
            begun = time.monotonic()
            time.sleep(arguments.seconds)
            sending.send_signal(signal.SIGKILL)
            answered = dict(tuple(map(int, line.split())) for line in [first, *sending.stdout])
            seconds = time.monotonic() - begun
        kept = kept_reports(home, [*answered])
        lost = sum(max(0, step - kept[number]) for number, step in answered.items())
        figures = {
            "senders": arguments.senders,
            "batch": arguments.batch,
            "reports_a_second": round((sum(answered.values()) - arguments.batch) / seconds),
            "answered": sum(answered.values()),
            "lost": lost,
        }
        print(json.dumps(figures))
        raise SystemExit(lost > 0)


if __name__ == "__main__":
    main()
