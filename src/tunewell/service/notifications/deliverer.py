"""Delivering: at least once, again and again for a day, whatever ends meanwhile.

What is to be sent is on record. Whoever sends something claims it first, for longer than an attempt can take; an
attempt whose process dies is made again when its claim is over, with the same message. So receivers may be told twice,
which the message's id tells them, and nothing is lost.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.notifications.sending import Outcome, send
from tunewell.spec.errors import UserError
from tunewell.store.rows import ChannelRow, DeliveryRow, JsonObject
from tunewell.store.store import Store

log = logging.getLogger(__name__)

#: How often it is looked for what is to be sent.
LOOK_SECONDS = 1.0
#: For how long an attempt is claimed: longer than any takes.
CLAIM_SECONDS = 120.0
#: Attempts at the same time: of all, and of one user's channels, so that receivers who hang keep no others waiting.
MOST_AT_ONCE, MOST_OF_ONE = 48, 6
#: How long attempts that are being made may go on when the process is to end.
END_SECONDS = 3.0
#: Wait after the first attempt, by how much it grows with each, and the longest.
FIRST_WAIT_SECONDS, GROWTH, LONGEST_WAIT_SECONDS = 10.0, 3.0, 4 * 3600.0
#: Deliveries that are looked at in one go: more than may be sent at once, as some may have to wait for others.
_MOST_LOOKED_AT = 500
#: By how much waits differ, so that what failed together does not come again together.
_JITTER = 0.2


def backoff(attempts: int, draw: Callable[[], float] = random.random) -> float:
    """Return how long to wait after so many attempts, in seconds; `draw` gives numbers from 0 to 1."""
    wait = min(FIRST_WAIT_SECONDS * GROWTH ** min(attempts - 1, 20), LONGEST_WAIT_SECONDS)
    return wait * (1 + _JITTER * (2 * draw() - 1))


def attempt(store: Store, outgoing: Outgoing, channel: ChannelRow, row: DeliveryRow, claim: str) -> None:
    """Send a delivery that is claimed, and record what has become of it."""
    try:
        outcome = send(store, outgoing, channel, row)
    except Exception:
        log.exception("delivery %d could not be sent", row.id)
        outcome = Outcome("It could not be sent, for an error of the service itself.")
    now = time.time()
    with store.transaction() as tx:
        if not tx.end_attempt(row.id, claim, _facts_of(outcome, row, now)):
            return
        if outcome.is_gone:
            tx.set_channel(channel.id, {"active": False, "reason": outcome.error})
        if outcome.rest_seconds:
            tx.set_channel(channel.id, {"resting_until": now + outcome.rest_seconds})


def _facts_of(outcome: Outcome, row: DeliveryRow, now: float) -> JsonObject:
    told: JsonObject = {"status": outcome.status, "error": outcome.error}
    if not outcome.error:
        return {**told, "state": "delivered", "next_at": None, "ended_at": now}
    if outcome.for_good or now >= row.expires_at:
        return {**told, "state": "failed", "next_at": None, "ended_at": now}
    # `attempts` is that before this one; the last attempt comes when time is over.
    wait = max(backoff(row.attempts + 1), outcome.rest_seconds or 0.0)
    return {**told, "state": "waiting", "next_at": min(now + wait, row.expires_at)}


class Deliverer:
    """Sends all that is on record to be sent, in threads of its own."""

    def __init__(self, store: Store, outgoing: Outgoing) -> None:
        """Take where it is on record, and by what it is sent."""
        self._store, self._outgoing = store, outgoing
        self._running: dict[int, tuple[str, threading.Thread]] = {}
        # Set when an attempt has ended, after which more may be due to the same channel.
        self._ended = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set."""
        told = ""
        while not stop.is_set():
            self._ended.wait(LOOK_SECONDS)
            self._ended.clear()
            try:
                self.look()
                told = ""
            except UserError as error:  # a database that is away, which others tell, too
                if str(error) != told:
                    told = str(error)
                    log.warning("no notification is sent: %s", error)
            except Exception:
                log.exception("no notification is sent")
        deadline = time.monotonic() + END_SECONDS
        for _, thread in self._running.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def look(self) -> None:
        """Begin with what is due, as far as there is room."""
        self._running = {id: one for id, one in self._running.items() if one[1].is_alive()}
        for row in self._store.due_deliveries(time.time(), _MOST_LOOKED_AT):
            if len(self._running) >= MOST_AT_ONCE:
                break
            channel = self._store.find_channel(row.channel_id)
            owners = [owner for owner, _ in self._running.values()]
            if channel is not None and owners.count(channel.owner) < MOST_OF_ONE:
                self._begin(channel, row)

    def _begin(self, channel: ChannelRow, row: DeliveryRow) -> None:
        claim, now = uuid.uuid4().hex, time.time()
        with self._store.transaction() as tx:
            if not tx.claim_delivery(row.id, claim, now + CLAIM_SECONDS, now):
                return
        thread = threading.Thread(target=self._attempt, args=(channel, row, claim), daemon=True)
        self._running[row.id] = (channel.owner, thread)
        thread.start()

    def _attempt(self, channel: ChannelRow, row: DeliveryRow, claim: str) -> None:
        try:
            attempt(self._store, self._outgoing, channel, row, claim)
        except UserError as error:  # its claim ends by itself, and it is sent again
            log.warning("what became of delivery %d is not on record: %s", row.id, error)
        self._ended.set()


@contextmanager
def delivering(store: Store, outgoing: Outgoing) -> Iterator[None]:
    """Have everything sent that is to be, as long as the block lasts, beside what is done in it."""
    stop = threading.Event()
    thread = threading.Thread(
        target=Deliverer(store, outgoing).run, args=(stop,), name="tunewell-notifications", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
