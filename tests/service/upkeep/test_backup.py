"""Backing up and restoring: what is in a backup, and what is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.postgres import Server
from tests.service.storage.archives import decent
from tests.store.test_copying import everything, fill
from tunewell.home.home import RESTORING, Home
from tunewell.home.keeping import keeping, remove_now
from tunewell.home.removal import Removal
from tunewell.schedulers.records import LOCK, make_folder, read_exit
from tunewell.service.service import Service
from tunewell.service.upkeep import archive, backup, restoring
from tunewell.service.upkeep.files import write_backup
from tunewell.service.upkeep.restoring import restore
from tunewell.spec.errors import ConflictError, DataError, NotFoundError, UserError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import JobState
from tunewell.store import Store
from tunewell.store.rows import JobEnd

PAIRS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite")]
Part = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The service of a home; see `opened`."""
    with opened(tmp_path) as service:
        yield service


@contextmanager
def opened(folder: Path) -> Iterator[Service]:
    """Give a home with something of everything in it: a trial that runs, some that have ended, a data set."""
    with Service(folder / "home") as service:
        fill(service.store)
        service.home.adopt()
        service.home.create()
        name = service.store.experiments()[-1].name
        with service.home.lock(name):
            (service.home.experiment(name) / "report.html").write_text("report")
        for trial in service.store.iterate_trials(name):
            key = AttemptKey(name, trial.number, trial.attempt)
            folder = service.home.place(key)
            make_folder(folder, trial.identity or "")
            (folder / "checkpoint").mkdir()
            (folder / "checkpoint" / "weights").write_bytes(os.urandom(1000))
            (folder / "checkpoint" / "last").symlink_to("weights")
            (folder / "output.log").write_text("said")
            (folder / "supervisor.lock").touch()
        for row in service.store.models(1):
            for version in service.store.model_versions(row.id, row.latest):
                content = service.home.models / version.sha256
                content.mkdir(parents=True)
                (content / "weights.safetensors").write_bytes(os.urandom(1000))
        data = decent("zip")
        upload = service.create_upload("d.zip", len(data))
        service.put_part(upload.id, 0, [data])
        service.finish_upload(upload.id)
        service.add_dataset("digits", upload=upload.id)
        yield service


def made(service: Service, file: Path) -> Path:
    """Write a backup."""
    write_backup(service, file)
    return file


def parts_of(file: Path) -> list[Part]:
    """Return the parts of an archive."""
    with tarfile.open(file) as tar:
        return [(member, tar.extractfile(member).read() if member.isreg() else b"") for member in tar]  # type: ignore[union-attr]


def written(parts: list[Part], file: Path) -> Path:
    """Write an archive of parts."""
    with tarfile.open(file, "w") as tar:
        for member, content in parts:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file


def files_in(folder: Path) -> dict[str, bytes | str]:
    """Return all files and links below a folder, but what tells of the home itself or is made again."""
    own = {"identity.json", "keep.lock", "home.lock", ".gitignore", "controller.lock", "supervisor.lock"}
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()  # noqa: PTH115
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() and not path.name.startswith("tunewell.db") and path.name not in own
    }


def test_what_is_restored_is_what_was_there(service: Service, tmp_path: Path) -> None:
    """All rows and files are the same, but for the home itself, and what is said of what ran."""
    before, files = everything(service.store.url), files_in(service.home.folder)
    done = restore(made(service, tmp_path / "b.tar"), tmp_path / "other")
    after = everything(f"sqlite:///{tmp_path / 'other' / 'tunewell.db'}")
    assert done.running == 1 and done.is_default
    same = {table for table in before if before[table] == after[table]}
    assert before.keys() - same == {"home", "experiment"}
    assert files_in(tmp_path / "other") == {**files, **files_in(tmp_path / "other")}
    assert any(path.startswith("models/") for path in files)
    with Service(tmp_path / "other") as other:
        assert other.store.version() >= service.store.version()
        assert any("was restored from a backup" in note for note in other.store.experiments()[-1].notes)
        assert other.store.home() != service.store.home()
        name = other.store.experiments()[-1].name
        running = AttemptKey(name, 8, 1)
        ended = read_exit(other.home.attempt(running, other.store.trial(name, 8).identity))
        assert ended is not None and ended.stopped and ended.cause is None
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("pair", PAIRS, ids=" to ".join)
def test_from_either_kind_of_database_to_the_other(postgres: Server, tmp_path: Path, pair: tuple[str, str]) -> None:
    """The rows are the same whatever the two databases are; new ones get new numbers."""
    with postgres.new_database("tables") as one, postgres.new_database() as other:
        urls = [url if kind == "postgresql" else None for kind, url in zip(pair, (one, other), strict=True)]
        with Service(tmp_path / "home", urls[0]) as service:
            fill(service.store)
            service.home.adopt()
            before = everything(service.store.url)
            made(service, tmp_path / "b.tar.gz")
        restore(tmp_path / "b.tar.gz", tmp_path / "other", urls[1])
        with Service(tmp_path / "other", urls[1]) as restored:
            after = everything(restored.store.url)
            assert all(after[table] == rows for table, rows in before.items() if table in ("report", "trial", "event"))
            with restored.store.transaction() as tx:
                assert tx.add_job("report", None, {}, "ada", None) == max(job.id for job in service_jobs(before)) + 1


def service_jobs(rows: dict[str, list[str]]) -> list[range]:
    """Return something with the `id` of each job that rows tell of."""

    class Job(int):
        id = property(int)

    return [Job(row.partition(",")[0].removeprefix("(")) for row in rows["job"]]  # type: ignore[misc]


def test_the_original_and_its_copy_are_two_homes(service: Service, tmp_path: Path) -> None:
    """Neither is taken for the other: the database of one is refused with the folder of the other."""
    restore(made(service, tmp_path / "b.tar"), tmp_path / "other")
    for home, database in (("home", "other"), ("other", "home")):
        with pytest.raises(ConflictError, match="this database belongs to the home"):
            Service(tmp_path / home, f"sqlite:///{tmp_path / database / 'tunewell.db'}")


def test_nothing_goes_while_it_is_copied(service: Service, tmp_path: Path) -> None:
    """What would be removed meanwhile is in the backup, whole, and is removed later."""
    name = service.store.experiments()[-1].name
    folder = service.home.experiment(name)
    parts = service.backup()
    first = next(parts)
    assert not remove_now(service.home.folder, folder)
    assert folder.exists()
    Removal.prepared(service.home, service.store, "größe", []).finish()
    with pytest.raises(ConflictError, match="another backup of it is being made"):
        next(service.backup())
    (tmp_path / "b.tar").write_bytes(first + b"".join(parts))
    assert any(member.name.endswith("report.html") for member, _ in parts_of(tmp_path / "b.tar"))
    assert remove_now(service.home.folder, folder)
    assert not folder.exists()


def test_a_backup_that_is_given_up_leaves_nothing(service: Service, tmp_path: Path) -> None:
    """Whoever reads no further lets go of the home, and leaves nothing in it."""
    parts = service.backup()
    next(parts)
    del parts
    assert not list(service.home.folder.glob(f"{backup.SPOOL}*"))
    with keeping(service.home.folder):
        pass


def test_a_checkpoint_is_of_one_moment(tmp_path: Path) -> None:
    """A checkpoint that is written all the time is copied as it was at one moment, or left out."""
    source, stop = tmp_path / "attempt", threading.Event()
    (source / "checkpoint").mkdir(parents=True)

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for name in "ab":
                (source / "checkpoint" / f".{name}").write_text(str(number))
                (source / "checkpoint" / f".{name}").replace(source / "checkpoint" / name)
            stop.wait(0.002 if number % 2 else 0.0005)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(50):
            backup._copy_running(source, tmp_path / "copy")
            found = {path.name: path.read_text() for path in (tmp_path / "copy" / "checkpoint").iterdir()}
            if {"a", "b"} <= found.keys():
                assert 0 <= int(found["a"]) - int(found["b"]) <= 1
    finally:
        stop.set()
        thread.join()


def test_a_file_that_is_there_is_not_overwritten(service: Service, tmp_path: Path) -> None:
    """An older backup stays as it is, and nothing is left beside it."""
    (tmp_path / "b.tar").write_text("mine")
    with pytest.raises(ConflictError, match="there is such a file"):
        write_backup(service, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_text() == "mine"
    with pytest.raises(DataError, match="it can't be written"):
        write_backup(service, tmp_path / "nowhere" / "b.tar")


def test_too_little_room_is_told_before(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written where it is known to be too much."""
    file = made(service, tmp_path / "b.tar")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=9))
    with pytest.raises(DataError, match=r"too little room on the disk: it takes .* and 9 B are free"):
        write_backup(service, tmp_path / "c.tar")
    with pytest.raises(DataError, match="too little room on the disk"):
        restore(file, tmp_path / "other")
    assert not (tmp_path / "c.tar").exists() and not list((tmp_path / "other").iterdir())


def link(path: str, says: str) -> Callable[[list[Part]], list[Part]]:
    """Return what adds a link."""

    def add(parts: list[Part]) -> list[Part]:
        member = tarfile.TarInfo(path)
        member.type, member.linkname = tarfile.SYMTYPE, says
        return [*parts[:-1], (member, b""), parts[-1]]

    return add


def entry(path: str, type: bytes = tarfile.REGTYPE) -> Callable[[list[Part]], list[Part]]:
    """Return what adds a part."""

    def add(parts: list[Part]) -> list[Part]:
        member = tarfile.TarInfo(path)
        member.type = type
        member.linkname = "home/secret" if type == tarfile.LNKTYPE else ""
        return [*parts[:-1], (member, b"x" if type == tarfile.REGTYPE else b""), parts[-1]]

    return add


def about(**facts: object) -> Callable[[list[Part]], list[Part]]:
    """Return what changes what it says of itself."""
    return lambda parts: [(parts[0][0], json.dumps({**json.loads(parts[0][1]), **facts}).encode()), *parts[1:]]


def changed(ending: str) -> Callable[[list[Part]], list[Part]]:
    """Return what changes a byte of a file."""
    return lambda parts: [
        (one, content[:-1] + bytes([content[-1] ^ 1]) if one.name.endswith(ending) and content else content)
        for one, content in parts
    ]


BAD: dict[str, tuple[Callable[[list[Part]], list[Part]], str]] = {
    "another byte": (changed("weights"), "damaged .*weights' is not as it was"),
    "another row": (changed("trial.jsonl"), "damaged .*trial.jsonl' is not as it was"),
    "another head": (about(home="/elsewhere"), "damaged .*backup.json' is not as it was"),
    "a part less": (lambda parts: [*parts[:30], *parts[31:]], "damaged"),
    "no manifest": (lambda parts: parts[:-1], "damaged .it ends early"),
    "no rows": (lambda parts: [parts[0], *parts[2:]], "damaged"),
    "more after its end": (lambda parts: [*parts, parts[1]], "damaged .something follows its end"),
    "a part more": (entry("home/secret2"), "in no backup .'home/secret2'"),
    "a part twice": (lambda parts: [*parts[:-1], parts[-2], parts[-1]], "damaged"),
    "a path that leads out": (entry("home/../../x"), "a path that leads out of it"),
    "an absolute path": (entry("/tmp/x"), "a path that leads out of it"),
    "a dot": (entry("home/./secret"), "a path that leads out of it"),
    "a link that leads out": (link("home/jobs/x", "../../../etc"), "a link that leads out"),
    "an absolute link": (link("home/jobs/x", "/etc/passwd"), "a link that leads out"),
    "a link by a detour": (link("home/jobs/x", "a/../../secret"), "a link that leads out"),
    "a hard link": (entry("home/jobs/x", tarfile.LNKTYPE), "no file, folder or link"),
    "a device": (entry("home/jobs/x", tarfile.CHRTYPE), "no file, folder or link"),
    "a pipe": (entry("home/jobs/x", tarfile.FIFOTYPE), "no file, folder or link"),
    "a database": (entry("home/tunewell.db"), "a place where no backup has anything"),
    "a newer format": (about(version=99, program="9.0"), "made by a newer version of Tunewell .9.0.*Upgrade Tunewell"),
    "newer tables": (about(tables="0099"), "its tables are at 0099.*Upgrade Tunewell"),
    "another program's": (about(format="cpio"), "this is no backup of Tunewell"),
    "a tar of anything": (lambda parts: parts[20:], "this is no backup of Tunewell"),
    "nothing": (lambda parts: [], "this is no backup of Tunewell"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup."""
    folder = tmp_path_factory.mktemp("good")
    with opened(folder) as service:
        return made(service, folder / "b.tar")


@pytest.mark.parametrize("bad", BAD)
def test_what_is_not_taken(good: Path, tmp_path: Path, bad: str) -> None:
    """An archive that is not as it was made is refused in one sentence, and leaves nothing."""
    spoil, told = BAD[bad]
    file = written(spoil(parts_of(good)), tmp_path / "bad.tar")
    with pytest.raises(DataError, match=told) as caught:
        restore(file, tmp_path / "other")
    assert str(caught.value).count("\n") == 0
    assert not (tmp_path / "other").exists() or not list((tmp_path / "other").iterdir())
    assert not (tmp_path / "x").exists()


def test_what_ends_early(good: Path, tmp_path: Path) -> None:
    """Wherever an archive is cut off, nothing is restored of it."""
    data = good.read_bytes()
    for length in (0, 1, 511, 512, 700, 5000, len(data) // 2, len(data) - 1025 - 512):
        (tmp_path / "cut.tar").write_bytes(data[:length])
        with pytest.raises(DataError):
            restore(tmp_path / "cut.tar", tmp_path / "other")
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b" + data[:5000])
    with pytest.raises(DataError):
        restore(tmp_path / "cut.tar.gz", tmp_path / "other")
    with pytest.raises(NotFoundError):
        restore(tmp_path / "nothing.tar", tmp_path / "other")
    with pytest.raises(DataError):
        restore(tmp_path, tmp_path / "other")


def test_what_is_there_stays(good: Path, tmp_path: Path, postgres: Server) -> None:
    """A folder or a database with anything in it is refused, and left as it was."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with pytest.raises(ConflictError, match="something in this folder already"):
        restore(good, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    with postgres.new_database("tables") as database:
        with Store(database) as store:
            store.create_experiment("mine", {"objective": {"goal": "minimize"}}, {}, {})
        with pytest.raises(ConflictError, match="something in this database already"):
            restore(good, tmp_path / "other", database)
        with Store(database) as store:
            assert [row.name for row in store.experiments()] == ["mine"]
    assert not list((tmp_path / "other").iterdir())


def test_where_trials_of_another_home_run(good: Path, tmp_path: Path) -> None:
    """A place in which processes of a home still write that was there before is none for another one."""
    folder = tmp_path / "other" / "experiments" / "e" / "trials" / "1" / "1"
    sleeper = subprocess.Popen(["sleep", "60"], env={**os.environ, "TUNEWELL_TRIAL_FOLDER": str(folder)})
    try:
        with pytest.raises(ConflictError, match=rf"still runs .process {sleeper.pid}"):
            restore(good, tmp_path / "other")
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("how", ["moved away", "removed"])
def test_where_a_home_was_taken_away_under_its_trials(good: Path, tmp_path: Path, how: str) -> None:
    """What still runs of a home that was moved away or removed would write into the one that comes in its place."""
    home = Home(tmp_path / "home")
    home.create()
    home.found("1" * 32)
    attempt = home.folder / "jobs" / "1" / "1"
    attempt.mkdir(parents=True)
    with (attempt / LOCK).open("w") as lock, subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()]) as holder:
        lock.close()
        try:
            if how == "removed":
                shutil.rmtree(home.folder)
            else:
                home.folder.rename(tmp_path / "before")
            with pytest.raises(ConflictError, match=rf"the home that was here before still runs .process {holder.pid}"):
                restore(good, home.folder)
            restore(good, tmp_path / "other")
        finally:
            holder.kill()
    restore(good, home.folder)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("moment", ["unpacking", pytest.param("the rows", marks=pytest.mark.slow), "the end"])
def test_a_killed_restore_is_refused_and_repeated(
    good: Path, tmp_path: Path, postgres: Server, kind: str, moment: str
) -> None:
    """Killed at any moment, the home says that it is not whole to all who open it; restored again, it is."""
    killed = {
        "unpacking": "from tunewell.service.upkeep import unpacking as m; n='Unpacking'; o=m.Unpacking._settle; "
        "m.Unpacking._settle=lambda *a: os._exit(9)",
        "the rows": "m.dumping.write_rows=lambda *a: os._exit(9)",
        "the end": "w=m.dumping.write_rows; m.dumping.write_rows=lambda *a: (w(*a), os._exit(9))",
    }[moment]
    home = tmp_path / "other"
    with postgres.new_database() as postgresql:
        database = postgresql if kind == "postgresql" else None
        program = (
            f"import os, sys; from pathlib import Path; from tunewell.service.upkeep import restoring as m\n{killed}\n"
            "from tunewell.service.upkeep import restoring\n"
            "restoring.restore(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])"
        )
        arguments = [str(good), str(home), *([database] if database else [])]
        assert subprocess.run([sys.executable, "-c", program, *arguments], check=False).returncode == 9
        assert (home / RESTORING).exists()
        for access in ("make", "write"):
            with pytest.raises(UserError, match="a backup is being restored into it"):
                Service(home, database, access)  # type: ignore[arg-type]
        restore(good, home, database)
        with Service(home, database) as service:
            assert service.store.experiments()


def test_two_restores_at_once(good: Path, tmp_path: Path) -> None:
    """Of two processes that restore into one folder, one is refused."""
    home = Home(tmp_path / "other")
    with (
        pytest.raises(ConflictError, match="another process restores into it"),
        restoring._begun(home, archive.About(1, "", "", 0.0, "", 0, 0)),
    ):
        restore(good, home.folder)


def test_pictures_that_are_to_be_predicted(service: Service, tmp_path: Path) -> None:
    """Those of jobs that have not ended are in a backup, and found by the job where they are then."""
    for name in ("0" * 32, "1" * 32):
        folder = service.home.inputs / name
        folder.mkdir(parents=True)
        (folder / "a.png").write_text("picture")
        with service.store.transaction() as tx:
            job = tx.add_job("predict", None, {"inputs": ["."], "directory": str(folder)}, "ada", None)
            if name == "1" * 32:
                tx.end_waiting_job(job, JobEnd(JobState.STOPPED))
    restore(made(service, tmp_path / "b.tar"), tmp_path / "other")
    with Service(tmp_path / "other") as other:
        (waiting,) = other.store.jobs(kind="predict", states=(JobState.WAITING,))
        assert Path(waiting.arguments["directory"]) == other.home.inputs / ("0" * 32)
        assert [path.name for path in other.home.inputs.iterdir()] == ["0" * 32]
        assert (other.home.inputs / ("0" * 32) / "a.png").read_text() == "picture"
