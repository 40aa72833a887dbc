"""How pages are answered: as whole documents, or, to a page that is shown already, as the parts of it that are new.

A page consists of a frame and of parts. Each part has a checksum of its markup; a script sends those that it has
(`X-Have`) with a GET of the same address, and gets the others. So a page is made in one way only, whoever asks.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunewell.api.problems import Problem
from tunewell.console import assets, words
from tunewell.console.policy import POLICY
from tunewell.service.verbs import NOTHING
from tunewell.spec import format
from tunewell.spec.errors import count

#: Marks routes that answer with a file instead of a page.
FILE: list[str | Enum] = ["file"]

#: Answers below this size, in bytes, are not worth packing.
_SMALL = 800
_HAVE = "x-have"
#: Beginning of an address → where all things of its kind are listed, and what that list is called.
_LISTS = {
    "experiments": ("/", "All experiments"),
    "models": ("/models", "All models"),
    "datasets": ("/datasets", "All data sets"),
    "settings": ("/settings", "All settings"),
}
#: How long ago something was, in words, which scripts keep true by themselves: no reason to send a part again.
_PASSING = re.compile(r"(<time [^>]*>)[^<]*")


@dataclass(frozen=True, slots=True)
class Page:
    """A page to be shown."""

    #: Template of the frame.
    template: str
    title: str
    #: Names of the parts, each a template in `parts/`; the frame places them by `part("NAME")`.
    parts: tuple[str, ...] = ()
    #: What the templates are given.
    context: Mapping[str, Any] = field(default_factory=dict)
    #: What a change of makes the page look again: full names of experiments, `job:ID`, `model:NAME`, `jobs`, `models`.
    follows: tuple[str, ...] = ()
    status: int = 200


def rendered(request: Request, template: str, context: Mapping[str, Any]) -> str:
    """Return the markup of a template that is no page, for a script to place."""
    return _environment().get_template(template).render({**_known(request), **context})


def _known(request: Request) -> dict[str, Any]:
    """Return what every template knows."""
    return {"request": request, "root": root(request), "caller": getattr(request.state, "caller", None)}


def show(request: Request, page: Page) -> Response:
    """Return a page as the answer to a request: whole, or the parts that whoever asks lacks."""
    given = {
        **page.context,
        **_known(request),
        "title": page.title,
        "follows": page.follows,
        "theme": theme(request),
    }
    made = {name: _environment().get_template(f"parts/{name}.html.j2").render(given) for name in page.parts}
    stamps = {name: _stamp(name, html) for name, html in made.items()}
    if _HAVE in request.headers:
        have = set(request.headers[_HAVE].split(","))
        news = {name: html for name, html in made.items() if stamps[name] not in have}
        answer = {"title": page.title, "parts": news, "stamps": stamps, "follows": page.follows}
        return packed(request, json.dumps(answer), "application/json", status=page.status)

    def part(name: str) -> Markup:
        return Markup(f'<div class="part" data-part="{name}" data-stamp="{stamps[name]}">{made[name]}</div>')

    html = _environment().get_template(page.template).render(given, part=part)
    return packed(request, html, "text/html; charset=utf-8", status=page.status)


def problem_page(request: Request, problem: Problem) -> Response:
    """Return why there is no page."""
    kind = request.url.path.removeprefix(root(request)).split("/")[1]
    context = {"problem": problem, "all": _LISTS.get(kind, _LISTS["experiments"])}
    page = Page("problem.html.j2", problem.title, context=context, status=problem.status)
    return show(request, page)


def root(request: Request) -> str:
    """Return the path below which a proxy offers the service, without a slash at its end."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def server(request: Request) -> str:
    """Return the address of the service as whoever asks sees it, as commands take it."""
    return f"{request.url.scheme}://{request.url.netloc}{root(request)}"


def theme(request: Request) -> str:
    """Return which colours were chosen: `light`, `dark`, or, empty, those of the system."""
    chosen = request.cookies.get("tunewell-theme", "")
    return chosen if chosen in ("light", "dark") else ""


def _stamp(name: str, html: str) -> str:
    """Return the checksum of a part; another part with the same markup, such as none, has another one."""
    lasting = _PASSING.sub(r"\1", html)
    return hashlib.sha256(f"{name} {lasting}".encode("utf-8", "replace")).hexdigest()[:12]


def packed(
    request: Request, text: str, media_type: str, headers: Mapping[str, str] = NOTHING, status: int = 200
) -> Response:
    """Return a text in as few bytes as whoever asks can unpack; `headers` count more than those of pages."""
    body = text.encode("utf-8", "replace")
    own = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Vary": f"Accept-Encoding, {_HAVE}"}
    headers = {**own, **headers}
    if len(body) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, 4, mtime=0), "gzip"
    return Response(body, status, headers, media_type)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tunewell.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": format.number,
        "signed": format.signed,
        "scalar": format.scalar,
        "duration": format.duration,
        "size": format.size,
        "percent": format.percent,
        "share": format.share,
        **words.FILTERS,
    }
    environment.globals |= {"asset": _asset, "count": count}
    return environment


def _asset(root: str, name: str = "") -> str:
    return f"{root}/static/{assets.build()}/{name}"
