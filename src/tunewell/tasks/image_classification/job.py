"""What the jobs of this task share. A job runs in a supervised process of its own, with a folder, like a trial."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tunewell.spec.errors import UserError
from tunewell.tasks.image_classification.cache import decode
from tunewell.tasks.image_classification.data import Manifest, fingerprint
from tunewell.tasks.image_classification.learner import NonFiniteLoss, Pictures
from tunewell.tasks.image_classification.prepared import Prepared
from tunewell.tasks.image_classification.train import configure_torch, load_pictures
from tunewell.trial import fail

#: Pictures that go through a network at a time.
BATCH_SIZE = 64


@contextmanager
def arguments_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what is in `job.json`; end the job with a cause and one sentence if the block fails in a known way."""
    configure_torch()
    try:
        yield json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except UserError as error:
        fail("data_error", str(error))
    except NonFiniteLoss as error:
        fail("non_finite", str(error))
    except torch.cuda.OutOfMemoryError as error:
        fail("gpu_oom", str(error).splitlines()[0])
    except OSError as error:
        if error.filename is None:
            raise
        fail("data_error", f"{error.filename}: it can't be read or written ({error.strerror}).")


def shared_pictures(prepared: Prepared, manifest: Manifest, image_size: int) -> Pictures:
    """Return the decoded pictures of the whole data set; they are decoded anew if the cache was emptied.

    Raises:
        UserError: the data set has changed meanwhile, or the cache can't be written.
    """
    folder = Path(prepared.pixels[image_size])
    if not folder.exists():
        if fingerprint(manifest) != prepared.fingerprint:
            raise UserError(f"{manifest.folder}: the data set has changed since the experiment began. Restore it.")
        decode(manifest, prepared.fingerprint, image_size, folder.parent.parent, lambda what, done, total: None)
    return load_pictures(prepared, manifest, image_size)


def best_device() -> torch.device:
    """Return the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
