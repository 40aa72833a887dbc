"""Mail: the server that takes it, and how a message is made of texts."""

from __future__ import annotations

import os
import re
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tunewell.spec.errors import ArgumentError, SpecError, shortened

#: Environment variable that holds the password for the mail server.
PASSWORD = "TUNEWELL_SMTP_PASSWORD"
#: How long each step of the talk with the server may take, in seconds.
STEP_SECONDS = 10.0
_LONGEST_ADDRESS, _LONGEST_ERROR = 254, 200
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """The mail was not taken; the text says why."""

    def __init__(self, why: str, status: int | None = None, for_good: bool = False) -> None:
        """Take the status of the server, if it gave one, and whether another try can't be answered otherwise."""
        super().__init__(why)
        self.status = status
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class MailServer:
    """What takes mails of the service, and from whom they are."""

    host: str
    port: int
    #: Whether TLS begins with the connection, instead of by STARTTLS.
    is_tls: bool
    #: Empty: it wants none.
    user: str
    password: str = field(repr=False)
    #: Address that mails are from.
    sender: str

    @classmethod
    def parse(cls, url: str, sender: str, password: str = "") -> MailServer:
        """Return what `smtp://user@host:587` (STARTTLS) or `smtps://host:465` names.

        Raises:
            ArgumentError: it is none, or the address of the sender is none.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        if parts.password is not None:
            problem = "a password in it is shown in lists of processes"
            raise ArgumentError("smtp", problem, "Give it in TUNEWELL_SMTP_PASSWORD, or in a file")
        if parts.scheme not in ("smtp", "smtps") or not host or parts.path not in ("", "/") or parts.query:
            remedy = "Write it like smtp://user@mail.example.org:587 or smtps://mail.example.org"
            raise ArgumentError("smtp", f"'{shortened(url, 100)}' is no address of a mail server", remedy)
        try:
            checked_address(sender)
        except SpecError as error:
            raise ArgumentError("mail_from", error.what, error.remedy, sender) from None
        is_tls = parts.scheme == "smtps"
        user = unquote(parts.username or "")
        return cls(host, port or (465 if is_tls else 587), is_tls, user, password, sender)

    @classmethod
    def named(cls, url: str, sender: str, password_file: Path | None) -> MailServer | None:
        """Return the mail server that a process is started with; its password is in a file, or in the environment.

        None: none is named.

        Raises:
            ArgumentError: one of the three is wrong, or goes with another one that is missing.
        """
        if not url:
            if sender:
                raise ArgumentError("mail_from", "there is no mail server", "Name one, or leave it out", sender)
            return None
        if not sender:
            raise ArgumentError("mail_from", "mails need an address that they are from", "Give one of your domain")
        password = os.environ.get(PASSWORD, "")
        if password_file is not None:
            try:
                password = password_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise ArgumentError(
                    "smtp_password_file", f"'{password_file}' can't be read", "Name a file with nothing but it"
                ) from None
        return cls.parse(url, sender, password)

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, so that nobody is on the way."""
        return self.host in _LOOPBACK


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail."""

    to: str
    subject: str
    text: str
    html: str
    #: What its receiver knows it by, however often it is sent: it becomes the `Message-ID`.
    message: str


def checked_address(text: str, field: str = "target") -> str:
    """Return an address that a mail can be sent to; raise `SpecError` for anything else."""
    if len(text) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(text):
        raise SpecError(field, f"'{shortened(text, 60)}' is no mail address", "Write it like ada@example.org", text)
    return text


def send(server: MailServer, mail: Mail, context: ssl.SSLContext | None = None) -> int:
    """Hand a mail over to the server; return its status.

    Raises:
        Refused: it was not taken.
    """
    try:
        with _connected(server, context or ssl.create_default_context()) as smtp:
            smtp.send_message(_message(server, mail), server.sender, [mail.to])
            return 250
    except smtplib.SMTPRecipientsRefused as error:
        status, text = next(iter(error.recipients.values()))
        raise Refused(f"The mail server refuses the address: {_told(text)}", status, 500 <= status < 600) from None
    except smtplib.SMTPAuthenticationError as error:
        raise Refused("The mail server refuses user name or password.", error.smtp_code) from None
    except smtplib.SMTPResponseException as error:
        raise Refused(f"The mail server answers: {_told(error.smtp_error)}", error.smtp_code) from None
    except smtplib.SMTPNotSupportedError:
        raise Refused("The mail server offers no TLS, and nothing is sent without.") from None
    except ssl.SSLError:
        raise Refused("The mail server has no certificate that is trusted.") from None
    except (OSError, smtplib.SMTPException) as error:
        raise Refused(f"The mail server can't be reached ({shortened(str(error), _LONGEST_ERROR)}).") from None


def _connected(server: MailServer, context: ssl.SSLContext) -> smtplib.SMTP:
    smtp: smtplib.SMTP
    own = server.sender.rpartition("@")[2]  # what this machine is called is nobody's business, and may take long
    if server.is_tls:
        smtp = smtplib.SMTP_SSL(server.host, server.port, own, timeout=STEP_SECONDS, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, own, timeout=STEP_SECONDS)
    try:
        smtp.ehlo()
        if not server.is_tls and (not server.is_here or smtp.has_extn("starttls")):
            smtp.starttls(context=context)
            smtp.ehlo()
        if server.user:
            smtp.login(server.user, server.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _message(server: MailServer, mail: Mail) -> EmailMessage:
    """Return the message; header fields are set by a policy that takes no line break in them."""
    made = EmailMessage(SMTP)
    made["From"] = server.sender
    made["To"] = mail.to
    made["Subject"] = " ".join(mail.subject.split())
    made["Date"] = formatdate()
    made["Message-ID"] = f"<{mail.message}@{server.sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.text)
    made.add_alternative(mail.html, subtype="html")
    return made


def _told(text: Any) -> str:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return shortened(" ".join(said.split()), _LONGEST_ERROR)
