"""Writing on what others ask for: requests to controllers, and answers that are given once."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from tunewell.spec.errors import ConflictError, TransitionRefused
from tunewell.store.rows import JsonObject, Verb
from tunewell.store.tables import answer, experiment, request
from tunewell.store.writes.writer import Writer, or_present


class RequestWrites(Writer):
    """The part of a transaction that is about requests and answers."""

    def add_request(
        self,
        name: str | None,
        verb: Verb,
        trial: int | None = None,
        key: str | None = None,
        data: JsonObject | None = None,
        now: float | None = None,
        job: int | None = None,
    ) -> int:
        """Ask the controller of an experiment, or of a job (then `name` is None), for something.

        Returns the id of the request, or of the same one made earlier under the same `key`. Raises `ConflictError` if
        another request was made under the key.
        """
        assert (name is None) != (job is None), "a request is about an experiment or about a job"
        about = {"experiment_id": None if name is None else self._find(name).id, "job": job}
        if job is not None:
            self._experiment_of(job)
        asked = {"verb": verb, "trial": trial, "data": data or {}}
        new = self._dialect.insert(request).values(**about, **asked, key=key, created_at=or_present(now))
        added: int | None = self._execute(new.on_conflict_do_nothing().returning(request.c.id)).scalar()
        if added is not None:
            self._touch_about(name, job)
            return added
        place = request.c.job == job if name is None else request.c.experiment_id == about["experiment_id"]
        earlier = self._connection.execute(select(request).where(place, request.c.key == key)).one()
        if {field: earlier._mapping[field] for field in asked} != asked:
            raise ConflictError(f"Key '{key}' was used for another request ({earlier.verb}). Use a new key.")
        return int(earlier.id)

    def close_requests(self, name: str, now: float | None = None) -> None:
        """Mark all that is asked of an experiment as dealt with."""
        this = self._find(name)
        still_open = (request.c.experiment_id == this.id, request.c.handled_at.is_(None))
        self._execute(update(request).where(*still_open).values(handled_at=or_present(now)))
        self._touch(this)

    def handle_request(self, request_id: int, now: float | None = None) -> None:
        """Mark a request as dealt with; refused if it was already."""
        this = (request.c.id == request_id, request.c.handled_at.is_(None))
        handled = update(request).where(*this).values(handled_at=or_present(now))
        row = self._execute(handled.returning(request.c.experiment_id, request.c.job)).first()
        if row is None:
            raise TransitionRefused(f"request {request_id} has been handled, or does not exist")
        name = None
        if row.experiment_id is not None:
            named = select(experiment.c.name).where(experiment.c.id == row.experiment_id)
            name = self._connection.execute(named).scalar_one()
        self._touch_about(name, row.job)

    def _touch_about(self, name: str | None, job: int | None) -> None:
        if name is not None:
            self._touch(self._find(name))
        if job is not None:
            self._touched_jobs.add(job)

    def answered(self, caller: str, key: str, verb: str, fingerprint: str) -> JsonObject | None:
        """Return what a caller was answered under a key; None: nothing yet.

        Raises `ConflictError` if it was for another verb, or for arguments with another fingerprint.
        """
        place = (answer.c.caller == caller, answer.c.key == key)
        row = self._execute(select(answer).where(*place)).first()
        if row is None:
            return None
        if (row.verb, row.fingerprint) != (verb, fingerprint):
            raise ConflictError(
                f"Key '{key}' was used for another request ({row.verb})", remedy="Use a new key", kind="key-used"
            )
        given: JsonObject = row.answer
        return given

    def forget_answers(self, before: float) -> None:
        """Forget what callers were answered under keys before a moment."""
        self._execute(delete(answer).where(answer.c.created_at < before))

    def answer(
        self, caller: str, key: str, verb: str, fingerprint: str, answer_: JsonObject, now: float | None = None
    ) -> None:
        """Record what a caller is answered under a key, for the case that it asks again."""
        facts = {"verb": verb, "fingerprint": fingerprint, "answer": answer_, "created_at": or_present(now)}
        self._execute(insert(answer).values(caller=caller, key=key, **facts))
