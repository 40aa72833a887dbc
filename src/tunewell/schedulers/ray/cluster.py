"""How a Ray cluster is joined and left."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import AuthenticationError

#: How long it may take until something listens at a cluster's address.
REACH_SECONDS = 5.0


def connect(address: str, namespace: str) -> None:
    """Join a cluster; raise ConnectionError with a sentence for people if that can't be done."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():  # Ray itself would wait for minutes, or for ever
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
        except OSError as error:
            raise ConnectionError(f"nothing answers there ({error.strerror or error})") from error
    with _printed() as printed:
        try:
            ray.init(address=address, namespace=namespace, log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, AuthenticationError) as error:
            text = f"{error} {_read(printed)}"
            if isinstance(error, AuthenticationError) or "Unauthenticated" in text or "AuthToken" in text:
                raise ConnectionError(
                    "it does not accept the token: RAY_AUTH_TOKEN, or the file that "
                    "RAY_AUTH_TOKEN_PATH names, must be the one that the cluster was started with"
                ) from error
            raise ConnectionError(" ".join(str(error).split())) from error


def disconnect() -> None:
    """Leave the cluster; what is detached lives on."""
    ray.shutdown()


@contextmanager
def _printed() -> Iterator[int]:
    """Give the descriptor of a file that gets what this process prints meanwhile, Ray's own library included."""
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file.fileno()
        finally:
            os.dup2(before, 2)
            os.close(before)


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 1 << 20, 0).decode("utf-8", "replace")
