"""Measures a training in this process: `python -m tunewell.service.measuring_process FOLDER SECONDS`.

It claims what a trial would of the machine, as long as it lives, and sees no other GPU. Its standard input is a leash:
when that ends, whoever wanted to know is gone, and the process goes, with its folder. It ends after SECONDS.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path

from tunewell.schedulers import hardware, processes
from tunewell.schedulers.claims import Claims, devices, fitting
from tunewell.spec.launch import Resources
from tunewell.trial.files import FAILURE, read_json, write_json

#: File in the folder: `{"entry": …, "resources": …, "claims": the file of claims, or null}`.
ORDER = "order.json"


def main(folder: Path, seconds: float) -> None:
    """Call the entry that the order names, once there is room for it on the machine."""
    signal.setitimer(signal.ITIMER_REAL, seconds)  # what it sends ends a process, whatever that does
    threading.Thread(target=_end_with_leash, args=[folder], daemon=True).start()
    processes.offer_to_oom_killer()
    processes.give_way()
    order = read_json(folder / ORDER)
    assert order is not None
    claims = Claims(Path(order["claims"]) if order["claims"] is not None else None)
    problem = _claim(claims, folder, Resources.from_json(order["resources"]))
    if problem:
        write_json(folder / FAILURE, {"cause": "refused", "detail": problem})
        return
    module, _, name = order["entry"].partition(":")
    getattr(import_module(module), name)(folder)


def _claim(claims: Claims, folder: Path, resources: Resources) -> str:
    """Claim what a trial would, which is given up with this process, and hide all other GPUs; return why not."""
    (node,) = hardware.machine().nodes
    try:
        claim = claims.take(lambda held: fitting(node, held, folder, resources))
    except OSError:
        return "the disk is full"
    if claim is None:
        return "the machine is busy"
    os.environ["CUDA_VISIBLE_DEVICES"] = devices(node, claim.gpus)
    return ""


def _end_with_leash(folder: Path) -> None:
    """Wait for the end of the process that started this one; leave nothing then."""
    while os.read(0, 1):
        pass
    while folder.exists():  # the other threads may still be writing there
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
