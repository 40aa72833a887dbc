"""Uploads go on where they broke off, arrive whole or not at all, and are nobody else's business."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.storage.conftest import as_, sent
from tunewell.service.service import Service
from tunewell.service.storage.limits import LARGEST_UPLOAD, MOST_UPLOADS, UPLOAD_SECONDS
from tunewell.service.storage.place import Place
from tunewell.service.storage.tidying import tidy
from tunewell.spec.errors import ConflictError, DataError, ForbiddenError, NotFoundError, UserError

DATA = bytes(range(256)) * 40


def test_an_upload_by_parts(ada: Service) -> None:
    """Parts are put one behind the other, whatever pieces they come in, and the whole is checked in the end."""
    checksum = hashlib.sha256(DATA).hexdigest()
    upload = ada.create_upload("data.zip", len(DATA), checksum)
    assert (upload.received_bytes, upload.size_bytes, upload.finished_at) == (0, len(DATA), None)
    assert ada.put_part(upload.id, 0, [DATA[:10], b"", DATA[10:100]]).received_bytes == 100
    assert ada.put_part(upload.id, 100, iter([DATA[100:]])).received_bytes == len(DATA)
    done = ada.finish_upload(upload.id)
    assert done.finished_at is not None and done.sha256 == checksum
    assert ada.finish_upload(upload.id) == done == ada.upload(upload.id)
    assert ada.uploads() == (done,)


def test_it_lies_closed_to_others_under_a_name_that_cant_be_guessed(service: Service, ada: Service) -> None:
    """Neither its id nor its place tells whose it is or what it is called, and only the owner of the home reads it."""
    first, second = (ada.create_upload("secret.zip", 5) for _ in range(2))
    assert len(first.id) == 32 and first.id != second.id
    path = service.home.uploads / first.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_part_in_the_wrong_place_is_refused(ada: Service) -> None:
    """Asked again for a part that has come, or one too far on, the present size is told, and nothing changes."""
    id = ada.create_upload("data.zip", len(DATA)).id
    ada.put_part(id, 0, [DATA[:100]])
    for offset in (0, 99, 101, -1):
        with pytest.raises(ConflictError, match=r"it has 100 bytes. Go on at 100") as refused:
            ada.put_part(id, offset, [b"evil"])
        assert refused.value.kind == "wrong-offset" and refused.value.facts == {"size": 100}
    assert ada.upload(id).received_bytes == 100


def test_what_breaks_off_goes_on(ada: Service) -> None:
    """What has come of a part that broke off stays."""

    def breaks() -> Iterator[bytes]:
        yield DATA[:50]
        raise ConnectionError

    id = ada.create_upload("data.zip", len(DATA)).id
    with pytest.raises(ConnectionError):
        ada.put_part(id, 0, breaks())
    assert ada.upload(id).received_bytes == 50
    ada.put_part(id, 50, [DATA[50:]])
    assert ada.finish_upload(id).sha256 == hashlib.sha256(DATA).hexdigest()


def test_two_at_once_dont_mix(ada: Service) -> None:
    """While a part comes, another is refused."""
    id = ada.create_upload("data.zip", len(DATA)).id

    def meanwhile() -> Iterator[bytes]:
        with pytest.raises(ConflictError, match="is being written"):
            ada.put_part(id, 0, [b"evil"])
        yield DATA

    assert ada.put_part(id, 0, meanwhile()).received_bytes == len(DATA)


def test_more_than_was_announced_is_refused(service: Service, ada: Service) -> None:
    """No more is ever written than was announced, whatever comes."""
    id = ada.create_upload("data.zip", 100).id
    with pytest.raises(UserError, match="longer than the 100 bytes"):
        ada.put_part(id, 0, (b"a" * 60 for _ in range(10**9)))
    assert ada.upload(id).received_bytes <= 100


def test_what_is_not_whole_is_not_finished(ada: Service) -> None:
    """A missing part or another checksum is told, and nothing can be made of it."""
    id = ada.create_upload("data.zip", len(DATA), hashlib.sha256(b"other").hexdigest()).id
    ada.put_part(id, 0, [DATA[:-1]])
    with pytest.raises(ConflictError, match=f"{len(DATA) - 1} of {len(DATA)} bytes have come"):
        ada.finish_upload(id)
    ada.put_part(id, len(DATA) - 1, [DATA[-1:]])
    with pytest.raises(DataError, match="its SHA-256 is "):
        ada.finish_upload(id)
    with pytest.raises(ConflictError, match="is not finished"):
        ada.add_dataset("d", upload=id)
    with pytest.raises(ConflictError, match="is not finished"):
        ada.add_code(id)


def test_nothing_comes_to_a_finished_one(ada: Service) -> None:
    """What was checked is not changed any more."""
    upload = sent(ada, DATA)
    with pytest.raises(ConflictError, match="it is finished"):
        ada.put_part(upload.id, len(DATA), [b"more"])


def test_only_its_owner_sees_it(service: Service, ada: Service, bob: Service) -> None:
    """To everybody else, administrators among them, it does not exist, in the same words as one that never was."""
    upload = sent(ada, DATA)
    for other in (bob, service, as_(service, "root")):
        assert other.uploads() == ()
        for id in (upload.id, "0" * 32):
            for ask in (
                lambda verbs, id: verbs.upload(id),
                lambda verbs, id: verbs.put_part(id, 0, [b""]),
                lambda verbs, id: verbs.finish_upload(id),
                lambda verbs, id: verbs.abandon_upload(id),
                lambda verbs, id: verbs.add_dataset("d", upload=id),
                lambda verbs, id: verbs.add_code(id),
            ):
                with pytest.raises(NotFoundError, match=f"^There is no upload '{id}'"):
                    ask(other, id)  # type: ignore[no-untyped-call]
    assert ada.uploads() == (upload,)


def test_viewers_send_nothing(service: Service) -> None:
    """Who only looks can't fill the disk."""
    with pytest.raises(ForbiddenError, match="change nothing"):
        as_(service, "viv").create_upload("data.zip", 5)


@pytest.mark.parametrize(
    ("name", "size", "sha256", "told"),
    [
        ("", 5, None, "no name for a file"),
        ("../a", 5, None, "no name for a file"),
        ("a\\b", 5, None, "no name for a file"),
        ("a\nb", 5, None, "no name for a file"),
        ("a\0b", 5, None, "NUL"),
        ("a" * 256, 5, None, "no name for a file"),
        ("a", 0, None, "0 bytes can't be sent"),
        ("a", -1, None, "-1 bytes can't be sent"),
        ("a", LARGEST_UPLOAD + 1, None, "1 byte to 100 GiB"),
        ("a", 5, "abc", "no SHA-256"),
        ("a", 5, "A" * 64, "no SHA-256"),
    ],
)
def test_wrong_announcements(ada: Service, name: str, size: int, sha256: str | None, told: str) -> None:
    """What can't be is said before anything is sent."""
    with pytest.raises(UserError, match=told):
        ada.create_upload(name, size, sha256)
    assert ada.uploads() == ()


def test_quota(service: Service, ada: Service) -> None:
    """All of a user's uploads together, as large as they are to be, fit into the quota; others have their own."""
    with service.store.transaction() as tx:
        tx.set_user("ada", {"quota": {"disk_bytes": 1000}})
    first = ada.create_upload("a", 600)
    with pytest.raises(ConflictError, match="it takes 401 B, and your quota has 400 B left") as refused:
        ada.create_upload("b", 401)
    assert refused.value.kind == "quota-exceeded"
    assert ada.uploads() == (first,)
    ada.create_upload("b", 400)
    ada.abandon_upload(first.id)
    ada.create_upload("c", 600)
    as_(service, "bob").create_upload("d", 10**9)


def test_there_are_not_too_many(ada: Service) -> None:
    """The number of uploads of a user is limited."""
    for _ in range(MOST_UPLOADS):
        ada.create_upload("a", 1)
    with pytest.raises(ConflictError, match="uploads that nothing has been made of"):
        ada.create_upload("a", 1)


def test_the_same_key_gives_the_same_upload(ada: Service) -> None:
    """Asked again under a key, no other upload is begun."""
    first = ada.create_upload("a", 5, key="k")
    assert ada.create_upload("a", 5, key="k") == first
    assert ada.uploads() == (first,)
    with pytest.raises(ConflictError):
        ada.create_upload("b", 5, key="k")


def test_an_abandoned_upload_is_gone(service: Service, ada: Service) -> None:
    """Nothing of it is left."""
    upload = sent(ada, DATA)
    ada.abandon_upload(upload.id)
    assert list(service.home.uploads.iterdir()) == [] and ada.uploads() == ()
    with pytest.raises(NotFoundError):
        ada.abandon_upload(upload.id)


def test_old_uploads_are_tidied_away(service: Service, ada: Service) -> None:
    """One to which nothing has come for a day goes when the next one begins; one that goes on stays."""
    old, new = ada.create_upload("old", 5), ada.create_upload("new", 5)
    age(service.home.uploads / old.id, UPLOAD_SECONDS + 60)
    age(service.home.uploads / new.id, UPLOAD_SECONDS - 3600)
    third = ada.create_upload("third", 5)
    assert {one.id for one in ada.uploads()} == {new.id, third.id}
    assert {path.name for path in service.home.uploads.iterdir()} == {new.id, third.id}


def test_what_a_kill_has_left_is_tidied_away(service: Service, ada: Service) -> None:
    """Files without a record, and records without a file, both go, a day later."""
    lost, kept = ada.create_upload("lost", 5), ada.create_upload("kept", 5)
    (service.home.uploads / lost.id).unlink()
    (service.home.uploads / "stray").touch()
    age(service.home.uploads / "stray", UPLOAD_SECONDS + 60)
    for name in (".coming-1", ".going-1", "0" * 64):
        (service.home.datasets / name).mkdir(parents=True, exist_ok=True)
        age(service.home.datasets / name, UPLOAD_SECONDS + 60)
    assert ada.uploads() == (kept,)
    place = Place(service.store, service.home, service._rights)
    tidy(place)
    assert len(service.store.uploads()) == 2, "it may just be about to be made"
    assert [path.name for path in service.home.uploads.iterdir()] == [kept.id]
    assert [path.name for path in service.home.datasets.iterdir()] == []
    tidy(place, now=lost.created_at.timestamp() + UPLOAD_SECONDS + 3600)
    assert service.store.uploads() == []


def age(path: Path, seconds: float) -> None:
    """Have a file look as if it had last been written to so long ago."""
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))
