"""The home folder: where the database, the experiments' folders and the caches lie.

::

    HOME/
      identity.json                      the home's own identity, and where it is: tells it from a copy
      tunewell.db                        the store
      secret                             what the credentials of attempts are made with
      serve.lock                         held by the controller that runs all that is on record, if there is one
      serve.url                          where the service is found, held by it
      cache/                             what experiments share (decoded pictures, weights)
      keep.lock                          held by a backup, so that nothing goes that it copies
      restoring.json                     a backup is being restored into it, and is not whole yet
      claims-HOST.jsonl                  who holds which cores, memory and GPUs of that machine
      uploads/ID                         a file that a user sends, as far as it has come
      datasets/SHA256/                   data sets that were sent, by their content, closed to writing
      code/SHA256/                       programs that were sent, likewise
      models/SHA256/                     models that were published, likewise
      run/                               sockets of the processes that serve the home
      inputs/ID/                         pictures that were sent to be predicted
      experiments/NAME/                  of other owners than the person whose home it is: experiments/@OWNER/NAME
        identity.json                    which experiment it belongs to, and of which database
        controller.lock                  held by the one controller that runs the experiment
        trials/NUMBER/ATTEMPT/           one attempt: identity.json, parameters.json, reports.jsonl, output.log, …
        workers/                         offers to workers elsewhere, and what they have taken
      jobs/ID/ATTEMPT/                   one attempt at a job: an evaluation, a retraining, …
      set-aside/NUMBER/experiments/…     what was found where something of another identity belongs

A name is no proof: a database can be moved away, put back from an older copy, or be one of several beside the same
home. So the folders of experiments and attempts have random identities, which the store knows. One that has another
identity is another life's: nothing is read from it, and where its place is needed it is set aside as a whole.
A database belongs to one home: two would each have a controller of the same experiment.

Where the database is on a server, it says who serves and who runs what. A controller.lock is then shared by all who
have run the experiment, and only keeps those away who come with another database.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TextIO

from tunewell.home import locks
from tunewell.home.address import ADDRESS
from tunewell.home.disk import size_of
from tunewell.home.locks import LOCK_SECONDS
from tunewell.schedulers.records import IDENTITY, identity_of, inode, make_folder
from tunewell.spec.errors import ArgumentError, ConflictError, DataError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.names import HOME_OWNER
from tunewell.spec.text import is_text
from tunewell.store.rows import HomeRow
from tunewell.store.session import Lease
from tunewell.store.store import Store
from tunewell.trial.files import read_json, write_json

#: How long a controller may be away that has lost its connection to the database.
AWAY_SECONDS = 10.0
_SECRET_BYTES = 32
#: File that is held by whoever runs an experiment or a job, in its folder.
LOCK, _SERVE = "controller.lock", "serve.lock"
#: Folder of the home for what is set aside.
SET_ASIDE = "set-aside"
#: Folder of the home for pictures that were sent to be predicted.
INPUTS = "inputs"
#: What says that a backup is being restored into a home.
RESTORING = "restoring.json"


class Home:
    """Paths below one home folder, and whose they are."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        """Take the folder as home; it is made when something is first written.

        `store` knows the identities of experiments; without it, the folder of a name is the experiment's.

        Raises `ArgumentError` for a path that can't be recorded.
        """
        self.folder = folder.absolute()
        if not is_text(str(self.folder)):
            raise ArgumentError("home", "its path is not UTF-8", "Choose another folder")
        self._store = store
        self._settled = store is None

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Both names of the folder: as it was given, and where it really lay when this was asked first."""
        return tuple({str(self.folder), self.real_path})

    @cached_property
    def real_path(self) -> str:
        """Where the folder really lies, links followed: what recorded paths go by. Looked up once."""
        return str(self.folder.resolve())

    @property
    def database_url(self) -> str:
        """URL of the embedded database."""
        return f"sqlite:///{self.folder / 'tunewell.db'}"

    @property
    def identity(self) -> str:
        """What tells this home from all others; empty before it has any."""
        return identity_of(self.folder) or ""

    @property
    def cache(self) -> Path:
        """Folder of what experiments share."""
        return self.folder / "cache"

    @property
    def uploads(self) -> Path:
        """Folder of the files that users send."""
        return self.folder / "uploads"

    @property
    def datasets(self) -> Path:
        """Folder of the data sets that were sent."""
        return self.folder / "datasets"

    @property
    def models(self) -> Path:
        """Folder of the models that were published, each in a folder under the checksum of its content."""
        return self.folder / "models"

    @property
    def code(self) -> Path:
        """Folder of the programs that were sent."""
        return self.folder / "code"

    @property
    def inputs(self) -> Path:
        """Folder of the pictures that were sent to be predicted."""
        return self.folder / INPUTS

    @property
    def claims(self) -> Path:
        """File in which all schedulers of this machine count what they hold of it together."""
        return self.folder / f"claims-{socket.gethostname()}.jsonl"

    @property
    def secret(self) -> bytes:
        """The home's own 32 random bytes, made when they are first asked for, which nobody but its owner can read.

        Raises:
            DataError: they can't be read or written, or are damaged.
        """
        path = self.folder / "secret"
        try:
            if not path.exists():
                self.create()
                new = path.with_name(f"secret-{uuid.uuid4().hex}")
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(secrets.token_bytes(_SECRET_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                with suppress(FileExistsError):  # of several processes, the first decides
                    os.link(new, path)
                new.unlink()
            found = path.read_bytes()
        except OSError as error:
            raise DataError(f"it can't be read or written ({error.strerror})", field=str(path)) from None
        if len(found) != _SECRET_BYTES:
            raise DataError("it is damaged", field=str(path), remedy="Delete it: attempts that run can't report then")
        return found

    def create(self) -> None:
        """Make the folder, closed to all but its owner; raise `DataError` if it can't be written.

        Folders that are there keep the mode that they have: who opens one to others by hand, means it.

        Raises `ConflictError` for one into which a backup was not restored to its end.
        """
        self.check_whole()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "no permission, or a read-only disk")
        except OSError as error:
            raise self._not_writable(error) from None

    def check_whole(self) -> None:
        """Raise `ConflictError` if a backup is being restored into the home, or was not to its end."""
        if (self.folder / RESTORING).exists():
            raise ConflictError(
                "a backup is being restored into it, and that has not come to its end",
                field=str(self.folder),
                remedy="If nobody is at it any more, restore it again",
                kind="half-restored",
            )

    def found(self, identity: str) -> HomeRow:
        """Give the folder, which is nobody's home yet, an identity; return what the database is to say of it."""
        write_json(self.folder / IDENTITY, {"identity": identity, **self._here()}, durable=True)
        return HomeRow(identity, str(self.folder))

    def _not_writable(self, error: OSError) -> DataError:
        return DataError(
            f"the home folder can't be written ({error.strerror or error})",
            field=str(self.folder),
            remedy="Choose another one",
            kind="home-not-writable",
        )

    def size_of(self, owner: str) -> int:
        """Return what the folders of a user's experiments take up on the disk, in bytes. Takes a while."""
        place = self.folder / "experiments"
        if owner != HOME_OWNER:
            return size_of(place / f"@{owner}")
        own = (path for path in place.glob("*") if not path.name.startswith("@"))
        return sum(map(size_of, own))

    # Whose folders ----------------------------------------------------------------------------------------

    def experiment(self, name: str) -> Path:
        """Folder of an experiment: its place, or where it was set aside; with nothing in it if it has left none."""
        place = _place_of_experiment(name)
        identity = self._identity(name)
        if identity is None or self._is_unclaimed(self.folder / place):
            return self.folder / place
        return self._find(place, identity)

    def places(self, name: str) -> list[Path]:
        """Folders that have the identity of an experiment: its place, and where others were set aside."""
        return list(self._find_all(_place_of_experiment(name), self._identity(name)))

    def folders_of(self, name: str, identity: str) -> list[Path]:
        """Folders that have this identity, where an experiment of this name may be: whatever is on record by now."""
        return list(self._find_all(_place_of_experiment(name), identity))

    def attempt(self, key: AttemptKey, identity: str | None) -> Path:
        """Folder of an attempt that was started, found as `experiment` finds."""
        return self._find(_place_of_attempt(key), identity)

    def job(self, number: int) -> Path:
        """Folder of a job; its attempts lie in it."""
        return self.folder / _place_of_job(number)

    def place(self, key: AttemptKey) -> Path:
        """Where an attempt's folder belongs, whatever lies there."""
        return self.folder / _place_of_attempt(key)

    def claim(self, name: str) -> None:
        """Make sure that the place of an experiment's folder is its own, for something that is to be written there.

        Raises:
            ConflictError: an experiment of this name in another database is at work there.
        """
        self.settle()
        if self._is_own(name):
            return
        try:
            with self.lock(name):
                pass
        except ConflictError:
            if not self._is_own(name):  # else it has been made its own meanwhile, by who runs it
                raise

    def adopt(self) -> None:
        """Make this the home of the database, whose own is gone for good."""
        assert self._store is not None
        with locks.held(self.folder / "home.lock", self._explain_settling):
            self._store.set_home(HomeRow(self._settle_identity(self._store), str(self.folder)))

    def settle(self) -> None:
        """Make sure that this is the home of the database; a copied home becomes one of its own, with a note.

        Nothing is made for a database that belongs elsewhere.

        Raises:
            ConflictError: the database belongs to another home.
        """
        if self._settled or self._store is None:
            return
        self.check()
        self.create()
        if not self._is_as_recorded(self._store):
            with locks.held(self.folder / "home.lock", self._explain_settling):
                identity = self._settle_identity(self._store)
            self._check_database(identity)
            row = HomeRow(identity, str(self.folder))
            if self._store.home() != row:
                self._store.set_home(row)
        self._settled = True

    def check(self) -> None:
        """Raise `ConflictError` if the database belongs to another home, or this one is not whole; write nothing."""
        self.check_whole()
        if not self._settled:
            self._check_database(self._identity_here())

    def _check_database(self, identity: str | None) -> None:
        """Raise `ConflictError` unless a home of this identity, None for a new one, is that of the database."""
        known = self._store.home() if self._store is not None else None
        if self._store is None or known is None or known.identity == identity:
            return
        if Path(self._store.place).is_relative_to(self.folder):
            return
        if self._is_shared or identity_of(Path(known.folder)) == known.identity:
            raise ConflictError(
                f"this database belongs to the home {known.folder}",
                field=self._store.place,
                remedy="Name that one, or use another database",
                kind="home-gone" if self._is_shared else "database-of-another-home",
            )

    def _explain_settling(self, holder: str) -> ConflictError:
        return ConflictError(f"process {holder} is settling it", field=str(self.folder), remedy="Try again")

    @property
    def _is_shared(self) -> bool:
        """Whether processes on other machines, where other folders lie, may use the database."""
        return self._store is not None and self._store.session is not None

    def _settle_identity(self, store: Store) -> str:
        """Return the home's identity, a new one where the folder is new, or a copy of another that is still there."""
        known, record = self._identity_here(), self._record()
        identity = known or uuid.uuid4().hex
        if record is not None and known is None:
            note = f"This home is a copy of {record['path']}. What ran there when it was copied runs again here."
            for row in store.experiments():
                if not row.state.final:
                    store.add_notes(row.name, [note])
        if record != {"identity": identity, **self._here()}:
            write_json(self.folder / IDENTITY, {"identity": identity, **self._here()})
        return identity

    def _is_as_recorded(self, store: Store) -> bool:
        """Whether folder and database say of each other what is so, as they mostly do."""
        known = store.home()
        if known is None or known.folder != str(self.folder):
            return False
        return self._record() == {"identity": known.identity, **self._here()}

    def _identity_here(self) -> str | None:
        """Return the identity that the folder has; None where it is to get one: see `_settle_identity`."""
        record, here = self._record(), self._here()
        if record is None:
            return None
        identity = str(record["identity"])
        is_other = record["folder"] != here["folder"] and record["path"] != here["path"]
        return None if is_other and identity_of(Path(record["path"])) == identity else identity

    def _record(self) -> dict[str, Any] | None:
        """Return what the folder says of itself; None: nothing, or it is damaged."""
        record = read_json(self.folder / IDENTITY)
        return record if record is not None and record.keys() == {"identity", *self._here()} else None

    def _here(self) -> dict[str, Any]:
        return {"path": str(self.folder), "folder": inode(self.folder)}

    def set_aside(self, place: Path) -> Path:
        """Move a folder away, to where nothing takes it for what its place says; return where it is now."""
        relative = place.relative_to(self.folder)
        for number in itertools.count(1):
            target = self.folder / SET_ASIDE / str(number) / relative
            if not os.path.lexists(target):
                (self.folder / SET_ASIDE).mkdir(mode=0o700, exist_ok=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                place.rename(target)
                return target
        raise AssertionError("numbers never run out")

    def _identity(self, name: str) -> str | None:
        return self._store.identity(name) if self._store is not None else None

    def _find(self, place: Path, identity: str | None) -> Path:
        found = self._find_all(place, identity)
        there = self.folder / place
        nowhere = self.folder / SET_ASIDE / "none" / place
        return next(found, nowhere if os.path.lexists(there) else there)

    def _find_all(self, place: Path, identity: str | None) -> Iterator[Path]:
        for folder in (self.folder / place, *self.folder.glob(f"{SET_ASIDE}/*/{place}")):
            if identity is not None and identity_of(folder) == identity:
                yield folder

    def _is_own(self, name: str) -> bool:
        identity = self._identity(name)
        return identity is None or identity_of(self.folder / _place_of_experiment(name)) == identity

    def _is_unclaimed(self, folder: Path) -> bool:
        """Whether a folder is not there, or nobody has left anything in it."""
        return not folder.exists() or {path.name for path in folder.iterdir()} <= {LOCK}

    def _take(self, name: str) -> bool:
        """Give an experiment's folder, whose lock is held, its identity, in its place; False: that is another's."""
        folder, identity = self.folder / _place_of_experiment(name), self._identity(name)
        if self._is_own(name):
            return True
        if identity is None or self._store is None or not self._is_unclaimed(folder):
            return False
        make_folder(folder, identity, database=self._store.place)
        return True

    def _make_way(self, name: str) -> None:
        """Set the folder of another experiment aside, whose lock is held, and put the own one back, if there is one."""
        from tunewell.schedulers.leftovers import living  # a folder is seldom in the way

        place = self.folder / _place_of_experiment(name)
        busy = living(place.glob("trials/*/*"))
        if busy is not None:
            raise ConflictError(
                f"this is the folder of another experiment '{name}'{_of_database(place)}, and processes that "
                f"it started still run ({busy})",
                field=str(place),
                remedy="Wait for their end, or choose another `name` or home",
                kind="folder-busy",
            )
        own = self._find_all(_place_of_experiment(name), self._identity(name))
        target = self.set_aside(place)
        found = next(own, None)
        if found is not None:
            found.rename(place)
        if self._store is not None:
            note = (
                f"Its folder was that of another experiment of this name{_of_database(target)}, which was set aside: "
                f"{target}."
            )
            self._store.add_notes(name, [note])

    # Locks ------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, name: str, patience: float = LOCK_SECONDS) -> Iterator[Lease]:
        """Hold the right to run an experiment, in a folder of its own; wait for it no longer than `patience` seconds.

        Raises:
            ConflictError: another process has it, or runs an experiment of this name in another database.
        """
        self.settle()
        place = self.folder / _place_of_experiment(name)

        def explain(holder: str) -> ConflictError:
            if self._is_own(name):
                return ConflictError(
                    f"Experiment '{name}' is being run by process {holder}",
                    remedy="Watch it, or stop it",
                    kind="experiment-running",
                    experiment=name,
                )
            return ConflictError(
                f"process {holder} runs another experiment '{name}'{_of_database(place)} there",
                field=str(place),
                remedy="Wait for it, or choose another `name` or home",
                kind="folder-busy",
            )

        while True:
            with self._owned("experiment", name, place, explain, patience) as (lease, file):
                if self._take(name):
                    yield lease
                    return
                # Whoever else may be at work in the folder is of another database.
                holder = locks.lock(file, patience)
                if holder is not None:
                    raise explain(holder)
                self._make_way(name)

    @contextmanager
    def lock_job(self, number: int, patience: float = LOCK_SECONDS) -> Iterator[Lease]:
        """Hold the right to run a job, as `lock` does; raise `ConflictError` if another process has it."""
        self.settle()

        def explain(holder: str) -> ConflictError:
            return ConflictError(f"Job {number} is being run by process {holder}", remedy="Wait for it")

        with self._owned("job", number, self.job(number), explain, patience) as (lease, _):
            yield lease

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Hold the right to run all that is on record in this home, which on PostgreSQL any number of processes have.

        Raises:
            ConflictError: another process has it.
            DataError: nothing can be written, so nothing run.
        """
        self.settle()
        if self._store is not None:
            self._store.check_writable()

        def explain(holder: str) -> ConflictError:
            what = f"a service or controller (process {holder}) runs this home already"
            return ConflictError(what, field=str(self.folder))

        session = self._store.session if self._store is not None else None
        if session is None:
            with locks.held(self.folder / _SERVE, explain):
                yield
        else:
            with session.own("serve", 0, LOCK_SECONDS) as holder:
                if isinstance(holder, str):
                    raise explain(holder)
                yield

    @property
    def is_served(self) -> bool:
        """Whether a controller runs all that is on record in this home."""
        if self._store is not None and self._is_shared:
            return bool(self._store.owned("serve"))
        return locks.is_held(self.folder / _SERVE)

    @property
    def address(self) -> str | None:
        """Where people find the service of this home; None: no service runs on this machine."""
        with suppress(OSError):
            if locks.is_held(self.folder / ADDRESS):
                return (self.folder / ADDRESS).read_text()
        return None

    @property
    def away_seconds(self) -> float:
        """How long nobody may serve before nobody does: who has lost the connection to the server is back soon."""
        return AWAY_SECONDS if self._is_shared else 0.0

    @property
    def at_work(self) -> str:
        """What a process does in this home now, for people; empty: nothing."""
        if self.is_served:
            return "a controller runs what is recorded in it"
        for kind in ("experiments", "jobs"):
            for lock in (*self.folder.glob(f"{kind}/*/{LOCK}"), *self.folder.glob(f"{kind}/@*/*/{LOCK}")):
                if locks.is_held(lock):
                    name = str(lock.parent.relative_to(self.folder / kind)).removeprefix("@")
                    return f"{kind[:-1]} '{name}' is being run"
        return ""

    def is_running(self, name: str) -> bool:
        """Whether a controller runs the experiment now."""
        if self._store is not None and self._is_shared:
            return self._store.experiment_id(name) in self._store.owned("experiment")
        return locks.is_held(self.experiment(name) / LOCK)

    def running(self, ids: Mapping[str, int]) -> set[str]:
        """Return those of several experiments, given with their ids in the store, that a controller runs now."""
        if self._store is not None and self._is_shared:
            owned = self._store.owned("experiment")
            return {name for name, id in ids.items() if id in owned}
        return {name for name in ids if locks.is_held(self.experiment(name) / LOCK)}

    @contextmanager
    def _owned(
        self,
        kind: Literal["experiment", "job"],
        which: str | int,
        folder: Path,
        explain: Callable[[str], ConflictError],
        patience: float,
    ) -> Iterator[tuple[Lease, TextIO]]:
        """Own an experiment or a job; gives the proof, and the lock in its folder.

        Where the database proves it, the folder is shared with those who owned it before: a process that was stopped
        has it still. That tells those alone that come with another database.
        """
        store = self._store
        if store is None or store.session is None:
            with locks.held(folder / LOCK, explain, patience) as file:
                yield Lease(), file
            return
        number = which if isinstance(which, int) else store.experiment_id(which)
        with store.session.own(kind, number, patience) as lease:
            if isinstance(lease, str):
                raise explain(lease)
            with locks.held(folder / LOCK, explain, patience, shared=True) as file:
                yield lease, file


def _place_of_experiment(name: str) -> Path:
    owner, _, own = name.rpartition("/")
    return Path("experiments", f"@{owner}", own) if owner else Path("experiments", own)


def _place_of_job(number: int) -> Path:
    return Path("jobs", str(number))


def _place_of_attempt(key: AttemptKey) -> Path:
    return _place_of_experiment(key.experiment) / "trials" / str(key.trial) / str(key.attempt)


def _of_database(folder: Path) -> str:
    database = (read_json(folder / IDENTITY) or {}).get("database")
    return f" (database: {database})" if database else ""
