"""What the console costs whoever looks at it, and the service: bytes, CPU time, memory and delays.

A real service serves experiments of 10,000 and 100,000 trials over eight parameters, and runs a search whose only trial
reports twice a second; Chromium looks at them.

    ./dev bench console
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.store.many_trials import fill

from tunewell.service.service import Service

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TABS, STREAMS, USERS = 10, 30, 4
#: Seconds for which tabs are watched, and reports of the trial in a second.
WATCHED, RATE = 60.0, 2.0
#: Reports a step at a time, and notes when.
PROGRAM = """
import sys, time
with open(sys.argv[1], "w", buffering=1) as told:
    for step in range(1, 100_000):
        print(f"step={step} loss={1 + 1 / step}", flush=True)
        print(step, time.time(), file=told)
        time.sleep(1 / float(sys.argv[2]))
"""
#: Notes when the page shows which step, from the moment on at which it is told.
WATCH = """
() => {
  window.seen = [];
  const look = () => {
    const step = Number(document.querySelector(".runs small")?.textContent.match(/step (\\d+)/)?.[1]);
    if (step && step !== window.seen.at(-1)?.[0])
      requestAnimationFrame(() => window.seen.push([step, Date.now() / 1000]));
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}
"""


def main() -> int:
    """Print each figure with its aim; return 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    if CHROMIUM is None:
        print("There is no Chromium. On Debian: apt-get install chromium", file=sys.stderr)
        return 2
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home, told = Path(folder) / "home", Path(folder) / "told"
        tokens = prepare(home, told)
        server = stack.enter_context(serving(home))
        playwright = stack.enter_context(sync_playwright())
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        stack.callback(chromium.close)
        context = signed_in(chromium, server)
        measure_memory(figures, server, tokens)
        measure_page(figures, context, server.url, "e10000")
        measure_answers(figures, context, server)
        measure_tabs(figures, context, server, told)
    return figures.missed


class Figures:
    """What was measured."""

    def __init__(self) -> None:
        """Begin without any."""
        self.missed = 0

    def add(self, what: str, value: float, unit: str, aim: float) -> None:
        """Print a figure beside the most that it should be."""
        self.missed |= value > aim
        print(f"{what:70} {value:8.3g} {unit:6} (aim: ≤ {aim:g})", flush=True)


class Server:
    """A service that runs."""

    def __init__(self, process: subprocess.Popen[str], url: str, link: str) -> None:
        """Take what was started, where it is found, and the link that signs its administrator in."""
        self.url, self.link, self._process = url, link, psutil.Process(process.pid)

    @property
    def family(self) -> list[psutil.Process]:
        """The launcher and its children that answer and control, without what runs trials."""
        children = self._process.children()
        return [self._process, *children]

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has taken."""
        return sum(sum(one.cpu_times()[:2]) for one in self.family)

    def memory(self) -> int:
        """Return how much memory it has, in bytes."""
        return sum(one.memory_info().rss for one in self.family)


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """Run a service over a home."""
    command = [sys.executable, "-m", "tunewell", "serve", "--home", str(home), "--port", "0", "--stop-trials"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        found = None
        while found is None:
            found = re.search(r"(http://127\.0\.0\.1:\d+)/sign-in\?link=\S+", process.stdout.readline())
        try:
            yield Server(process, found[1], found[0])
        finally:
            process.send_signal(signal.SIGTERM)


def prepare(home: Path, told: Path) -> list[str]:
    """Make a home with experiments; return tokens of several users."""
    with Service(home) as service:
        for trials in (10_000, 100_000):
            fill(service.store, f"e{trials}", trials)
        program = home.parent / "report.py"
        program.write_text(PROGRAM)
        service.create(
            {
                "name": "live",
                "command": [sys.executable, str(program), str(told), str(RATE), "{x}"],
                "parameters": {"x": [1, 2]},
                "objective": {"metric": "loss", "goal": "minimize"},
                "max_trials": 1,
            }
        )
        names = [f"user{number}" for number in range(USERS)]
        for name in names:
            service.add_user(name, {"role": "viewer"})
        return [service.create_token("streams", owner=name).secret for name in names]


def signed_in(chromium: Browser, server: Server) -> BrowserContext:
    """Return a browser in which somebody has signed in, with nothing of the console in its cache."""
    first = chromium.new_context()
    page = first.new_page()
    page.goto(server.link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/")
    context = chromium.new_context(
        base_url=server.url, storage_state=first.storage_state(), viewport={"width": 1400, "height": 900}
    )
    first.close()
    return context


def visit(context: BrowserContext, address: str) -> None:
    """Ask for a page as a link on another one does, and show it nowhere."""
    answer = context.request.get(address, headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"})
    assert answer.ok, answer.text()


# A page of 10,000 trials ----------------------------------------------------------------------------------


def measure_page(figures: Figures, context: BrowserContext, url: str, name: str) -> None:
    """Measure the first look at an experiment: what comes over the network, and what the page computes."""
    address = f"{url}/experiments/owner~{name}"
    visit(context, address)  # the service has the trials in memory
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    received = []
    devtools.on("Network.loadingFinished", lambda one: received.append(one["encodedDataLength"]))
    page.goto(address)
    page.locator("#connection", has_text="live").wait_for()
    page.wait_for_timeout(2000)
    metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
    assert page.locator("svg.chart").count() > 5 and page.locator("#trials tbody tr").count() >= 25
    figures.add("10,000 trials: all that is loaded, cold, kB", sum(received) / 1000, "kB", 250)
    figures.add("10,000 trials: CPU time in the page", metrics["TaskDuration"], "CPU-s", 0.6)
    figures.add("10,000 trials: first paint, with table and charts", painted, "s", 1.0)
    page.close()


# A page of 100,000 trials ---------------------------------------------------------------------------------


def measure_answers(figures: Figures, context: BrowserContext, server: Server) -> None:
    """Measure how long the page of 100,000 trials takes a service that has not shown it before, and then."""
    address = f"{server.url}/experiments/owner~e100000"

    def seconds() -> float:
        began = time.perf_counter()
        visit(context, address)
        return time.perf_counter() - began

    figures.add("100,000 trials: the first view of a fresh worker", seconds(), "s", 2.0)
    figures.add(
        "100,000 trials: a view after that (median of 10)", statistics.median(seconds() for _ in range(10)), "s", 0.2
    )


# Many tabs ------------------------------------------------------------------------------------------------


def measure_memory(figures: Figures, server: Server, tokens: list[str]) -> None:
    """Measure how much memory streams take that wait for changes."""
    with ExitStack() as stack:
        stack.enter_context(stream(server.url, tokens[0]))
        before = settled(server.memory)
        for token in tokens:
            for _ in range(STREAMS - 1):
                stack.enter_context(stream(server.url, token))
        grown = settled(server.memory) - before
    figures.add("memory of the service for each stream", grown / (len(tokens) * (STREAMS - 1)) / 2**20, "MiB", 1.0)


@contextmanager
def stream(url: str, token: str) -> Iterator[None]:
    """Follow all changes, and read nothing of them."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname or "", place.port or 0)) as connection:
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n"
        connection.sendall(f"{head}Accept: text/event-stream\r\n\r\n".encode())
        assert b" 200 " in connection.recv(1000)
        yield


def settled(measure: Callable[[], int]) -> int:
    """Return the smallest of some figures a while apart."""
    found = []
    for _ in range(5):
        time.sleep(0.5)
        found.append(measure())
    return min(found)


def measure_tabs(figures: Figures, context: BrowserContext, server: Server, told: Path) -> None:
    """Measure ten tabs of a search that reports, one of which is visible: their CPU time, and how late they are."""
    tabs = [context.new_page() for _ in range(TABS)]
    for tab in tabs[1:]:
        tab.add_init_script("Object.defineProperty(document, 'hidden', { get: () => true })")
    for tab in tabs:
        tab.goto("/experiments/owner~live")
    watched = tabs[0]
    watched.locator("#connection", has_text="live").wait_for()
    watched.locator(".runs small").wait_for()
    watched.wait_for_timeout(5000)
    watched.evaluate(WATCH)
    began, browser, service = time.perf_counter(), browser_cpu_seconds(), server.cpu_seconds()
    watched.wait_for_timeout(1000 * WATCHED)
    passed = time.perf_counter() - began
    figures.add(
        f"{TABS} tabs, one visible: of a core, in the browser", (browser_cpu_seconds() - browser) / passed, "", 0.1
    )
    print(f"{'the same in the service, with the search':70} {(server.cpu_seconds() - service) / passed:8.3g}")
    late = delays(watched, told)
    figures.add(f"from a report to the screen, 95 of 100 (of {len(late)})", late[int(0.95 * len(late))], "s", 1.5)
    print(f"{'the same, median':70} {statistics.median(late):8.3g} s")


def browser_cpu_seconds() -> float:
    """Return the CPU time of all processes of the browser."""
    family = psutil.Process().children(recursive=True)
    return sum(sum(one.cpu_times()[:2]) for one in family if one.name().startswith("chrom"))


def delays(page: Page, told: Path) -> list[float]:
    """Return for each report since the watch began how long it took until the page showed it or a later one."""
    seen: list[tuple[int, float]] = page.evaluate("window.seen")
    made: dict[int, float] = {}
    for line in told.read_text().splitlines():
        number, moment = line.split()
        made[int(number)] = float(moment)
    found = []
    for step in range(int(seen[0][0]) + 1, int(seen[-1][0]) + 1):
        found.append(next(when for shown, when in seen if shown >= step) - made[step])
    return sorted(found)


if __name__ == "__main__":
    sys.exit(main())
