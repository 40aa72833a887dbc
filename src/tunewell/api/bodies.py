"""Bodies of requests that are no JSON of ours: a spec, changes to one, a part of a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tunewell.api.lanes import run_lengthy
from tunewell.api.problems import Refusal
from tunewell.service.models.asking import LARGEST_REQUEST
from tunewell.service.types import Picture
from tunewell.spec.errors import ArgumentError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.files import LARGEST_FILE, parse_spec

#: How much of a file is held before it is written.
PIECE_BYTES = 4 << 20

_JSON = ("application/json",)
_FORM, _BINARY = "multipart/form-data", "application/octet-stream"
#: Bytes of a body with pictures, which a form makes a little longer; and parts that a form may have.
PICTURES_BYTES, _MOST_PARTS = LARGEST_REQUEST + (1 << 18), 1000
_YAML = ("application/yaml", "application/x-yaml", "text/yaml")


async def _content(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LARGEST_FILE:
            raise Refusal(413, f"the body is larger than {LARGEST_FILE} bytes", kind="too-large", field="body")
    return bytes(content)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", _JSON[0]).partition(";")[0].strip().lower()


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(400, "the body is no text in UTF-8", kind="no-text", field="body") from None


async def _spec(request: Request, content: Annotated[bytes, Depends(_content)]) -> dict[str, Any]:
    media_type = _media_type(request)
    if media_type not in (*_JSON, *_YAML):
        raise Refusal(
            415,
            f"'{media_type}' is not understood",
            kind="unknown-media-type",
            field="Content-Type",
            remedy=f"Send {_JSON[0]} or {_YAML[0]}",
        )
    form: Literal["json", "yaml"] = "json" if media_type in _JSON else "yaml"
    return await run_lengthy(request, partial(parse_spec, _text(content), form, "body"))


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """Yield a body in pieces of a size that is worth to be written; if it breaks off, first what has come."""
    held, broken = bytearray(), None
    try:
        async for piece in request.stream():
            held += piece
            if len(held) >= PIECE_BYTES:
                yield bytes(held)
                held.clear()
    except (ClientDisconnect, HTTPException) as error:
        broken = error
    if held:
        yield bytes(held)
    if broken is not None:
        raise broken


async def pictures_of(request: Request) -> list[Picture]:
    """Return the pictures of a body: the files of a form, or one picture as it is."""
    media_type = _media_type(request)
    if media_type == _FORM:
        async with request.form(max_files=_MOST_PARTS, max_fields=_MOST_PARTS) as form:
            return [await _picture(field, value) for field, value in form.multi_items()]
    if media_type.startswith("image/") or media_type == _BINARY:
        content = await request.body()
        return [Picture(name="picture", content=content)] if content else []
    raise Refusal(
        415,
        f"'{media_type}' is not understood",
        kind="unknown-media-type",
        field="Content-Type",
        remedy=f"Send files as {_FORM}, or one picture as image/jpeg, image/png, … or {_BINARY}",
    )


async def _picture(field: str, value: UploadFile | str) -> Picture:
    if isinstance(value, str):
        raise ArgumentError(field, "it is a text, and no file", "Send pictures as files, each with its name")
    return Picture(name=value.filename or field, content=await value.read())


#: A spec as JSON, or as YAML where the media type says so.
Spec = Annotated[dict[str, Any], Depends(_spec)]

_OBJECT = {"type": "object", "additionalProperties": True}
#: Each field takes the short forms of spec files, too: their names and meanings are told, not their types.
_SPEC = {
    **_OBJECT,
    "properties": {name: {"description": field.description} for name, field in ExperimentSpec.model_fields.items()},
}
_EXAMPLE = {
    "name": "signs",
    "task": "image-classification",
    "data": "dataset:sign-digits",
    "network": "efficientnet-lite0",
    "objective": {"metric": "accuracy", "goal": "maximize", "target": 0.95},
    "max_trials": 20,
}
_EXAMPLE_YAML = """\
name: curve
command: [python, train.py, "{learning_rate}"]
objective: {metric: f1, goal: maximize}
parameters:
  learning_rate: {low: 1e-5, high: 1e-1, log: true}
max_trials: 20
"""
#: What the document of the API says about a body with a spec, with changes, with a part of a file.
SPEC_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The spec, as a spec file has it.",
        "content": {
            _JSON[0]: {"schema": _SPEC, "example": _EXAMPLE},
            _YAML[0]: {"schema": _SPEC, "example": _EXAMPLE_YAML},
        },
    }
}
CHANGES_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Field → new value; a dotted name for a part of one.",
        "content": {_JSON[0]: {"schema": _OBJECT, "example": {"max_trials": 40, "objective.target": 0.97}}},
    }
}
PICTURES_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "Pictures as the files of a form, or one as it is.",
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "properties": {"pictures": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            _BINARY: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
PART_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "The bytes of the part, as they are.",
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
