"""The verbs of a server elsewhere, over HTTP."""

from tunewell.client.asynchronous import AsyncClient
from tunewell.client.client import Client

__all__ = ["AsyncClient", "Client"]
