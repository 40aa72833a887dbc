"""The document of the API as a page for people: complete in itself, without scripts, with nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse


def answer(document: dict[str, Any], address: str) -> HTMLResponse:
    """Return the page; `address` is that of the document."""
    style = _templates().get_template("docs.css").render()
    page = _templates().get_template("docs.html.j2").render(document=document, address=address, style=style)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return HTMLResponse(page, headers={"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"})


@cache
def _templates() -> Environment:
    found = Environment(loader=PackageLoader("tunewell.api"), autoescape=True, trim_blocks=True)
    found.filters["shown"] = lambda value: value if isinstance(value, str) else json.dumps(value, indent=2)
    found.filters["type"] = _type
    return found


def _type(schema: dict[str, Any]) -> str:
    """Return what people call the type of a schema."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("const") or schema.get("type") or "anything")
