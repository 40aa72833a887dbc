"""What the verbs on uploads, data sets and code promise, wherever they are carried out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.contracts.test_verbs_contract import IMPLEMENTATIONS
from tests.service.storage.archives import decent
from tunewell.service.types import Upload
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ConflictError, DataError, NotFoundError, SpecError


@pytest.fixture(params=IMPLEMENTATIONS)
def verbs(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Verbs]:
    """One implementation after the other, on an empty home."""
    with IMPLEMENTATIONS[request.param](tmp_path, database) as bench:
        yield bench.verbs


def sent(verbs: Verbs, data: bytes) -> Upload:
    """Send a file in two parts, and finish it."""
    upload = verbs.create_upload("data.zip", len(data), hashlib.sha256(data).hexdigest())
    half = len(data) // 2
    verbs.put_part(upload.id, 0, [data[:10], data[10:half]])
    verbs.put_part(upload.id, half, [data[half:]])
    return verbs.finish_upload(upload.id)


def test_uploads(verbs: Verbs) -> None:
    """An upload tells how far it is, and is refused what does not belong there."""
    begun = verbs.create_upload("a.zip", 10, key="k")
    assert verbs.create_upload("a.zip", 10, key="k") == begun and verbs.uploads() == (begun,)
    assert verbs.put_part(begun.id, 0, [b"abc"]).received_bytes == 3
    with pytest.raises(ConflictError) as refused:
        verbs.put_part(begun.id, 0, [b"abc"])
    assert (refused.value.kind, refused.value.facts["size"]) == ("wrong-offset", 3)
    with pytest.raises(ConflictError):
        verbs.finish_upload(begun.id)
    with pytest.raises(SpecError):
        verbs.put_part(begun.id, 3, [b"longer than announced"])
    verbs.abandon_upload(begun.id)
    with pytest.raises(NotFoundError):
        verbs.upload(begun.id)


def test_data_sets(verbs: Verbs) -> None:
    """A data set is added, found, listed, deleted and restored; a key has each done once."""
    upload = sent(verbs, decent("zip"))
    made = verbs.add_dataset("d", upload=upload.id, key="k")
    assert verbs.add_dataset("d", upload=upload.id, key="k") == made == verbs.dataset("d")
    assert verbs.datasets().items == (made,) and verbs.uploads() == ()
    assert verbs.find_content(made.sha256).kind == "dataset"
    assert verbs.add_dataset("e", content=made.sha256, visibility="private").sha256 == made.sha256
    for _ in range(2):
        verbs.delete_dataset("d", key="delete")
    assert [one.name for one in verbs.datasets(deleted=True).items] == ["d"]
    assert verbs.restore_dataset("d", key="restore") == made
    with pytest.raises(ConflictError):
        verbs.add_dataset("d", content=made.sha256)
    with pytest.raises(NotFoundError):
        verbs.dataset("nothing")
    with pytest.raises(DataError):
        verbs.add_dataset("f", upload=sent(verbs, b"no archive" * 100).id)


def test_code(verbs: Verbs) -> None:
    """Code is known by its content."""
    made = verbs.add_code(sent(verbs, decent("tar.gz")).id)
    assert verbs.code(made.id) == made and verbs.find_content(made.id).kind == "code"
    files = verbs.code_files(made.id)
    assert len(files) == made.files and sum(file.size_bytes for file in files) == made.size_bytes
    with pytest.raises(NotFoundError):
        verbs.code("0" * 64)
    with pytest.raises(NotFoundError):
        verbs.find_content("0" * 64)


def test_a_key_has_each_done_once_even_at_once(verbs: Verbs) -> None:
    """Asked several times at the same moment, a thing is done once, and all get the same answer."""
    data, code = sent(verbs, decent("zip")).id, sent(verbs, decent("tar.gz")).id
    content = verbs.add_dataset("e", upload=sent(verbs, decent("zip")).id).sha256
    wishes: dict[str, Callable[[], Any]] = {
        "begin": lambda: verbs.create_upload("a.zip", 10, key="begin"),
        "send": lambda: verbs.add_dataset("d", upload=data, key="send"),
        "copy": lambda: verbs.add_dataset("f", content=content, key="copy"),
        "code": lambda: verbs.add_code(code, key="code"),
        "delete": lambda: verbs.delete_dataset("d", key="delete"),
        "restore": lambda: verbs.restore_dataset("d", key="restore"),
        "remove": lambda: verbs.delete_dataset("d", forever=True, key="remove"),
    }
    together = Barrier(8)

    def ask(wish: Callable[[], Any]) -> Any:
        together.wait(60)
        return wish()

    for name, wish in wishes.items():
        with ThreadPoolExecutor(8) as pool:
            first, *others = pool.map(ask, [wish] * 8)
        assert others == [first] * 7, name
    assert [one.name for one in verbs.datasets().items] == ["f", "e"] and len(verbs.uploads()) == 1
    assert verbs.datasets(deleted=True).items == ()


def test_answers_stay_as_they_were(verbs: Verbs) -> None:
    """Asked again under its key, what was added or restored is told as it was then, though it was deleted since."""
    made = verbs.add_dataset("d", upload=sent(verbs, decent("zip")).id, key="add")
    verbs.delete_dataset("d")
    assert verbs.restore_dataset("d", key="restore") == made
    verbs.delete_dataset("d", forever=True)
    assert verbs.restore_dataset("d", key="restore") == made
