"""Uploads: files that are sent by parts."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response
from starlette.requests import ClientDisconnect

from tunewell.api.answers import located, whole
from tunewell.api.asked import LARGEST, AsCaller, Key, UploadId
from tunewell.api.bodies import PART_BODY, pieces_of
from tunewell.api.document import CREATED
from tunewell.api.lanes import lanes_of, takes_long, whose
from tunewell.api.looking import only_looks
from tunewell.api.sizes import takes
from tunewell.service.types import NoFlag, Page, Upload
from tunewell.spec.names import Purpose

router = APIRouter(tags=["uploads"])

#: Largest part of a file.
PART_BYTES = 1 << 30


@router.get("/uploads", summary="List one's uploads")
def uploads(verbs: AsCaller) -> Page[Upload]:
    """Return the caller's uploads that nothing has been made of, the oldest first."""
    return whole(verbs.uploads())


@router.post("/uploads", status_code=201, summary="Begin an upload", responses=CREATED)
def create_upload(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Annotated[str, Body(description="Name of the file, without folders.", max_length=255)],
    size: Annotated[int, NoFlag, Body(description="Bytes of the whole.", ge=1, le=LARGEST)],
    sha256: Annotated[str | None, Body(description="SHA-256 of the whole, in hexadecimal.", max_length=64)] = None,
    purpose: Annotated[
        Purpose | None, Body(description="What is to be made of it, for lists of uploads; it binds to nothing.")
    ] = None,
    key: Key = None,
) -> Upload:
    """Announce a file. It goes a day after its last part, unless something is made of it."""
    upload = verbs.create_upload(name, size, sha256, purpose=purpose, key=key)
    located(request, response, f"/uploads/{upload.id}")
    return upload


@router.get("/uploads/{id}", summary="Read how far an upload is")
def upload(verbs: AsCaller, id: UploadId) -> Upload:
    """Return an upload; `received_bytes` is where its next part begins."""
    return verbs.upload(id)


@router.put("/uploads/{id}/parts/{offset}", summary="Send a part", openapi_extra=PART_BODY)
@only_looks  # the upload has a line as it begins, and as it is whole
@takes(PART_BYTES)
async def put_part(
    request: Request,
    verbs: AsCaller,
    id: UploadId,
    offset: Annotated[int, Path(description="Where it begins: how many bytes have come.", ge=0, le=LARGEST)],
) -> Upload:
    """Add a part. If it breaks off, what has come stays.

    A part that begins anywhere but at `received_bytes` is refused; the problem's `facts` hold that number as `size`.
    """
    lane, who = lanes_of(request).uploads, whose(request)
    lane.turns.check(who)
    async with lane.turns.turn(who):
        upload = await lane.run(partial(verbs.put_part, id, offset, []))  # what can't be is refused before it comes
        with suppress(ClientDisconnect):  # nobody reads the answer
            async for piece in pieces_of(request):
                upload = await lane.run(partial(verbs.put_part, id, offset, [piece]))
                offset += len(piece)
    return upload


@router.post("/uploads/{id}/finish", summary="Finish an upload")
@takes_long
def finish_upload(verbs: AsCaller, id: UploadId) -> Upload:
    """Have it checked that everything has come, undamaged."""
    return verbs.finish_upload(id)


@router.delete("/uploads/{id}", status_code=204, summary="Abandon an upload")
def abandon_upload(verbs: AsCaller, id: UploadId) -> None:
    """Forget an upload, and what has come of it."""
    verbs.abandon_upload(id)
