"""Opening the home of a service, as each of its processes does for itself."""

from __future__ import annotations

import logging
import time

from tunewell.server.channel import Order
from tunewell.service.notifications.mail import MailServer
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.notifications.sending import public_address
from tunewell.service.service import Service
from tunewell.store.errors import Busy, Unreachable

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5


def opened(order: Order) -> Service:
    """Return the service of an order; where it was at work before, a database that is away is waited for.

    Raises:
        UserError: it can't be opened.
    """
    told = False
    while True:
        try:
            service = Service(order.options.home, order.options.database)
            options = order.options
            service.allows_functions = options.allow_functions
            service.uses_cluster = options.ray is not None
            mail = MailServer.named(options.smtp, options.mail_from, options.smtp_password_file)
            service.outgoing = Outgoing(mail, public_address(options.address))
            return service
        except (Unreachable, Busy) as error:
            if order.first:
                raise
            if not told:
                log.error("the database can't be used (%s); trying again", error)
            told = True
            time.sleep(RETRY_SECONDS)
