"""The verbs of deals: moves with their rules, amounts to the kopeck, discounts, dates, copies."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.models import Notification, SettingValue
from crm_core.records import saving, undo
from crm_core.records.listing import Listing, ListQuery
from crm_deals import services
from crm_deals.models import Deal, Line, Rate
from crm_deals.services import belongings, discounts, lines
from crm_deals.services.deals import stays


def draft(**values: Any) -> Any:
    return sys.modules["crm_deals_factories"].line(**values)


# -- making ------------------------------------------------------------------------------------------------------------


def test_a_deal_begins_in_the_first_stage_and_is_called_after_its_client(deals: Any, seller: Any) -> None:
    company = deals.company(seller, name="Кофейня на Волжской")

    deal = services.create_deal(deals.gate(seller), company_id=company.id, amount=Decimal(5000))

    assert deal.name == "Продажи: Кофейня на Волжской"
    assert deal.name_sort == "продажи: кофейня на волжской"
    assert (deal.state, deal.currency, deal.amount_base) == ("open", "RUB", Decimal(5000))
    assert deal.stage_id == deals.stages()["Новая"].id
    assert deal.probability == 10
    assert deal.owner_id == seller.id
    made = deals.moves(deal)
    assert [(one.from_stage_id, one.to_stage_id, one.user_id) for one in made] == [(None, deal.stage_id, seller.id)]


def test_an_amount_in_another_currency_is_kept_in_the_companys_at_the_days_rate(
    deals: Any, db: Any, clock: Any
) -> None:
    clock.move_to(dt.datetime(2026, 3, 10, 9, tzinfo=dt.UTC))
    unknown = deals.deal(amount=Decimal(100), currency="USD")
    db.add_all(
        [
            Rate(currency="EUR", since=dt.date(2026, 1, 1), rate=Decimal("100")),
            Rate(currency="EUR", since=dt.date(2026, 3, 1), rate=Decimal("90.5")),
            Rate(currency="EUR", since=dt.date(2026, 4, 1), rate=Decimal("80")),
        ]
    )
    db.flush()

    deal = deals.deal(amount=Decimal(100), currency="EUR")

    assert deal.amount_base == Decimal(9050)
    assert unknown.amount_base is None


# -- moving ------------------------------------------------------------------------------------------------------------


def test_a_move_is_written_with_who_when_and_how_long(deals: Any, seller: Any, clock: Any) -> None:
    clock.move_to(dt.datetime(2026, 3, 10, 9, tzinfo=dt.UTC))
    deal = deals.deal(seller)
    stages = deals.stages()
    clock.tick(days=2)

    moved = services.move(deals.gate(seller), deal, stages["КП отправлено"].id)

    assert moved.moved
    assert deal.stage_since == dt.datetime(2026, 3, 12, 9, tzinfo=dt.UTC)
    assert (deal.state, deal.probability) == ("open", 50)
    last = deals.moves(deal)[-1]
    assert (last.from_stage_id, last.to_stage_id) == (stages["Новая"].id, stages["КП отправлено"].id)
    assert (last.user_id, last.seconds, last.told) == (seller.id, 2 * 86_400, True)
    clock.tick(hours=3)
    assert [(stay.title, stay.seconds) for stay in stays(deals.gate(seller), deal)] == [
        ("КП отправлено", 3 * 3600),
        ("Новая", 2 * 86_400),
    ]


def test_moving_to_where_it_is_changes_nothing(deals: Any, seller: Any) -> None:
    deal = deals.deal(seller)

    assert not services.move(deals.gate(seller), deal, deal.stage_id).moved
    assert len(deals.moves(deal)) == 1


def test_every_path_writes_the_move(deals: Any, seller: Any, db: Any) -> None:
    gate, stages, entity = deals.gate(seller), deals.stages(), deals.plugins.entity("deals.deal")
    one, two, three = (deals.deal(seller) for _n in range(3))

    saving.change(gate, entity, one, {"stage_id": stages["Согласование"].id})
    saving.set_values(gate, entity, [two.id, three.id], {"stage_id": stages["КП отправлено"].id})

    for deal, name in ((one, "Согласование"), (two, "КП отправлено"), (three, "КП отправлено")):
        last = deals.moves(deal)[-1]
        assert (last.to_stage_id, last.told) == (stages[name].id, True)
        db.refresh(deal)
        assert deal.probability == stages[name].probability


def test_other_plugins_hear_of_each_move_once(deals: Any, seller: Any, monkeypatch: Any) -> None:
    from crm_core import events

    heard: list[tuple[str, list[int]]] = []
    real = events.fire

    def listen(session: Any, event: Any, **more: Any) -> None:
        if event.name.startswith(("deals.deal.stage", "deals.deal.won", "deals.deal.lost", "deals.deal.reopened")):
            heard.append((event.name, list(event.payload["ids"])))
        real(session, event, **more)

    monkeypatch.setattr(events, "fire", listen)
    deal = deals.deal(seller)
    gate = deals.gate(seller)
    services.move(gate, deal, deals.stages()["КП отправлено"].id)
    services.win(gate, deal)
    saving.change(gate, deals.plugins.entity("deals.deal"), deal, {"comment": "x"})
    services.reopen(gate, deal)
    services.refuse(gate, deal, deals.reason().id)

    changed = ("deals.deal.stage_changed", [deal.id])
    assert heard == [
        changed,
        changed,
        changed,
        ("deals.deal.won", [deal.id]),
        changed,
        ("deals.deal.reopened", [deal.id]),
        changed,
        ("deals.deal.lost", [deal.id]),
    ]


def test_a_move_taken_back_is_one_more_move_and_the_deal_is_as_it_was(
    deals: Any, seller: Any, clock: Any, db: Any
) -> None:
    from crm_core.records import operations

    clock.move_to(dt.datetime(2026, 3, 10, 9, tzinfo=dt.UTC))
    deal = deals.deal(seller, amount=Decimal(10))
    db.commit()
    gate = deals.gate(seller)
    clock.tick(days=1)
    services.win(gate, deal)
    operation = operations.current(db)
    assert (deal.state, deal.closed_at) == ("won", dt.datetime(2026, 3, 11, 9, tzinfo=dt.UTC))
    db.commit()
    clock.tick(days=1)

    report = undo.undo(deals.gate(seller), operation)

    assert not report.conflicts
    db.refresh(deal)
    assert (deal.state, deal.closed_at, deal.probability) == ("open", None, 10)
    assert deal.stage_since == dt.datetime(2026, 3, 10, 9, tzinfo=dt.UTC)
    moves = deals.moves(deal)
    assert [(one.from_state, one.to_state) for one in moves] == [(None, "open"), ("open", "won"), ("won", "open")]
    assert moves[-1].told


def test_the_making_of_a_deal_is_taken_back_with_its_lines(deals: Any, seller: Any, db: Any) -> None:
    from crm_core.records import operations

    db.commit()
    gate = deals.gate(seller)
    deal = services.create_deal(gate, name="Лишняя")
    lines.set_lines(gate, deal, [draft()])
    operation, number = operations.current(db), deal.id
    db.commit()

    report = undo.undo(deals.gate(seller), operation)

    assert not report.conflicts
    assert db.scalar(sa.select(sa.func.count()).select_from(Line).where(Line.deal_id == number)) == 0
    assert deals.gate().get("deals.deal", number) is None
    assert not deals.moves(number)


def test_a_stage_asks_for_its_fields(deals: Any, seller: Any) -> None:
    deal = deals.deal(seller)
    stage = deals.stages()["КП отправлено"]
    stage.required_fields = ["amount", "expected_close"]
    gate = deals.gate(seller)

    with pytest.raises(services.NeedsFields) as asked:
        services.move(gate, deal, stage.id, values={"amount": Decimal(100)})
    assert asked.value.fields == ("expected_close",)

    services.move(gate, deal, stage.id, values={"amount": Decimal(100), "expected_close": dt.date(2027, 1, 1)})

    assert (deal.stage_id, deal.amount) == (stage.id, Decimal(100))


def test_a_deal_is_not_refused_without_a_reason(deals: Any, seller: Any) -> None:
    deal = deals.deal(seller)
    gate = deals.gate(seller)

    with pytest.raises(services.NeedsReason):
        services.refuse(gate, deal, None)
    services.refuse(gate, deal, deals.reason().id, "нашли дешевле")

    assert (deal.state, deal.reason_id, deal.reason_note) == ("lost", deals.reason().id, "нашли дешевле")
    assert deal.closed_at is not None

    services.reopen(gate, deal)
    assert (deal.state, deal.reason_id, deal.closed_at) == ("open", None, None)


def test_only_allowed_moves_are_made_but_refusing_is_possible_from_everywhere(deals: Any, seller: Any) -> None:
    stages = deals.stages()
    stages["Новая"].allowed_to = [stages["Потребность выявлена"].id]
    deal = deals.deal(seller)
    gate = deals.gate(seller)

    with pytest.raises(saving.NotAllowed):
        services.move(gate, deal, stages["КП отправлено"].id)
    services.refuse(gate, deal, deals.reason().id)

    assert deal.state == "lost"


def test_only_certain_roles_move_to_a_stage(deals: Any, seller: Any, boss: Any) -> None:
    stage = deals.stages()["Согласование"]
    stage.mover_roles = ["head"]
    deal = deals.deal(seller)

    with pytest.raises(saving.NotAllowed):
        services.move(deals.gate(seller), deal, stage.id)
    services.move(deals.gate(boss), deal, stage.id)

    assert deal.stage_id == stage.id


def test_of_two_who_move_a_deal_one_wins_and_the_other_is_told_who(deals: Any, seller: Any, boss: Any) -> None:
    deal = deals.deal(seller)
    stages = deals.stages()
    seen = deal.version
    services.move(deals.gate(boss), deal, stages["Согласование"].id, version=seen)

    with pytest.raises(saving.Conflict) as conflict:
        services.move(deals.gate(seller), deal, stages["КП отправлено"].id, version=seen)

    assert conflict.value.by == boss.id
    assert conflict.value.theirs == {"stage_id": stages["Согласование"].id}
    # Who wanted the same finds it done; other fields get in nobody's way.
    assert not services.move(deals.gate(seller), deal, stages["Согласование"].id, version=seen).moved
    seen = deal.version
    saving.change(deals.gate(boss), deals.plugins.entity("deals.deal"), deal, {"comment": "x"})
    assert services.move(deals.gate(seller), deal, stages["КП отправлено"].id, version=seen).moved


def test_foreign_deals_are_neither_seen_nor_moved(deals: Any, seller: Any, factories: Any) -> None:
    stranger = factories.user("manager", team_id=factories.team().id)
    colleague = factories.user("manager", team_id=seller.team_id)
    deal = deals.deal(seller)

    assert deals.gate(stranger).get("deals.deal", deal.id) is None
    assert deals.gate(colleague).get("deals.deal", deal.id) is not None
    with pytest.raises(saving.NotAllowed):
        services.move(deals.gate(colleague), deal, deals.stages()["Согласование"].id)


def test_the_head_is_told_of_a_won_deal(deals: Any, seller: Any, boss: Any, db: Any) -> None:
    deal = deals.deal(seller)

    services.win(deals.gate(seller), deal)

    rows = db.execute(sa.select(Notification.user_id, Notification.kind, Notification.record_id)).all()
    assert (boss.id, "deals.deal.won", deal.id) in rows


# -- lines -------------------------------------------------------------------------------------------------------------


def table() -> lines.VatTable:
    return lines.VatTable(
        (
            ("standard", dt.date(2019, 1, 1), Decimal(20)),
            ("standard", dt.date(2026, 1, 1), Decimal(22)),
            ("10", dt.date(2004, 1, 1), Decimal(10)),
            ("none", dt.date(2001, 1, 1), None),
        )
    )


@pytest.mark.parametrize(
    ("mode", "day", "vat", "total"),
    [
        ("included", dt.date(2025, 12, 31), "333.33", "2000.00"),
        ("included", dt.date(2026, 1, 1), "360.66", "2000.00"),
        ("on_top", dt.date(2025, 12, 31), "400.00", "2400.00"),
        ("on_top", dt.date(2026, 1, 1), "440.00", "2440.00"),
        ("none", dt.date(2026, 1, 1), "0", "2000.00"),
    ],
)
def test_vat_is_that_of_the_deals_day(mode: str, day: dt.date, vat: str, total: str) -> None:
    deals_lines = [lines.DraftLine("Блок", Decimal(2), Decimal(1000), vat_code="standard")]

    counted = lines.totals(deals_lines, mode, day, table())

    assert (counted.vat, counted.total) == (Decimal(vat), Decimal(total))


def test_each_line_is_rounded_and_the_total_is_their_sum() -> None:
    odd = [
        lines.DraftLine("а", Decimal("0.333"), Decimal("99.99"), Decimal("7.5"), vat_code="standard"),
        lines.DraftLine("б", Decimal(3), Decimal("33.335"), Decimal(0), vat_code="10"),
        lines.DraftLine("в", Decimal(1), Decimal("0.01"), Decimal(50), vat_code="none"),
    ]
    for mode in ("included", "on_top", "none"):
        counted = lines.totals(odd, mode, dt.date(2026, 6, 1), table(), Decimal("3.33"))

        assert counted.total == sum(one.total for one in counted.lines)
        assert counted.vat == sum(one.vat for one in counted.lines)
        assert all(one.total == one.total.quantize(Decimal("0.01")) for one in counted.lines)


def test_the_amount_of_a_deal_is_the_sum_of_its_lines_whatever_is_written_by_hand(
    deals: Any, seller: Any, db: Any
) -> None:
    deal = deals.deal(seller, amount=Decimal(1))
    gate = deals.gate(seller)

    counted = lines.set_lines(gate, deal, [draft(price=1000, quantity=2), draft(price=500, discount=10)])
    saving.change(gate, deals.plugins.entity("deals.deal"), deal, {"amount": Decimal(77)})

    db.refresh(deal)
    assert counted.total == Decimal(2450)
    assert (deal.amount, deal.amount_base, deal.discount_total) == (2450, 2450, Decimal("2.00"))
    rows = lines.of_deal(db, deal.id)
    assert sum(row.total for row in rows) == deal.amount

    lines.set_lines(gate, deal, [])
    saving.change(gate, deals.plugins.entity("deals.deal"), deal, {"amount": Decimal(77)})
    assert (deal.amount, deal.lines_total) == (77, None)


def test_vat_follows_when_the_expected_day_moves_into_another_year(
    deals: Any, seller: Any, db: Any, clock: Any
) -> None:
    clock.move_to(dt.datetime(2025, 11, 10, 9, tzinfo=dt.UTC))
    deal = deals.deal(seller, expected_close=dt.date(2025, 12, 1))
    gate = deals.gate(seller)
    lines.set_lines(gate, deal, [draft(price=1000)], vat_mode="on_top")
    assert deal.amount == 1200

    saving.change(gate, deals.plugins.entity("deals.deal"), deal, {"expected_close": dt.date(2026, 2, 1)})

    db.refresh(deal)
    assert (deal.amount, deal.vat_amount) == (1220, 220)


def test_a_product_gives_a_line_at_its_price(deals: Any, seller: Any) -> None:
    product = deals.product(price=Decimal("38000"), unit="set")

    found = lines.product_line(deals.gate(seller), product.id)

    assert (found.name, found.price, found.unit, found.vat_code) == (product.name, 38000, "set", "standard")


# -- discounts ---------------------------------------------------------------------------------------------------------


def test_a_discount_over_the_limit_waits_for_the_head(deals: Any, seller: Any, boss: Any, db: Any) -> None:
    deal = deals.deal(seller)
    gate = deals.gate(seller)
    lines.set_lines(gate, deal, [draft(price=1000, discount=20)])
    assert discounts.waits(gate, deal)
    with pytest.raises(services.NeedsApproval):
        services.win(gate, deal)

    assert boss.id in discounts.ask(gate, deal)
    rows = db.execute(sa.select(Notification.user_id, Notification.kind)).all()
    assert (boss.id, "deals.discount.asked") in rows
    with pytest.raises(saving.NotAllowed):
        discounts.decide(gate, deal, approved=True)

    discounts.decide(deals.gate(boss), deal, approved=True)
    rows = db.execute(sa.select(Notification.user_id, Notification.kind)).all()
    assert (seller.id, "deals.discount.decided") in rows
    services.win(gate, deal)
    assert deal.state == "won"


def test_more_than_was_approved_waits_again_and_who_may_approves_by_giving(
    deals: Any, seller: Any, boss: Any, db: Any
) -> None:
    deal = deals.deal(seller)
    lines.set_lines(deals.gate(boss), deal, [draft(discount=20)])
    gate = deals.gate(seller)
    assert not discounts.waits(gate, deal)

    lines.set_lines(gate, deal, [draft(discount=25)])

    assert discounts.waits(gate, deal)


def test_the_limit_is_a_setting(deals: Any, seller: Any, db: Any) -> None:
    deal = deals.deal(seller)
    gate = deals.gate(seller)
    lines.set_lines(gate, deal, [draft(discount=20)])
    db.add(SettingValue(key=discounts.LIMIT, value=30))
    db.flush()

    assert not discounts.waits(gate, deal)


# -- what belongs to a deal --------------------------------------------------------------------------------------------


def test_an_observer_sees_the_deal_and_changes_nothing(deals: Any, seller: Any, factories: Any) -> None:
    watcher = factories.user("manager", team_id=factories.team().id)
    deal = deals.deal(seller)
    assert deals.gate(watcher).get("deals.deal", deal.id) is None

    belongings.add_observer(deals.gate(seller), deal, watcher.id)

    gate = deals.gate(watcher)
    assert gate.get("deals.deal", deal.id) is not None
    assert [row.id for row in Listing(gate, deals.plugins.entity("deals.deal")).page(ListQuery()).rows] == [deal.id]
    assert not gate.allows("edit", deal)
    belongings.remove_observer(gate, deal, watcher.id)
    assert deals.gate(watcher).get("deals.deal", deal.id) is None


def test_a_date_reminds_the_responsible_and_the_nearest_stands_in_the_list(
    deals: Any, seller: Any, db: Any, clock: Any
) -> None:
    from crm_core.models import Reminder

    clock.move_to(dt.datetime(2026, 3, 10, 9, tzinfo=dt.UTC))
    deal = deals.deal(seller)
    gate = deals.gate(seller)
    kinds = {kind.code: kind for kind in belongings.date_kinds(db)}

    payment = belongings.set_date(gate, deal, kinds["payment"].id, dt.date(2026, 3, 20))
    belongings.set_date(gate, deal, kinds["contract"].id, dt.date(2026, 3, 15), remind_days=3)

    assert deal.next_date == dt.date(2026, 3, 15)
    rows = db.execute(sa.select(Reminder.user_id, Reminder.at).order_by(Reminder.at)).all()
    assert rows == [
        (seller.id, dt.datetime(2026, 3, 12, 6, tzinfo=dt.UTC)),
        (seller.id, dt.datetime(2026, 3, 19, 6, tzinfo=dt.UTC)),
    ]
    for one, _kind in belongings.dates(db, deal.id):
        if one.id != payment.id:
            belongings.finish_date(gate, deal, one.id)
    assert deal.next_date == dt.date(2026, 3, 20)
    assert db.scalar(sa.select(sa.func.count()).select_from(Reminder)) == 1


def test_reminders_go_with_the_deal_to_its_new_owner(deals: Any, seller: Any, boss: Any, db: Any) -> None:
    from crm_core.models import Reminder

    deal = deals.deal(seller)
    kind = next(one for one in belongings.date_kinds(db) if one.code == "payment")
    belongings.set_date(deals.gate(seller), deal, kind.id, dt.date(2099, 1, 1))

    saving.assign(deals.gate(boss), deals.plugins.entity("deals.deal"), [deal.id], boss.id)

    assert list(db.scalars(sa.select(Reminder.user_id))) == [boss.id]


def test_a_copy_has_lines_and_parties_and_begins_anew(deals: Any, seller: Any, db: Any) -> None:
    from crm_core.db import RecordRef

    company, person = deals.company(seller), deals.person(seller)
    deal = deals.deal(seller, company_id=company.id)
    gate = deals.gate(seller)
    lines.set_lines(gate, deal, [draft(price=100), draft(price=50)])
    belongings.add_party(gate, deal, RecordRef("clients.person", person.id), "Решает")
    services.win(gate, deal)

    copy = services.clone(gate, deal)

    assert copy.id != deal.id
    assert (copy.name, copy.state, copy.amount, copy.company_id) == (deal.name, "open", 150, company.id)
    assert [(one.label, one.role) for one in belongings.parties(gate, copy)] == [
        (company.name, ""),
        (person.full_name, "Решает"),
    ]


def test_what_is_said_with_the_client_is_activity_of_his_open_deals(deals: Any, seller: Any, db: Any) -> None:
    from crm_core import events
    from crm_core.specs import Event

    company = deals.company(seller)
    opened, closed = deals.deal(seller, company_id=company.id), deals.deal(seller, company_id=company.id)
    services.win(deals.gate(seller), closed)
    gate = deals.gate(seller)
    payload = {
        "id": 1, "kind": "call", "direction": "in", "subject_entity": "clients.company", "subject_id": company.id,
        "at": "2026-03-10T09:00:00+00:00",
    }  # fmt: skip

    events.fire(db, Event("clients.interaction.recorded", payload), plugins=gate.plugins, subject=gate.subject)

    db.expire_all()
    assert db.get(Deal, opened.id, execution_options={"crm_ungated": "a look"}).last_activity_at is not None
    assert db.get(Deal, closed.id, execution_options={"crm_ungated": "a look"}).last_activity_at is None
