"""A channel and a delivery, of which tests change what matters to them."""

from __future__ import annotations

from tunewell.store.rows import ChannelRow, DeliveryRow

CHANNEL = ChannelRow(
    id=0,
    owner="ada",
    kind="webhook",
    label="größe 🎛",
    target="https://hooks.example.org/x",
    body="json",
    secret="whsec_AAAA",
    events=("ended",),
    searches="own",
    project="",
    active=True,
    reason="",
    created_at=1.0,
    confirmed_at=1.0,
    wrong_codes=0,
    resting_until=None,
    removed_at=None,
)
DELIVERY = DeliveryRow(
    id=0,
    channel_id=0,
    message="msg_" + 32 * "a",
    event="test",
    facts={},
    state="waiting",
    attempts=0,
    status=None,
    error="",
    created_at=1.0,
    next_at=1.0,
    expires_at=100.0,
    tried_at=None,
    ended_at=None,
    claim=None,
    claimed_until=None,
)
