"""Letters and the delivery machine: sent once, refused, put off, uncertain."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
from collections import Counter

import pytest
import sqlalchemy as sa

from crm_core import delivery, mail
from crm_core import jobs as queue
from crm_core.db import changed
from crm_core.models.work import Delivery, JobRow, Letter
from crm_core.settings import Smtp
from crm_core.testing.smtp import HANG_UP, mail_sink


def write(db, to="ivan@example.com", **more):
    values = {"subject": "Тема", "text": "Привет", "html": "<p>Привет</p>", "purpose": "test", **more}
    return mail.send(db, to, values.pop("subject"), values.pop("text"), values.pop("html"), **values)


def state_of(db, delivery_id):
    return db.execute(
        sa.select(Delivery.state, Delivery.code, Delivery.attempts).where(Delivery.id == delivery_id)
    ).one()


# -- without a server ------------------------------------------------------------------------------------------------


def test_without_a_mail_server_letters_stay_here(db, jobs, outbox):
    delivery_id = write(db)

    assert state_of(db, delivery_id)[:2] == ("accepted", "local")
    assert outbox.last.local
    assert jobs.names == []


def test_of_equal_purpose_step_and_address_one_is_sent(db, outbox):
    assert write(db, step="7") is not None
    assert write(db, step="7", to="IVAN@Example.com") is None
    assert write(db, step="8") is not None
    assert write(db) is not None
    assert write(db) is not None

    assert len(outbox) == 4


@pytest.mark.parametrize(
    "to",
    [
        "ivan@example.com\r\nBcc: all@example.com",
        "a@example.com, b@example.com",
        "nobody",
        "@example.com",
        "ivan@",
        "",
        "i van@example.com",
        "<script>@example.com",
        "x" * 250 + "@example.com",
    ],
)
def test_what_is_no_address_is_refused(db, to, outbox):
    with pytest.raises(mail.BadLetter):
        write(db, to=to)
    assert len(outbox) == 0


@pytest.mark.parametrize("field", ["subject", "header", "name"])
def test_a_line_break_in_a_header_is_refused(db, field):
    bad = "one\nBcc: all@example.com"
    more = {"subject": {"subject": bad}, "header": {"headers": {"X-A": bad}}, "name": {"headers": {bad: "x"}}}[field]
    with pytest.raises(mail.BadLetter):
        write(db, **more)


def test_a_composed_letter_reads_as_it_was_written():
    content = mail.compose(
        sender='"ООО «Ромашка», Иванов; П." <crm@example.com>',
        to="ivan@пример.рф",
        subject="Очень длинная тема письма, которой не хватит одной строки заголовка, как её ни складывай",
        text="Строка\n.\nFrom начала",
        html="<p>" + "длинно " * 500 + "</p>",
        message_id="<1@example.com>",
    )

    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["Subject"].startswith("Очень длинная тема")
    assert message["From"].addresses[0].display_name == "ООО «Ромашка», Иванов; П."
    assert message["To"].addresses[0].domain == "xn--e1afmkfd.xn--p1ai"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_body(("plain",)).get_content().splitlines() == ["Строка", ".", "From начала"]


def test_a_secret_letter_is_emptied_once_its_link_has_expired(db, jobs, clock, outbox):
    write(db, secret=True)
    write(db, secret=False)
    clock.tick(mail.SECRET_LIFETIME)
    queue.enqueue(db, mail.EMPTY)

    jobs.run_all()

    assert [letter.text for letter in outbox] == ["", "Привет"]


# -- with a server ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sink():
    with mail_sink() as sink:
        yield sink


@pytest.fixture
def account(app_settings, sink):
    app_settings.update({"crm.smtp.host": "127.0.0.1", "crm.smtp.port": str(sink.port), "crm.smtp.security": "none"})
    yield app_settings
    for key in ("crm.smtp.host", "crm.smtp.port", "crm.smtp.security"):
        del app_settings[key]
    app_settings["crm.demo"] = "false"


def test_letters_reach_the_server_once(db, jobs, account, sink):
    ids = [write(db, to=f"person{number}@example.com") for number in range(25)]
    assert jobs.names == [mail.SEND]

    jobs.run_all()

    assert {state_of(db, one)[0] for one in ids} == {"accepted"}
    assert Counter(one.recipients[0] for one in sink.taken).most_common(1)[0][1] == 1
    assert len(sink.taken) == 25
    assert sink.connections <= mail.CONNECTIONS + 1  # one is the sink's own
    stored = db.scalars(sa.select(Delivery.foreign_id)).all()
    assert {one.message_id for one in sink.taken} == set(stored)


def test_a_line_that_drops_after_the_content_leaves_it_uncertain_and_never_sends_again(db, jobs, account, sink, clock):
    sink.on_content = lambda taken: HANG_UP
    delivery_id = write(db)

    jobs.run_all()
    for _ in range(5):
        clock.tick(hours=13)
        queue.enqueue(db, mail.SEND)
        jobs.run_all()

    assert state_of(db, delivery_id) == ("uncertain", "dropped", 1)
    assert len(sink.taken) == 1


def test_one_click_sends_an_uncertain_letter_again(db, jobs, account, sink):
    sink.on_content = lambda taken: HANG_UP if len(sink.taken) == 1 else None
    delivery_id = write(db)
    jobs.run_all()

    assert delivery.resend(db, Delivery, delivery_id)
    queue.enqueue(db, mail.SEND)
    jobs.run_all()

    assert state_of(db, delivery_id)[0] == "accepted"
    assert len(sink.taken) == 2


def test_a_line_that_drops_before_the_content_is_taken_up_again(db, jobs, account, sink):
    tries = []

    def on_recipient(address):
        tries.append(address)
        return HANG_UP if len(tries) == 1 else None

    sink.on_recipient = on_recipient
    delivery_id = write(db)

    jobs.run_all()

    assert state_of(db, delivery_id)[0] == "accepted"
    assert len(sink.taken) == 1


def test_a_temporary_refusal_is_tried_again_with_longer_waits_and_given_up_after_three_days(
    db, jobs, account, sink, clock
):
    sink.on_recipient = lambda address: "451 come back later"
    delivery_id = write(db)
    waits = []
    jobs.run_all()
    while state_of(db, delivery_id)[0] == "deferred":
        due = db.scalar(sa.select(Delivery.due_at).where(Delivery.id == delivery_id))
        waits.append((due - delivery.clock.now()).total_seconds() / 60)
        clock.tick(due - delivery.clock.now() + dt.timedelta(seconds=6))
        jobs.run_all()

    assert waits[:6] == [5, 15, 60, 240, 720, 720]
    state, code, attempts = state_of(db, delivery_id)
    assert (state, code) == ("failed", "451")
    assert attempts >= 6
    assert 66 <= sum(waits) / 60 <= 84


def test_a_final_refusal_fails_at_once(db, jobs, account, sink):
    sink.on_recipient = lambda address: "550 no such user" if address.startswith("gone") else None
    gone, there = write(db, to="gone@example.com"), write(db, to="there@example.com")

    jobs.run_all()

    assert state_of(db, gone) == ("failed", "550", 1)
    assert state_of(db, there)[0] == "accepted"


def test_content_that_is_refused_was_not_sent(db, jobs, account, sink):
    sink.on_content = lambda taken: "554 smells of spam"
    delivery_id = write(db)

    jobs.run_all()

    assert state_of(db, delivery_id)[:2] == ("failed", "554")


def test_a_server_that_cannot_be_reached_puts_letters_off(db, jobs, account, sink, clock):
    account["crm.smtp.port"] = "1"
    ids = [write(db, to=f"p{number}@example.com") for number in range(3)]
    jobs.run_all()
    assert {state_of(db, one) for one in ids} == {("deferred", "connect", 1)}

    account["crm.smtp.port"] = str(sink.port)
    clock.tick(minutes=2)
    jobs.run_all()

    assert {state_of(db, one)[0] for one in ids} == {"accepted"}


def test_a_demo_company_writes_to_this_machine_only(db, jobs, account, outbox):
    account["crm.demo"] = "true"
    account["crm.smtp.host"] = "mail.example.com"

    write(db)

    assert outbox.last.local


def test_letters_written_before_the_server_was_taken_away_stay_here(db, jobs, account, sink, outbox):
    delivery_id = write(db)
    account["crm.smtp.host"] = ""

    jobs.run_all()

    account["crm.smtp.host"] = "127.0.0.1"
    assert state_of(db, delivery_id)[:2] == ("accepted", "local")
    db.expire_all()
    assert outbox.last.local


def test_the_test_letter_says_what_the_server_answered(db, jobs, account, sink):
    sink.on_recipient = lambda address: "550 who is that" if address.startswith("nobody") else None
    good = mail.test_letter(db, "ivan@example.com", user_id=None)
    bad = mail.test_letter(db, "nobody@example.com", user_id=None)

    jobs.run_all()

    assert db.get_one(JobRow, good).result["state"] == "accepted"
    assert db.get_one(JobRow, bad).result == {"state": "failed", "code": "550", "answer": "who is that"}


def test_a_letter_whose_link_expired_before_it_left_is_not_sent(db, jobs, account, sink):
    delivery_id = write(db, secret=True)
    db.execute(sa.update(Letter).values(text="", html=""))

    jobs.run_all()

    assert state_of(db, delivery_id)[:2] == ("failed", "expired")
    assert sink.taken == []


def test_certificates_are_verified(tmp_path, sink):
    transport = mail.SmtpTransport(Smtp("127.0.0.1", sink.port, "starttls"))

    with pytest.raises(delivery.Unreachable):
        transport.open()


# -- the machine -----------------------------------------------------------------------------------------------------


@pytest.fixture
def row(db):
    def row(**values):
        return db.execute(
            sa.insert(Delivery)
            .values(purpose="t", channel="email", address_digest=values.pop("digest", b"x"), payload={}, **values)
            .returning(Delivery.id)
        ).scalar_one()

    return row


def test_a_transition_is_a_compare_and_set(db, row):
    one = row(state="claimed", claim="me")

    assert not delivery.move(db, Delivery, one, "claimed", "attempting", claim="other")
    assert delivery.move(db, Delivery, one, "claimed", "attempting", claim="me")
    assert not delivery.move(db, Delivery, one, "claimed", "attempting", claim="me")
    with pytest.raises(ValueError, match="does not go"):
        delivery.move(db, Delivery, one, "attempting", "pending")


def test_what_dead_workers_left_is_settled(db, row):
    now = delivery.clock.now()
    claimed = row(state="claimed", claim="host:1:5/a", claimed_at=now, digest=b"1")
    attempting = row(state="attempting", claim="host:1:5/a", attempted_at=now, digest=b"2")

    assert delivery.recover(db, Delivery) == (1, 1)

    assert state_of(db, claimed)[0] == "pending"
    assert state_of(db, attempting)[:2] == ("uncertain", "interrupted")


def test_what_a_living_worker_is_sending_is_left_alone_until_its_time_has_passed_twice(db, row, engine, clock):
    presence = queue.Presence(engine)
    presence.hold()
    one = row(state="attempting", claim=f"{presence.name}/a", attempted_at=delivery.clock.now())

    assert delivery.recover(db, Delivery) == (0, 0)
    clock.tick(delivery.HARD_TIMEOUT * 2 + dt.timedelta(seconds=1))
    assert delivery.recover(db, Delivery) == (0, 1)

    presence.close()
    assert state_of(db, one)[0] == "uncertain"


def test_a_report_that_comes_late_or_twice_changes_nothing(db, row):
    row(state="accepted", foreign_id="m1")

    assert delivery.confirm(db, Delivery, "m1", "delivered")
    assert not delivery.confirm(db, Delivery, "m1", "delivered")
    assert delivery.confirm(db, Delivery, "m1", "bounced")
    assert not delivery.confirm(db, Delivery, "m1", "delivered")
    assert not delivery.confirm(db, Delivery, "", "bounced")


def test_what_is_not_allowed_is_settled_in_the_statement_that_marks(db, world, plugins, app_settings, row):
    blocked, fine = row(state="pending", address="bad", digest=b"1"), row(state="pending", address="ok", digest=b"2")
    db.commit()
    sent = []

    class Line:
        def open(self): ...
        def close(self): ...
        def send(self, message):
            sent.append(message)
            return delivery.Outcome("accepted", "250")

    context = make_context(db, world, plugins, app_settings)
    sender = delivery.Sender(
        context,
        Delivery,
        transport=Line,
        prepare=lambda session, ids: {one: one for one in ids},
        allowed=Delivery.address != "bad",
    )

    counts = sender.run()

    assert sent == [fine]
    assert (counts.accepted, counts.refused) == (1, 1)
    assert state_of(db, blocked)[:2] == ("failed", "not-allowed")


def test_a_transport_that_raises_leaves_the_row_uncertain(db, world, plugins, app_settings, row):
    one = row(state="pending")
    db.commit()

    class Line:
        def open(self): ...
        def close(self): ...
        def send(self, message):
            raise RuntimeError("bug")

    context = make_context(db, world, plugins, app_settings)
    delivery.Sender(context, Delivery, transport=Line, prepare=lambda s, ids: {i: i for i in ids}).run()

    assert state_of(db, one)[:2] == ("uncertain", "fault")


def make_context(db, world, plugins, settings):
    from crm_core.testing.doubles import InlineRunner

    runner = InlineRunner(world.connection, world.factory, settings=settings, plugins=plugins)
    queue.enqueue(db, "probe.chain", left=0)
    db.commit()
    row = runner._claim(None)
    return queue.JobContext(
        row, opener=runner._transaction, unfenced=runner.factory.begin, settings=settings, plugins=plugins
    )


def test_changed_counts_rows(db, row):
    row(state="pending")
    assert changed(db, sa.update(Delivery).values(code="x")) == 1


def test_a_letter_may_carry_an_invitation_that_programs_for_calendars_read() -> None:
    invitation = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:Встреча\r\nEND:VCALENDAR\r\n"

    content = mail.compose(
        sender='"CRM" <crm@example.com>', to="a@example.com", subject="Встреча", text="Приходите",
        html="<p>Приходите</p>", message_id="<1@example.com>", calendar=invitation,
    )  # fmt: skip

    parts = {part.get_content_type(): part for part in email.message_from_bytes(content).walk()}
    assert parts["text/calendar"].get_param("method") == "REQUEST"
    assert parts["text/calendar"].get_payload(decode=True).decode() == invitation
    assert parts["application/ics"].get_filename() == "invite.ics"
    assert parts["multipart/alternative"].get_payload()[-1] is parts["text/calendar"]
