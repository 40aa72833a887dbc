"""How a published model is used from elsewhere, to be copied."""

from __future__ import annotations

from dataclasses import dataclass

from tunewell.api.settings import BASE
from tunewell.spec.names import in_address


@dataclass(frozen=True, slots=True)
class Use:
    """One way to ask a model."""

    title: str
    text: str


def uses_of(server: str, model: str) -> tuple[Use, ...]:
    """Return how the current version of a model, by its full name, is asked on the server at an address."""
    curl = (
        'curl --fail --header "Authorization: Bearer $TUNEWELL_TOKEN" \\\n'
        f"    --form pictures=@picture.jpg \\\n    {server}{BASE}/models/{in_address(model)}/predict"
    )
    program = f"""\
from pathlib import Path
from tunewell.client import Client, Picture

with Client("{server}") as client:  # with the token of `tunewell login`
    picture = Picture(name="picture.jpg", content=Path("picture.jpg").read_bytes())
    print(client.predict_now("{in_address(model)}", [picture]).predictions)"""
    command = f"tunewell predict model:{in_address(model)} picture.jpg --server {server}"
    return Use("curl", curl), Use("Python", program), Use("Command line", command)
