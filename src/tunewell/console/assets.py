"""Style sheets, scripts and pictures: under an address with a checksum of them all, kept by browsers for good.

Modules import each other by plain names, so they lie in one folder; that is what the checksum is for.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response

from tunewell.console.policy import POLICY

router = APIRouter()

_KINDS = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and packed."""

    body: bytes
    packed: bytes
    media_type: str


@cache
def all_assets() -> dict[str, Asset]:
    """Return the files by name."""
    found = {}
    own = [file for file in (files("tunewell.console") / "static").iterdir() if file.is_file()]
    for file in sorted([*own, files("tunewell.reports.charts") / "charts.css"], key=lambda file: file.name):
        kind = file.name.rpartition(".")[2]
        if kind in _KINDS:
            body = file.read_bytes()
            found[file.name] = Asset(body, gzip.compress(body, 9, mtime=0), _KINDS[kind])
    return found


@cache
def build() -> str:
    """Return the checksum of all files."""
    digest = hashlib.sha256()
    for name, asset in all_assets().items():
        digest.update(name.encode() + asset.body)
    return digest.hexdigest()[:12]


@router.get("/static/{build}/{name}")
async def asset(request: Request, build: str, name: str) -> Response:
    """Return a file."""
    found = all_assets().get(name)
    if found is None:
        raise HTTPException(404)
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=found.media_type)
    return Response(found.body, headers=headers, media_type=found.media_type)
