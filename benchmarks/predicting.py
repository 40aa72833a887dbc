"""What it costs to ask a published model over HTTP, beside what the model itself takes.

A network with random weights is published (which takes as long as a trained one) and asked about one photograph of
640 x 480: by a program that has it loaded in its own process, and warm over HTTP from a service on this machine, in
turns. Either reads the same JPEG from memory, makes the input of it and runs the network, on one thread of the CPU.

    ./dev bench predicting
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import numpy as np
import psutil
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.service.published import SPEC, add_trial

from tunewell.service.service import Service
from tunewell.tasks.image_classification.model import ModelConfig, build_module, save_model
from tunewell.tasks.image_classification.predict import load_predictor

#: Network → side of its input in pixels.
NETWORKS = {"small-cnn": 32, "efficientnet-lite0": 224, "resnet18": 224, "resnet50": 224}
CLASSES = tuple(f"class {number}" for number in range(10))


def photograph() -> bytes:
    """Return a JPEG of 640 x 480 with as much in it as a photograph has."""
    small = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    image, content = Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC), io.BytesIO()
    image.save(content, "JPEG", quality=90)
    return content.getvalue()


def publish(home: Path) -> dict[str, Path]:
    """Publish a model of each network; return where their files are."""
    found = {}
    with Service(home) as service:
        service.create(SPEC)
        for number, (network, side) in enumerate(NETWORKS.items(), start=1):
            folder = add_trial(service, number, 0.5)
            config = ModelConfig(network, CLASSES, side, (0.5,) * 3, (0.25,) * 3, metrics={"accuracy": 0.5})
            save_model(folder, build_module(network, len(CLASSES)).eval(), config)
            version = service.publish("e", network, trial=number)
            found[network] = service.home.models / version.sha256
    return found


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def computed(service: psutil.Process) -> float:
    """Return the CPU time, in milliseconds, that this process, the service and its models have used so far."""
    used = 1000 * time.process_time()
    for process in (service, *service.children(recursive=True)):
        times = process.cpu_times()
        used += 1000 * (times.user + times.system)
    return used


def compare(network: str, folder: Path, client: httpx2.Client, service: psutil.Process, rounds: int) -> None:
    """Print what each way takes, in CPU time on average and as somebody waits, and the ratios."""
    content, model = photograph(), load_predictor(folder)
    headers = {"Content-Type": "image/jpeg"}

    def ask() -> float:
        answer = client.post(f"/api/v1/models/{network}/predict", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        return 1000 * float(answer.json()["seconds"])

    first = milliseconds(ask)
    for _ in range(5):
        model.predict([content])
        ask()
    alone, asked, within = [], [], []
    used = {"alone": 0.0, "over HTTP": 0.0}
    for _ in range(rounds):
        before = computed(service)
        alone.append(milliseconds(lambda: model.predict([content])))
        between = computed(service)
        asked.append(milliseconds(lambda: within.append(ask())))
        used["alone"] += (between - before) / rounds
        used["over HTTP"] += (computed(service) - between) / rounds
    print(
        f"{network:20} CPU time        alone {used['alone']:6.1f} ms, over HTTP {used['over HTTP']:6.1f} ms, "
        f"ratio {used['over HTTP'] / used['alone']:.2f}"
    )
    # Of a machine with other work, the quickest tenth tells what each costs, and the median what one waits.
    for what, share in (("median", 0.5), ("quickest tenth", 0.1)):
        own, inside, over = (sorted(times)[round(share * (len(times) - 1))] for times in (alone, within, asked))
        print(
            f"{network:20} {what:15} alone {own:6.1f} ms, over HTTP {over:6.1f} ms, ratio {over / own:.2f} "
            f"(in the model {inside:.1f} ms, beside it {over - inside:.1f} ms)",
            flush=True,
        )
    print(f"{network:20} the first answer, which loads it, took {first / 1000:.1f} s", flush=True)


def main() -> None:
    """Compare every network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        home, token = Path(temporary, "home"), Path(temporary, "token")
        folders = publish(home)
        command = [sys.executable, "-m", "tunewell", "serve", "--home", str(home), "--port", "0"]
        service = subprocess.Popen(
            [*command, "--token-file", str(token)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert service.stdout is not None
        try:
            address = next(word for line in service.stdout for word in line.split() if word.startswith("http"))
            proof = {"Authorization": f"Bearer {token.read_text().strip()}"}
            with httpx2.Client(base_url=address, headers=proof, timeout=120.0) as client:
                for network, folder in folders.items():
                    compare(network, folder, client, psutil.Process(service.pid), rounds)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(60)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
