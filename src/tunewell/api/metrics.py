"""What the service counts, for Prometheus.

Each process counts for itself, in files of one folder that PROMETHEUS_MULTIPROC_DIR names, so that whichever is asked
tells the sum of all. How many experiments, trials and jobs there are is read from the store when somebody asks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from tunewell.service.types import Figures

REQUESTS = Counter("tunewell_http_requests", "Requests that were answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "tunewell_http_request_seconds",
    "How long answers took; event streams are left out.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0),
)
STREAMS = Gauge("tunewell_event_streams", "Event streams that are open.", multiprocess_mode="livesum")
STORE_ERRORS = Counter("tunewell_store_errors", "How often the database, or the disk, could not be used.")
MODEL_REQUESTS = Counter(
    "tunewell_model_requests",
    "What published models were asked, by what came of it: answered, busy (429), rejected for what was sent, failed.",
    ["outcome"],
)
MODEL_SECONDS = Histogram(
    "tunewell_model_request_seconds",
    "How long answers of published models took, with what they waited.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0),
)
STEP_SECONDS = Histogram(
    "tunewell_controller_step_seconds",
    "How long steps of the controller took, without what they waited for.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
)


def render(figures: Figures) -> bytes:
    """Return the figures of the service and those that all processes have counted, as Prometheus reads them."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        counted = generate_latest(registry)
    else:
        counted = generate_latest(REGISTRY)
    of_service = CollectorRegistry()
    of_service.register(_OfService(figures))
    return generate_latest(of_service) + counted


class _OfService(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give what was read from the store."""
        found = self._figures
        yield _by_state("tunewell_experiments", "Experiments, those in the bin left out.", found.experiments.items())
        yield _by_state("tunewell_trials", "Trials.", found.trials.items())
        yield _by_state("tunewell_jobs", "Jobs.", found.jobs.items())
        yield GaugeMetricFamily("tunewell_running_attempts", "Attempts at trials and jobs that run.", found.running)
        yield GaugeMetricFamily("tunewell_queue_length", "Trials and jobs that wait to be run.", found.waiting)


def _by_state(name: str, what: str, counts: Iterable[tuple[str, int]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=["state"])
    for state, count in counts:
        family.add_metric([str(state)], count)
    return family
