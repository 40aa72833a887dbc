"""The OpenAPI document: what FastAPI knows of the routes, with what only we know.

Fields are described by the `#:` comments above them, where they are defined.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from tunewell.api import problems
from tunewell.api.examples import EXAMPLES
from tunewell.api.visits import COOKIE, PUBLIC, SECURE_COOKIE
from tunewell.service import types
from tunewell.service.types import Changes, Event, LogPart, Page

JsonObject = dict[str, Any]
#: Status → what the document says of that answer.
Answers = dict[int | str, JsonObject]

_DESCRIPTION = """\
Searches for hyperparameters, as a service.

- An experiment is addressed as `OWNER~NAME`, or as `NAME` where it is one's own. Its full name elsewhere is
  `OWNER/NAME`, and `NAME` alone for one of `owner`, the person whose home it is.
- Moments are RFC 3339, durations seconds, sizes bytes.
- Lists answer `{"items": [...], "next": ...}`; `next` is the `cursor` of the page that follows, null on the last one.
- Every command takes an `Idempotency-Key`: sent again with it, nothing more is done, and the answer is the same.
- Requests prove who sends them by a token (`Authorization: Bearer TOKEN`), or by the cookie of a session.
- What can't be done is answered with a problem document (RFC 9457): `application/problem+json`.
"""
_TAGS = {
    "experiments": "Submitting, listing, reading and changing experiments.",
    "steering": "What a search is told while it goes on, and what can be had done before and after it.",
    "trials": "What became of each trial, what it reported, printed and left.",
    "workers": "Trials that are trained elsewhere: asking for them, and telling what comes of them.",
    "results": "The best trials, reports, charts, exports and models.",
    "jobs": "Work on record that is no trial.",
    "before a search": "Checks of data, and trials that were made elsewhere.",
    "catalogue": "Tasks, networks, algorithms and machines.",
    "events": "What changes, as it changes.",
    "uploads": "Files that are sent by parts.",
    "data sets": "Data that the service keeps, or knows where to find.",
    "notifications": "Where a user is told of ends of searches, and what was sent there.",
    "models": "Models that are published: their versions, and what they say of pictures.",
    "code": "Programs that are sent, and what need not be sent again.",
    "upkeep": "What administrators do about the service as a whole.",
    "people": "Who may use the service, their tokens and passwords, and who has changed what.",
    "service": "Whether the service is alive, and its figures.",
}

#: How a request proves who sends it: one of them does.
_SCHEMES: JsonObject = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token: `tunewell tokens add`, `POST /tokens`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": f"The session of a browser that has signed in; over https, the cookie is `{SECURE_COOKIE}`.",
    },
}

# Answers that are no wire type ----------------------------------------------------------------------------

_BYTES: JsonObject = {"schema": {"type": "string"}}
#: One event of a stream.
_SENT: JsonObject = {
    "schema": {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
}
#: The headers of answers that have some of their own.
TAGGED: Answers = {200: {"headers": {"ETag": {"description": "Its revision, in quotes.", **_BYTES}}}}
CREATED: Answers = {201: {"headers": {"Location": {"description": "Where it is.", **_BYTES}}}}
ACCEPTED: Answers = {202: CREATED[201]}
LOG: Answers = {
    200: {
        "description": "All of it, from `offset` on; or a part as JSON.",
        "model": LogPart,
        "content": {"text/plain": {**_BYTES, "example": "epoch 1 accuracy=0.81\n"}},
    },
    206: {"description": "The range that was asked for.", "content": {"text/plain": _BYTES}},
    416: {},
}
FILE: Answers = {200: {"description": "The file.", "content": {"application/octet-stream": _BYTES}}}
PICTURE: Answers = {200: {"description": "The picture.", "content": {"image/jpeg": _BYTES}}}
ARCHIVE: Answers = {200: {"description": "A tar.", "content": {"application/x-tar": _BYTES}}}
EXPORT: Answers = {
    200: {
        "description": "The file.",
        "content": {"application/json": {"schema": {"type": "object"}}, "text/csv": _BYTES},
    }
}
DRAWING: Answers = {
    200: {
        "description": "The chart; or a picture of it, where there is one.",
        "content": {"image/svg+xml": _BYTES},
    }
}
PAGE_OF_HTML: Answers = {200: {"description": "The report.", "content": {"text/html": _BYTES}}}
CHANGES: Answers = {
    200: {
        "description": "Events; or what has changed so far as JSON.",
        "model": Changes,
        "content": {
            "text/event-stream": {
                **_SENT,
                "example": 'id: 812\nevent: experiment\ndata: {"kind":"experiment","name":"ada/signs","id":null,'
                '"version":812}\n\n',
            }
        },
    }
}
EVENTS: Answers = {
    200: {
        "description": "Events; or a page of entries as JSON.",
        "model": Page[Event],
        "content": {
            "text/event-stream": {
                **_SENT,
                "example": 'id: 40\nevent: started\ndata: {"id":40,"time":"2026-03-01T14:05:00.000+00:00",'
                '"kind":"started","trial":3,"attempt":1,"data":{}}\n\n',
            }
        },
    }
}

#: Parameters of an address that are called after the parameters of a search.
WITHIN: JsonObject = {
    "parameters": [
        {
            "name": "in",
            "in": "query",
            "description": "Only trials with such values: `in.NAME=LOW..HIGH`, both ends included, either left out; or "
            "`in.NAME=VALUE,VALUE`. `NAME` is a parameter, `number`, `value`, `start`, `end` (seconds since the epoch)"
            " or `duration` (seconds); a parameter that is called like one of these is `parameter:NAME`. A value with a"
            " comma, or a text that looks like a number, stands in double quotes.",
            "style": "form",
            "explode": True,
            "schema": {
                "type": "object",
                "propertyNames": {"pattern": r"^in\."},
                "additionalProperties": {"type": "string"},
            },
            "example": {"in.learning_rate": "0.001..0.1", "in.optimizer": "sgd,adam", "in.value": "0.9.."},
        }
    ]
}

#: What FastAPI says of every answer, and what there is to say.
_UNTOLD = "Successful Response"
_DONE = {
    200: "What was asked for.",
    201: "It was made.",
    202: "It was asked for, and is on record.",
    204: "It was done.",
}
#: Statuses of problems that any operation can answer with, and those of one that changes something or takes a body.
_ANYWHERE = (400, 401, 403, 404, 413, 422, 429, 500, 503)
_OF_COMMANDS = (409,)
_OF_BODIES = (415,)


def describe(app: FastAPI) -> JsonObject:
    """Return the document of an app's routes."""
    document = get_openapi(title="Tunewell", version=version("tunewell"), description=_DESCRIPTION, routes=app.routes)
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    for kind in (problems.Problem, problems.Part):
        schemas[kind.__name__] = _schema(kind, "serialization")
    for name, model in _models():
        if name in schemas:
            if "properties" not in schemas[name]:  # one that says itself how it is written
                schemas[name] = _schema(model, "validation")
            _explain(schemas[name], model)
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    components["securitySchemes"] = _SCHEMES
    document["security"] = [{name: []} for name in _SCHEMES]
    for path in PUBLIC:
        for operation in document["paths"].get(path, {}).values():
            operation["security"] = []
    used = set()
    for operation, method in _operations(document):
        statuses = _statuses(operation, method)
        used.update(statuses)
        for status, answer in operation["responses"].items():
            if answer.get("description") == _UNTOLD:
                answer["description"] = _DONE[int(status)]
        for status in statuses:
            known = operation["responses"].get(str(status), {})
            if "content" not in known or status == 422:  # which FastAPI takes for its own
                operation["responses"][str(status)] = _reference(status)
    components["responses"] = {f"Problem{status}": _response(status) for status in sorted(used)}
    return document


def _schema(model: type[BaseModel], mode: Literal["serialization", "validation"]) -> JsonObject:
    schema = model.model_json_schema(mode=mode, ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return schema


def _operations(document: JsonObject) -> Iterator[tuple[JsonObject, str]]:
    for item in document["paths"].values():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in item:
                yield item[method], method


def _statuses(operation: JsonObject, method: str) -> list[int]:
    own = [int(status) for status in operation["responses"] if int(status) >= 400]
    commands = _OF_COMMANDS if method != "get" else ()
    bodies = _OF_BODIES if "requestBody" in operation else ()
    return sorted({*_ANYWHERE, *commands, *bodies, *own})


def _reference(status: int) -> JsonObject:
    return {"$ref": f"#/components/responses/Problem{status}"}


def _response(status: int) -> JsonObject:
    schema = {"$ref": "#/components/schemas/Problem"}
    found: JsonObject = {
        "description": problems.title_of(status),
        "content": {problems.MEDIA_TYPE: {"schema": schema, "example": _example(status)}},
    }
    if status in (429, 503):
        found["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return found


def _example(status: int) -> JsonObject:
    if status == 422:
        return dict(EXAMPLES["Problem"])
    kind = re.sub(r"[^a-z]+", "-", problems.title_of(status).lower())
    return problems.plain(status, kind).model_dump(mode="json", exclude_defaults=True)


# What fields mean -----------------------------------------------------------------------------------------


def _models() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, value in (*vars(types).items(), *vars(problems).items()):
        if isinstance(value, type) and issubclass(value, BaseModel):
            yield name, value


def _explain(schema: JsonObject, model: type[BaseModel]) -> None:
    """Give the fields of a schema the descriptions that they have where they are defined."""
    for kind in reversed(model.__mro__):
        if kind is BaseModel or not issubclass(kind, BaseModel) or kind.__module__.startswith("pydantic"):
            continue
        if kind.__pydantic_generic_metadata__["origin"] is not None:  # such as `Page[Trial]`; `Page` follows
            continue
        for field, text in _comments(kind).items():
            known = schema.get("properties", {}).get(field)
            if known is not None:
                known["description"] = text


def _comments(model: type[BaseModel]) -> dict[str, str]:
    """Return the `#:` comments of a class by the fields that they stand above."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in map(str.strip, inspect.getsource(model).splitlines()):
        if line.startswith("#:"):
            comment.append(line.removeprefix("#:").strip())
        elif comment:
            found[line.partition(":")[0]] = " ".join(comment)
            comment = []
    return found
