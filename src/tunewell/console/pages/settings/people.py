"""Who may use the service, what each may do and have, and the links by which they come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Request, Response

from tunewell.api.asked import AsCaller, Cursor, TheCaller
from tunewell.api.sizes import takes
from tunewell.console.page import root
from tunewell.console.pages.actions import FORM_BYTES, done, form_of
from tunewell.console.pages.settings.frame import EMPTY, Form, for_script, new_key, section
from tunewell.service.types import Caller, SignInLink, User
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ConflictError, UserError
from tunewell.spec.quota import Quota, amount

router = APIRouter()

UserName = Annotated[str, Path(max_length=50, pattern=r"^[a-z0-9][a-z0-9_.\-]*$")]
#: Limit → its label, and what may stand in it.
QUOTA = {
    "running": ("Running at once", "trials and jobs, such as 4"),
    "cpus": ("Cores at once", "such as 16"),
    "gpus": ("GPUs at once", "such as 2"),
    "cpu_hours": ("Core hours a month", "such as 500"),
    "gpu_hours": ("GPU hours a month", "such as 100"),
    "disk_bytes": ("Disk", "such as 20G"),
}
assert set(QUOTA) == set(Quota.model_fields)
_QUOTA = "quota."


@router.get("/settings/people")
def people(request: Request, verbs: AsCaller, caller: TheCaller, cursor: Cursor = None) -> Response:
    """Return everybody, and a form for somebody new."""
    return _list(request, verbs, caller, EMPTY, cursor)


@router.post("/settings/people")
@takes(FORM_BYTES)
async def add_user(request: Request, verbs: AsCaller, caller: TheCaller) -> Response:
    """Add somebody, and show the link by which they come in, in this one answer; sent again, the form adds nobody."""
    fields = await form_of(request)
    request.state.about = fields.get("name", "")

    def add() -> Response:
        key, name = fields.pop("key", "") or None, fields.get("name", "")
        try:
            verbs.add_user(name, _facts(fields, {}), key=key)
            link = verbs.sign_in_link(name, key=f"{key}-link" if key else None)
        except ConflictError as error:
            if error.kind == "told-once":
                return _person(request, verbs, caller, name, EMPTY, was_sent=True, status=409)
            return _list(request, verbs, caller, Form(fields, {"name": _sentence(error)}, 409))
        except UserError as error:
            return _list(request, verbs, caller, Form.refused(fields, error))
        return _person(request, verbs, caller, name, EMPTY, link=link, is_new=True)

    return await run_sync(add)


@router.get("/settings/people/{name}")
def person(request: Request, verbs: AsCaller, caller: TheCaller, name: UserName) -> Response:
    """Return what is settled about somebody."""
    return _person(request, verbs, caller, name, EMPTY)


@router.post("/settings/people/{name}")
@takes(FORM_BYTES)
async def change_user(request: Request, verbs: AsCaller, caller: TheCaller, name: UserName) -> Response:
    """Change what somebody may do and have."""
    fields = await form_of(request)
    request.state.fields = sorted(fields)

    def change() -> Response:
        try:
            changed = verbs.change_user(name, _facts(fields, verbs.user(name).quota))
        except UserError as error:
            if for_script(request):
                raise
            return _person(request, verbs, caller, name, Form.refused(fields, error))
        return done(request, " ".join(["Changed.", *changed.notes]), f"/settings/people/{name}")

    return await run_sync(change)


@router.post("/settings/people/{name}/link")
@takes(FORM_BYTES)
async def sign_in_link(request: Request, verbs: AsCaller, caller: TheCaller, name: UserName) -> Response:
    """Make a link by which somebody comes in, and show it in this one answer; sent again, the form makes none."""
    key = (await form_of(request)).get("key") or None

    def make() -> Response:
        try:
            link = verbs.sign_in_link(name, key=key)
        except ConflictError as error:
            if error.kind != "told-once":
                raise
            return _person(request, verbs, caller, name, EMPTY, was_sent=True, status=409)
        return _person(request, verbs, caller, name, EMPTY, link=link)

    return await run_sync(make)


@router.post("/settings/people/{name}/disable")
def disable(request: Request, verbs: AsCaller, name: UserName) -> Response:
    """Shut somebody out."""
    verbs.change_user(name, {"disabled": True})
    said = f"{name} is shut out: signed out everywhere, and all their tokens are revoked."
    return done(request, said, f"/settings/people/{name}", (f"/settings/people/{name}/enable", "Undo"))


@router.post("/settings/people/{name}/enable")
def enable(request: Request, verbs: AsCaller, name: UserName) -> Response:
    """Let somebody in again."""
    verbs.change_user(name, {"disabled": False})
    return done(request, f"{name} may come in again, by a new link.", f"/settings/people/{name}")


def _facts(fields: Mapping[str, str], quota: Mapping[str, float]) -> dict[str, Any]:
    """Return what a form says of somebody, as `change_user` takes it; limits that it does not name stay."""
    facts: dict[str, Any] = {}
    if "role" in fields:
        facts["role"] = fields["role"]
    if "run_code" in fields:
        facts["run_code"] = fields["run_code"] == "yes"
    if fields.get("weight"):
        facts["weight"] = _number(fields["weight"])
    limits = {name.removeprefix(_QUOTA): text for name, text in fields.items() if name.startswith(_QUOTA)}
    if limits:
        kept = {name: limit for name, limit in quota.items() if name not in limits}
        facts["quota"] = {**kept, **{name: _number(text) for name, text in limits.items() if text}}
    return facts


def _number(text: str) -> float | str:
    """Return a number as one, and anything else as it is: a size, or what is going to be refused."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _sentence(error: UserError) -> str:
    text = str(error)
    return text[0].upper() + text[1:]


def _list(request: Request, verbs: Verbs, caller: Caller, form: Form, cursor: str | None = None) -> Response:
    context = {
        "form": form,
        "key": new_key(),
        "found": verbs.users(cursor=cursor),
        "is_first": cursor is None,
        **_words(),
    }
    return section(request, caller, "people", "people", context, parts=("settings-people",), status=form.status)


def _person(
    request: Request,
    verbs: Verbs,
    caller: Caller,
    name: str,
    form: Form,
    *,
    link: SignInLink | None = None,
    is_new: bool = False,
    was_sent: bool = False,
    status: int = 200,
) -> Response:
    user = verbs.user(name)
    typed = form.typed or _typed(user)
    context = {
        "user": user,
        "form": Form(typed, form.errors),
        "key": new_key(),
        "address": f"{str(request.base_url).rstrip('/')}/sign-in?link={link.secret}" if link is not None else "",
        "until": link.expires_at if link is not None else None,
        "is_new": is_new,
        "was_sent": was_sent,
        "tokens": verbs.tokens(owner=name),
        "here": f"{root(request)}/settings/people/{name}",
        **_words(),
    }
    status = max(status, form.status)
    return section(request, caller, "person", "people", context, parts=("settings-person",), title=name, status=status)


def _typed(user: User) -> dict[str, str]:
    limits = {name: _limit(name, user.quota[name]) if name in user.quota else "" for name in QUOTA}
    return {
        "role": user.role,
        "run_code": "yes" if user.run_code else "no",
        "weight": f"{user.weight:g}",
        **{_QUOTA + name: text for name, text in limits.items()},
    }


def _limit(name: str, limit: float) -> str:
    """Return a limit as people type it: `20G`, `0.5`."""
    units = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20} if name == "disk_bytes" and limit else {}
    unit = next((unit for unit, size in units.items() if limit % size == 0), "")
    return f"{limit / units[unit] if unit else limit:.15g}{unit}"


def _words() -> dict[str, Any]:
    return {"quota": QUOTA, "limits": [_QUOTA + name for name in QUOTA], "of_limit": amount}
