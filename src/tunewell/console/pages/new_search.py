"""A new search: one form from the task to the limits, checked by the planner while it is filled in."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, RedirectResponse

from tunewell.api.asked import AsCaller, TheCaller, prefers_json
from tunewell.api.lanes import takes_long
from tunewell.api.looking import only_looks
from tunewell.api.problems import of_error
from tunewell.api.sizes import takes
from tunewell.console import forms
from tunewell.console.form_words import LABELS, option_label
from tunewell.console.forms import COMMAND, ROW, SEARCH
from tunewell.console.kept import KEPT, Kept
from tunewell.console.new_search import Look, look
from tunewell.console.page import Page, root, server, show
from tunewell.console.snippets import snippets, worker_command
from tunewell.service.types import Caller, CodeFile, ExperimentSummary, Submission
from tunewell.service.verbs import Fresh, Verbs
from tunewell.spec.errors import SpecError, UserError, count
from tunewell.spec.format import number, size
from tunewell.spec.names import DATASET, called_by, from_address, full_name, in_address

router = APIRouter()

PARTS = ("new-form", "new-check")
#: Bytes of what is sent without scripts, an archive of a program included; with them it is sent by parts.
_BODY_BYTES = 64 << 20
#: Most fields of the form: a command may have 1000 parameters, of seven fields each.
_MOST_FIELDS = 10_000
#: Earlier searches, and data sets, that are offered.
_OFFERED = 200
#: Fields that choose among several at once.
_SEVERAL = ("warm_start",)
#: Kind of a parameter → what people call it.
KINDS = {
    "number": "number",
    "log": "number, log scale",
    "whole": "whole number",
    "whole-log": "whole number, log scale",
    "values": "list of values",
    "fixed": "one value",
}
#: Algorithm → what people call it.
CALLED = {
    "auto": "Automatic",
    "bayesian": "Bayesian",
    "tpe": "TPE",
    "random": "Random",
    "evolutionary": "Evolutionary",
    "pshe2": "PSHE2",
    "cmaes": "CMA-ES",
    "grid": "Grid",
}
#: What a command may have besides its parameters, and how it is explained.
PLACEHOLDERS = {
    "output_dir": "folder for whatever is to be kept of the trial, such as models",
    "checkpoint_dir": "folder of the trial's checkpoint; it holds the one to go on from, if there is any",
    "parameters_file": "JSON file with the trial's parameters",
    "trial": "number of the trial",
    "sampling": "share of the training data to use",
    "fidelity": "share of the full training that the trial gets",
}
#: Ending of a program's name → what starts it; and how many commands are suggested.
STARTED_BY = {".py": "python", ".sh": "sh", ".R": "Rscript", ".jl": "julia"}
_COMMANDS = 20
#: What a form begins with.
_ANEW: Mapping[str, str] = {"task": "image-classification", "mode": SEARCH}


class Sent:
    """A form as it came."""

    def __init__(self, fields: dict[str, str], archive: UploadFile | None) -> None:
        """Take the fields by name, and a program in an archive."""
        self.act = fields.pop("act", "check")
        self.key = fields.pop("key", "")
        self.fields = fields
        self.archive = archive


async def _sent(request: Request) -> AsyncIterator[Sent]:
    async with request.form(max_fields=_MOST_FIELDS, max_files=1) as form:
        fields: dict[str, str] = {}
        archive = None
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                archive = value if value.filename else None
            elif name in _SEVERAL and fields.get(name):
                fields[name] += f", {value}"
            else:
                fields[name] = value.replace("\r\n", "\n")
        yield Sent(fields, archive)


@router.get("/new")
def new_search(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    copy: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Return the form: empty, as the address fills it in, or with what an experiment searches."""
    if "x-have" in request.headers:  # what is being filled in is not news
        return show(request, Page("new-search.html.j2", "New search"))
    fields, environment = dict(_ANEW), tuple[str, ...]()
    if copy:
        clone = verbs.clone(from_address(copy))
        goals = {metric: goal for task in verbs.tasks() for metric, goal in task.metrics.items()}
        fields, environment = forms.fields_of(clone.spec, goals), clone.environment
    else:
        fields |= {name: value for name, value in request.query_params.items() if name not in ("act", "key")}
    return _answer(request, verbs, caller, look(verbs, caller.name, fields, strict=False), environment=environment)


@router.get("/new/look")
def look_again(request: Request) -> Response:
    """Lead back to the form: what was filled in has no address."""
    return RedirectResponse(f"{root(request)}/new", 303)


@router.post("/new/look")
@only_looks
@partial(takes_long, measures=lambda arguments: arguments["sent"].act == "estimate")
def look_at(request: Request, verbs: AsCaller, caller: TheCaller, sent: Annotated[Sent, Depends(_sent)]) -> Response:
    """Return the form after what a button does to its fields, with what is wrong, and what follows from it."""
    act = sent.act
    found = look(verbs, caller.name, _changed(sent), strict=act == "check", measure=act == "estimate")
    return _answer(request, verbs, caller, found, key=sent.key)


@router.post("/new")
@takes(_BODY_BYTES)
@takes_long
def create(request: Request, verbs: AsCaller, caller: TheCaller, sent: Annotated[Sent, Depends(_sent)]) -> Response:
    """Start the search, or take a program that comes with the form; else say what is wrong."""
    status = 200
    try:
        if sent.act == "upload":
            sent.fields["code"] = request.state.about = _code_of(verbs, sent.archive)
            found = look(verbs, caller.name, sent.fields, strict=False)
        else:
            found = look(verbs, caller.name, sent.fields, strict=True, is_new=False)
            if found.checked is not None:
                new: Fresh = "never" if sent.fields.get("name", "").strip() else "always"
                made = verbs.create(found.spec, new=new, key=sent.key or None)
                request.state.about = made.name
                return _started(request, made)
            status = 422
    except UserError as error:
        found, status = look(verbs, caller.name, sent.fields, strict=True, also=error.parts), of_error(error).status
    return _answer(request, verbs, caller, found, key=sent.key, status=status)


def _changed(sent: Sent) -> dict[str, str]:
    """Return the fields after what a button does to them."""
    fields, (verb, _, which) = dict(sent.fields), sent.act.partition(".")
    if verb == "add-row":
        start = forms.next_row(fields)
        return fields | {f"{start}{part}": text for part, text in ROW.items()}
    if verb == "remove-row":
        return _without(fields, f"row.{which}.")
    if verb == "reset":
        return _without(fields, f"range.{which}")
    if verb == "forget-code":
        return fields | {"code": ""}
    return fields


def _without(fields: Mapping[str, str], beginning: str) -> dict[str, str]:
    """Return fields without those that begin so, what is kept of them included."""
    rest = {name: text for name, text in fields.items() if not name.startswith(beginning)}
    return rest | {KEPT: str(Kept.read(fields[KEPT]).without(beginning))} if fields.get(KEPT) else rest


def _code_of(verbs: Verbs, archive: UploadFile | None) -> str:
    """Return the id of the program in an archive."""
    if archive is None or not archive.size:
        raise SpecError("code", "no archive is chosen", "Choose a zip, tar or tar.gz with the program")
    upload = verbs.create_upload(PurePath(archive.filename or "program").name, archive.size, purpose="code")
    verbs.put_part(upload.id, 0, iter(lambda: archive.file.read(1 << 20), b""))
    return verbs.add_code(verbs.finish_upload(upload.id).id).id


def _started(request: Request, made: Submission) -> Response:
    address = f"{root(request)}/experiments/{in_address(made.name)}"
    if prefers_json(request):
        return JSONResponse({"then": address})
    return RedirectResponse(address, 303)


def _answer(
    request: Request,
    verbs: Verbs,
    caller: Caller,
    found: Look,
    *,
    key: str = "",
    environment: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    fields, tasks = found.fields, {task.name: task for task in verbs.tasks()}
    experiments, data = verbs.experiments(limit=_OFFERED).items, fields.get("data", "")
    files = _files(verbs, fields["code"]) if fields.get("code") else ()
    machines = verbs.resources()
    has_cluster = machines.cluster is not None
    context = {
        "look": found,
        "fields": fields,
        "task": tasks.get(fields.get("task", "")),
        "is_command": fields.get("task") == COMMAND,
        "mode": forms.mode_of(fields),
        "rows": _rows(fields),
        "parts_shown": forms.parts_shown,
        "changed_ranges": _changed_ranges(fields),
        "datasets": _data_sets(verbs, caller, fields),
        "dataset": full_name(caller.name, data.removeprefix(DATASET)) if data.startswith(DATASET) else "",
        "copied": experiments,
        "earlier": _earlier(experiments, caller, fields),
        "algorithms": verbs.algorithms(),
        "files": files,
        "commands": _commands(files),
        "on_cluster": has_cluster,
        "gpus": [gpu for node in machines.nodes if node.cluster == has_cluster for gpu in node.gpus],
        "snippets": snippets(found.spec, server(request)),
        "by_workers": forms.by_workers(fields),
        "worker_command": worker_command(
            server(request),
            full_name(caller.name, str(found.spec["name"])),
            found.spec,
            [name for _, name, _ in _rows(fields) if name],
        ),
        "key": key or secrets.token_hex(16),
        "environment": environment,
        "placeholders": PLACEHOLDERS,
        "kinds": KINDS,
        "called": CALLED,
        "labels": LABELS,
        "option_label": option_label,
        "pairs": lambda words: [(word, word) for word in words],
    }
    return show(request, Page("new-search.html.j2", "New search", PARTS, context, status=status))


def _data_sets(verbs: Verbs, caller: Caller, fields: forms.Fields) -> list[tuple[str, str]]:
    """Return values and titles of the data sets that can be chosen, what is chosen among them."""
    offered = {}
    for one in verbs.datasets(limit=_OFFERED).items:
        name = called_by(caller.name, one.name)
        offered[DATASET + name] = f"{name} · {count(one.files, 'file')}, {size(one.size_bytes)}"
    return list(_with_chosen(offered, [fields.get("data", "")]).items())


def _earlier(experiments: Sequence[ExperimentSummary], caller: Caller, fields: forms.Fields) -> list[tuple[str, str]]:
    """Return names and titles of searches with a result, what is chosen among them."""
    offered = {}
    for one in experiments:
        if one.best is not None:
            name = called_by(caller.name, one.name)
            offered[name] = f"{name} · {one.objective.metric} {number(one.best.value)}"
    chosen = [fields.get("best_of", ""), *forms.names_in(fields.get("warm_start", ""))]
    return list(_with_chosen(offered, chosen).items())


def _with_chosen(offered: Mapping[str, str], chosen: Sequence[str]) -> dict[str, str]:
    return dict(offered) | {one: one for one in chosen if one and one not in offered}


def _rows(fields: forms.Fields) -> list[tuple[str, str, bool]]:
    """Return of each parameter of a command how its fields begin, its name, and whether it comes from the command."""
    named, found = forms.placeholders_of(fields), list[tuple[str, str, bool]]()
    for start in forms.rows_of(fields):
        name = fields[f"{start}name"].strip()
        found.append((start, name, name in named))
        if name in named:
            named.remove(name)
    return found


def _changed_ranges(fields: forms.Fields) -> set[str]:
    """Return the parameters of the network for which something is said."""
    starts = forms.ranges_of(fields).items()
    return {name for name, start in starts if any(fields.get(start + part, "").strip() for part in ROW)}


def _files(verbs: Verbs, code: str) -> tuple[CodeFile, ...]:
    try:
        return verbs.code_files(code)
    except UserError:  # the check says that there is none
        return ()


def _commands(files: tuple[CodeFile, ...]) -> list[str]:
    """Return how the programs among some files may be started, those that lie at the top first."""
    paths = sorted((file.path for file in files), key=lambda path: path.count("/"))
    starts = ((STARTED_BY.get(PurePath(path).suffix), path) for path in paths)
    return [f"{program} {path}" for program, path in starts if program is not None][:_COMMANDS]
