"""Files that pages offer: always to be kept, never to be shown, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from urllib.parse import quote

from fastapi.responses import StreamingResponse
from starlette.responses import Response

#: Marks routes that answer with a file instead of a page.
FILE: list[str | Enum] = ["file"]


def file(content: Iterable[str | bytes], name: str) -> Response:
    """Return parts of a text, or of bytes, as a file of this name."""
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return StreamingResponse(content, headers=headers, media_type="application/octet-stream")
