"""The verbs of a server elsewhere, over HTTP."""

from tunewell.client.asynchronous import AsyncClient
from tunewell.client.client import Client
from tunewell.service.types import Picture

__all__ = ["AsyncClient", "Client", "Picture"]
