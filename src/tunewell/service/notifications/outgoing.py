"""By what notifications are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunewell.service.notifications.mail import MailServer


@dataclass(frozen=True, slots=True)
class Outgoing:
    """By what, and with what address, the service sends."""

    #: What takes mails; None: nothing does.
    mail: MailServer | None = None
    #: Where people find the service, for links, without a slash at its end; empty: that is not known.
    address: str = ""


#: Of a process that nobody has told: webhooks alone, without links.
UNTOLD = Outgoing()
