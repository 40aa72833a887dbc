"""One short training of the light detector on photographs of blood cells: what its defaults reach, and how soon.

    ./dev bench blood_cells                                # 2 epochs at 224 px, pretrained backbone
    ./dev bench blood_cells --weights none --epochs 12     # from scratch

Needs the data set bccd (in TUNEWELL_SHARED, or `../shared`, below `datasets`). Prints COCO's AP at an IoU of 0.5, and
averaged over 0.5 to 0.95, on the validation pictures after each epoch, and the seconds of the whole command.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from sign_digits import tunewell


def main() -> None:
    """Train the default configuration once, and print how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="faster-rcnn-lite0")
    parser.add_argument("--weights", default="auto", help="auto, none or a file")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("TUNEWELL_SHARED", root.parent / "shared")) / "datasets" / "bccd"
    if not data.is_dir():
        sys.exit(f"{data}: the data set is not there; set TUNEWELL_SHARED to the folder that holds datasets")
    spec = {
        "name": "cells",
        "task": "object-detection",
        "data": str(data),
        "network": arguments.network,
        "weights": arguments.weights,
        "objective": "map50",
        "seed": arguments.seed,
        "max_trials": 1,
        "parameters": {
            "epochs": arguments.epochs,
            "image_size": arguments.image_size,
            "batch_size": arguments.batch_size,
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cells.yaml"
        file.write_text(json.dumps(spec))
        started = time.monotonic()
        tunewell("search", str(file), "--home", folder, "--json", "--no-details")
        seconds = time.monotonic() - started
        exported = json.loads(tunewell("export", "cells", "--home", folder, "--format", "json"))
    print(f"{'epoch':>5}{'AP50':>8}{'AP':>8}")
    (trial,) = exported["trials"]
    for report in trial["reports"]:
        metrics = report["metrics"]
        print(f"{report['step']:5}{metrics['map50']:8.3f}{metrics['map']:8.3f}")
    print(f"{seconds:.0f} s")


if __name__ == "__main__":
    main()
