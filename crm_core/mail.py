"""Letters: composing, keeping and sending them one by one through the delivery machine.

:func:`send` writes a letter and its delivery in the caller's transaction; a job hands it to the mail server. Without a
server set, letters stay in `core_letter`, which administrators read in the browser, so that sign-up and reset of a
password work out of the box. This is the one module that knows `emails` and SMTP.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import email.utils
import smtplib
import socket
import ssl
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.mime.nonmultipart import MIMENonMultipart
from pathlib import Path
from typing import Any

import emails
import sqlalchemy as sa
import structlog
from emails.backend.smtp.backend import SMTPBackend
from emails.backend.smtp.client import SMTPClientWithResponse
from sqlalchemy.orm import Session

from crm_core import clock, delivery, jobs
from crm_core.company import Company
from crm_core.db import changed
from crm_core.delivery import ACCEPTED, DEFERRED, FAILED, PENDING, UNCERTAIN, Outcome, Sender, Unreachable
from crm_core.i18n import _, localizer_for, translate
from crm_core.jobs import JobContext
from crm_core.models.work import Delivery, Letter
from crm_core.settings import LOOPBACK, Smtp
from crm_core.specs import Job

log = structlog.get_logger(__name__)

EMAIL = "email"
LOCAL = "local"
"""Code of a delivery that stayed here because no mail server is set."""

SEND, TEST, EMPTY = "core.mail.send", "core.mail.test", "core.mail.empty-secrets"

_ENQUEUED = "crm.mail_enqueued"

SOCKET_TIMEOUT = 45.0
SECRET_LIFETIME = dt.timedelta(days=1)
CONNECTIONS = 2
MOST_ADDRESS = 254


class BadLetter(ValueError):
    """A letter that cannot be sent as it is: a line break in a header, no proper address."""


@dataclass(frozen=True)
class Message:
    """A finished letter on its way to the server."""

    sender: str
    recipient: str
    content: bytes
    message_id: str


@dataclass(frozen=True)
class Dkim:
    """What letters of a domain are signed with."""

    domain: str
    selector: str
    key: str


# -- writing -------------------------------------------------------------------------------------------------------


def send(
    session: Session,
    to: str,
    subject: str,
    text: str,
    html: str = "",
    *,
    purpose: str,
    step: str | None = None,
    secret: bool = False,
    empty_at: dt.datetime | None = None,
    user_id: int | None = None,
    headers: Mapping[str, str] | None = None,
    calendar: str = "",
) -> int | None:
    """Write a letter in the caller's transaction and return its delivery's id; it leaves after the commit.

    `calendar` is an invitation as iCalendar text, which goes along for programs for calendars. Of equal (purpose,
    step, address) only one is ever sent, and None is returned for the rest; without a step every call is a letter of
    its own. The body of a `secret` one is emptied at `empty_at`, when its link has expired.
    """
    recipient = check_address(to)
    extra = {check_header(name): check_header(value) for name, value in (headers or {}).items()}
    check_header(subject)
    account = account_of(session)
    sender = _sender(session, account)
    local = account is None
    now = clock.now()
    message_id = _new_message_id(sender)
    delivery_id = delivery.add(
        session,
        Delivery,
        purpose=purpose,
        step=step if step is not None else uuid.uuid4().hex,
        channel=EMAIL,
        address=recipient,
        address_digest=delivery.address_digest(_secrets(session), EMAIL, recipient),
        user_id=user_id,
        foreign_id=message_id,
        payload={},
        state=ACCEPTED if local else PENDING,
        code=LOCAL if local else "",
        finished_at=now if local else None,
        due_at=now,
        created_at=now,
    )
    if delivery_id is None:
        return None
    letter = Letter(
        recipient=recipient,
        subject=subject,
        text=text,
        html=html,
        calendar=calendar,
        sender=sender,
        headers=extra,
        local=local,
        secret=secret,
        empty_at=(empty_at or now + SECRET_LIFETIME) if secret else None,
    )
    session.add(letter)
    session.flush()
    session.execute(
        sa.update(Delivery)
        .where(Delivery.id == delivery_id)
        .values(letter_id=letter.id)
        .execution_options(synchronize_session=False)
    )
    if not local:
        _enqueue_once(session)
    return delivery_id


def test_letter(
    session: Session,
    to: str,
    *,
    user_id: int | None,
    text: str = "",  # noqa: PT028
    subject: str = "",  # noqa: PT028
) -> int:
    """Enqueue a letter that tries the mail account and return the job's id; its result says what the server answered.

    The result has `state` (as of deliveries, or `local`), `code` and `answer`.
    """
    return jobs.enqueue(session, TEST, user_id=user_id, visible=False, to=check_address(to), text=text, subject=subject)


# It is no test, whatever its name.
setattr(test_letter, "__test__", False)  # noqa: B010


def _enqueue_once(session: Session) -> None:
    # One job for all letters of a transaction; without a key, so that senders of letters never wait for one another.
    transaction = session.get_transaction()
    if session.info.get(_ENQUEUED) is not transaction:
        jobs.enqueue(session, SEND)
        session.info[_ENQUEUED] = transaction


def check_address(address: str) -> str:
    """Return the bare address; raise BadLetter for what is not exactly one."""
    check_header(address)
    found = email.utils.getaddresses([address])
    if len(found) != 1:
        raise BadLetter("a letter goes to exactly one address")
    bare = found[0][1].strip()
    local, at, domain = bare.rpartition("@")
    if not (at and local and domain) or len(bare) > MOST_ADDRESS or any(c.isspace() or c in '<>",;:\\()' for c in bare):
        raise BadLetter(f"{address!r} is not an e-mail address")
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii")
    return f"{local}@{domain}"


def check_header(value: str) -> str:
    """Return the value; raise BadLetter when it would break out of its line."""
    if any(c in value for c in "\r\n\0\v\f\x1c\x1d\x1e\x85\u2028\u2029"):
        raise BadLetter("a header of a letter is one line")
    return value


def _new_message_id(sender: str) -> str:
    domain = email.utils.parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return f"<{uuid.uuid4().hex}@{domain}>"


# -- the account ---------------------------------------------------------------------------------------------------


def account_of(session: Session) -> Smtp | None:
    """Return the mail server: the one set in the browser, else the ini's; None when letters stay here.

    A demo company talks to this machine only, whatever is set.
    """
    settings = session.info.get(jobs.SETTINGS, {})
    plugins = session.info.get(jobs.PLUGINS)
    account = None
    if plugins is not None and "mail.host" in plugins.settings:
        account = Company(session, plugins, _secrets(session)).mail_account()
    account = account or _of_ini(settings)
    if account is not None and _is_true(settings.get("crm.demo")) and account.host not in LOOPBACK:
        return None
    return account


def _of_ini(settings: Mapping[str, Any]) -> Smtp | None:
    host = settings.get("crm.smtp.host")
    if not host:
        return None
    security = settings.get("crm.smtp.security") or "starttls"
    password = settings.get("crm.smtp.password") or ""
    file = settings.get("crm.smtp.password_file")
    if file:
        password = (Path(settings.get("crm.ini") or ".").parent / file).read_text("utf-8").strip()
    return Smtp(
        host=host,
        port=int(settings.get("crm.smtp.port") or (465 if security == "tls" else 587)),
        security=security,
        user=settings.get("crm.smtp.user") or "",
        password=password,
        sender=settings.get("crm.smtp.sender") or "",
    )


def _is_true(value: Any) -> bool:
    return str(value).lower() in ("true", "yes", "on", "1")


def _secrets(session: Session) -> Any:
    try:
        return session.info[jobs.SECRETS]
    except KeyError:
        raise jobs.JobError("this session was not bound by crm_core.jobs.bind, so letters cannot be written") from None


def _sender(session: Session, account: Smtp | None) -> str:
    """Return `name <address>` of who letters come from."""
    plugins = session.info.get(jobs.PLUGINS)
    company = "CRM"
    if plugins is not None and "company.name" in plugins.settings:
        company = Company(session, plugins, _secrets(session)).name
    stated = account.sender if account else ""
    name, address = email.utils.parseaddr(stated)
    if not address and account and "@" in account.user:
        address = account.user
    clean = "".join(c for c in (name or company) if c.isprintable())
    # Not `formataddr`: it would encode the name, and this text is also what the local mailbox shows.
    return f'"{clean.replace(chr(34), "").replace(chr(92), "")}" <{address or "crm@localhost"}>'


# -- composing -----------------------------------------------------------------------------------------------------


class _Letter(emails.Message):
    """Is a letter that may carry an invitation: another way to say the same, and a file for programs that want one."""

    def __init__(self, *, calendar: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._calendar = calendar
        if calendar:
            self.attach(filename="invite.ics", data=calendar.encode(), mime_type="application/ics")

    def build_message(self, message_cls: type | None = None) -> Any:
        """Put the invitation beside text and HTML, last, as programs for calendars expect it."""
        built = super().build_message(message_cls)
        if self._calendar:
            method = next(
                (line[7:].strip() for line in self._calendar.splitlines() if line.startswith("METHOD:")), "PUBLISH"
            )
            part = MIMENonMultipart("text", "calendar", charset="utf-8", method=method, component="VEVENT")
            part.set_payload(base64.encodebytes(self._calendar.encode()).decode("ascii"))
            part["Content-Transfer-Encoding"] = "base64"
            alternative = next(one for one in built.walk() if one.get_content_type() == "multipart/alternative")
            alternative.attach(part)
        return built


def compose(
    *,
    sender: str,
    to: str,
    subject: str,
    text: str,
    html: str = "",
    message_id: str,
    headers: Mapping[str, str] | None = None,
    attachments: Sequence[tuple[str, bytes]] = (),
    date: dt.datetime | None = None,
    dkim: Dkim | None = None,
    calendar: str = "",
) -> bytes:
    """Build a letter as the bytes that go to the server; raise BadLetter for a header of two lines."""
    extra = {check_header(name): check_header(value) for name, value in (headers or {}).items()}
    extra.setdefault("Auto-Submitted", "auto-generated")
    extra.setdefault("X-Auto-Response-Suppress", "All")
    for value in (sender, to, subject, message_id):
        check_header(value)
    message = _Letter(
        calendar=calendar,
        subject=subject,
        text=text or None,
        html=html or None,
        mail_from=email.utils.parseaddr(sender),
        mail_to=("", check_address(to)),
        message_id=message_id,
        date=email.utils.format_datetime(date or clock.now()),
        headers=extra,
    )
    for name, content in attachments:
        message.attach(filename=check_header(name), data=content)
    if dkim is not None:
        message.dkim(key=dkim.key, domain=dkim.domain, selector=dkim.selector)
    # as_bytes of `emails` ends lines as SMTP wants them.
    result: bytes = message.as_bytes()
    return result


# -- the line to the server ----------------------------------------------------------------------------------------


class _Client(SMTPClientWithResponse):
    """Is smtplib's client that verifies certificates and knows whether content has begun to leave."""

    def __init__(self, parent: SMTPBackend, *, implicit: bool = False, **options: Any) -> None:
        self.implicit = implicit
        # Reading the certificates of authorities takes as long as fifty letters.
        self.context = ssl.create_default_context() if implicit or options.get("tls") else None
        self.content_began = False
        super().__init__(parent=parent, **options)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        line = socket.create_connection((host, port), timeout)
        return self.context.wrap_socket(line, server_hostname=host) if self.implicit and self.context else line

    def initialize(self) -> None:
        """Greet, switch to TLS where asked and sign in."""
        self.ehlo_or_helo_if_needed()
        if self.tls:
            self.starttls(context=self.context)
            self.ehlo_or_helo_if_needed()
        if self.user:
            self.login(self.user, self.password or "")

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the content, noting the moment from which nobody can know whether it arrived."""
        self.putcmd("data")
        code, reply = self.getreply()
        if code != 354:
            raise smtplib.SMTPDataError(code, reply)
        self.content_began = True
        content = smtplib._quote_periods(msg)  # type: ignore[attr-defined]
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        self.send(content + b".\r\n")
        return self.getreply()

    def _rset(self) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self.rset()

    def abort(self) -> None:
        """Cut the line from another thread."""
        with contextlib.suppress(Exception):
            self.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]


class SmtpTransport(SMTPBackend):
    """Hands letters to a mail server; content is offered to it once, whatever happens to the line.

    The class it extends sends a letter again when the line drops after the content, and says nothing when a connection
    is refused; neither is left in here.
    """

    connection_cls = _Client

    def __init__(self, account: Smtp) -> None:
        super().__init__(
            fail_silently=False,
            host=account.host,
            port=account.port,
            timeout=SOCKET_TIMEOUT,
            local_hostname=socket.gethostname(),
            tls=account.security == "starttls",
            user=account.user or None,
            password=account.password or None,
        )
        self.smtp_cls_kwargs["implicit"] = account.security == "tls"

    def open(self) -> None:
        """Connect and sign in; raise Unreachable with the server's own words."""
        try:
            self.get_client()
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            self._client = None
            raise Unreachable(*_words(error)) from error

    def retry_on_disconnect(self, func: Any) -> Any:
        """Refuse: a letter whose content may have arrived is never offered again."""
        raise NotImplementedError("letters go through send(), which never repeats content")

    def send(self, message: Message) -> Outcome:
        """Offer one letter; a line found dead before the content began is taken up again once."""
        for again in (False, True):
            try:
                client: Any = self.get_client()
            except (smtplib.SMTPException, OSError) as error:
                self._client = None
                code, answer = _words(error)
                return Outcome(DEFERRED, code, answer, soon=True)
            client.content_began = False
            watchdog = threading.Timer(delivery.HARD_TIMEOUT.total_seconds() - 20, client.abort)
            watchdog.daemon = True
            watchdog.start()
            try:
                response = client.sendmail(message.sender, [message.recipient], message.content)
            except smtplib.SMTPResponseException as error:
                # The server answered and took nothing.
                self._drop()
                return Outcome.by_code(error.smtp_code, _text(error.smtp_error))
            except (smtplib.SMTPException, OSError) as error:
                self._drop()
                code, answer = _words(error)
                if client.content_began:
                    return Outcome(UNCERTAIN, "dropped", answer, message.message_id)
                if again:
                    return Outcome(DEFERRED, code, answer, soon=True)
                continue
            except UnicodeEncodeError:
                self._drop()
                return Outcome(FAILED, "address", "the mail server takes no letters to such an address")
            finally:
                watchdog.cancel()
            status = response.status_code or 0
            if status == 421:
                self._drop()
            return Outcome.by_code(status, _text(response.status_text), message.message_id)
        raise AssertionError("unreachable")

    def _drop(self) -> None:
        if self._client is not None:
            with contextlib.suppress(Exception):
                smtplib.SMTP.close(self._client)
        self._client = None


def _words(error: BaseException) -> tuple[str, str]:
    if isinstance(error, smtplib.SMTPResponseException):
        return str(error.smtp_code), _text(error.smtp_error)
    if isinstance(error, TimeoutError):
        return "timeout", "the mail server did not answer in time"
    if isinstance(error, ssl.SSLError):
        return "tls", str(error)
    return "connect", f"{error}" or type(error).__name__


def _text(answer: bytes | str | None) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else (answer or "")


# -- jobs ----------------------------------------------------------------------------------------------------------


def send_due(context: JobContext) -> dict[str, Any]:
    """Send every single letter that is due, and ask to be called again for those put off."""
    counts = _sender_of(context, Delivery.channel == EMAIL)
    result = {} if counts is None else {"accepted": counts.accepted, "failed": counts.failed}
    with context.transaction() as session:
        due = delivery.next_due(session, Delivery, Delivery.channel == EMAIL)
        if due is not None and not context.stopping:
            jobs.enqueue(session, SEND, key=f"{SEND}:later", run_at=max(due, clock.now() + dt.timedelta(seconds=5)))
    context.check()
    return result


def _sender_of(context: JobContext, *choose: Any) -> delivery.Counts | None:
    with context.transaction() as session:
        account = account_of(session)
        if account is None:
            _keep_here(session, *choose)
            return None
    return Sender(
        context,
        Delivery,
        transport=lambda: SmtpTransport(account),
        prepare=_prepare,
        choose=choose,
        connections=CONNECTIONS,
    ).run()


def _keep_here(session: Session, *choose: Any) -> None:
    rows = session.execute(
        sa.update(Delivery)
        .where(Delivery.state.in_((PENDING, DEFERRED)), *choose)
        .values(state=ACCEPTED, code=LOCAL, finished_at=clock.now())
        .returning(Delivery.letter_id)
        .execution_options(synchronize_session=False)
    ).scalars()
    session.execute(
        sa.update(Letter)
        .where(Letter.id.in_([letter for letter in rows if letter is not None]))
        .values(local=True)
        .execution_options(synchronize_session=False)
    )


def _prepare(session: Session, ids: Sequence[int]) -> dict[int, Message | Outcome]:
    rows = session.execute(
        sa.select(Delivery.id, Delivery.foreign_id, Letter)
        .join(Letter, Letter.id == Delivery.letter_id)
        .where(Delivery.id.in_(ids))
    )
    return dict(_messages(rows))


def _messages(rows: Any) -> Iterator[tuple[int, Message | Outcome]]:
    for delivery_id, message_id, letter in rows:
        if not letter.text and not letter.html:
            yield delivery_id, Outcome(FAILED, "expired", "what it said is no longer valid")
            continue
        try:
            content = compose(
                sender=letter.sender,
                to=letter.recipient,
                subject=letter.subject,
                text=letter.text,
                html=letter.html,
                message_id=message_id,
                headers=letter.headers,
                calendar=letter.calendar,
            )
        except (ValueError, LookupError) as error:
            yield delivery_id, Outcome(FAILED, "content", str(error))
        else:
            sender = email.utils.parseaddr(letter.sender)[1]
            yield delivery_id, Message(sender, letter.recipient, content, message_id)


def try_account(context: JobContext, to: str, text: str = "", subject: str = "") -> dict[str, Any]:
    """Send one letter by the account of now and return what the server said."""
    language = localizer_for(context.settings.get("crm.locale") or "ru", packages=("crm_core",))
    with context.transaction() as session:
        delivery_id = send(
            session,
            to,
            subject or translate(language, _("A test letter of your CRM")),
            text or translate(language, _("If you read this, letters of your CRM arrive.")),
            purpose=TEST,
            step=str(context.job_id),
            user_id=context.user_id,
        ) or session.scalar(
            sa.select(Delivery.id).where(Delivery.purpose == TEST, Delivery.step == str(context.job_id))
        )
    _sender_of(context, Delivery.id == delivery_id)
    with context.transaction() as session:
        row = session.execute(
            sa.select(Delivery.state, Delivery.code, Delivery.answer).where(Delivery.id == delivery_id)
        ).one()
    return {"state": LOCAL if row.code == LOCAL else row.state, "code": row.code, "answer": row.answer}


def empty_secrets(context: JobContext) -> dict[str, Any]:
    """Empty the bodies of letters whose links have expired."""
    with context.transaction() as session:
        emptied = changed(
            session,
            sa.update(Letter)
            .where(Letter.secret, Letter.empty_at <= clock.now(), (Letter.text != "") | (Letter.html != ""))
            .values(text="", html="", calendar=""),
        )
    return {"emptied": emptied}


JOBS = (
    Job(name=SEND, run=send_due, title=_("Send letters"), queue="mail", timeout=900, cron="*/10 * * * *"),
    Job(name=TEST, run=try_account, title=_("Send a test letter"), queue="mail", timeout=900, max_attempts=1),
    Job(name=EMPTY, run=empty_secrets, title=_("Empty expired secret letters"), cron="23 * * * *"),
)
"""The jobs of this module, for the core's `crm_jobs`."""
