"""Notifications: told once, to others than who did it, and nothing of what may no longer be seen."""

from __future__ import annotations

import datetime as dt

from crm_core import clock as crm_clock
from crm_core import notify


class Gate:
    def __init__(self, *visible: tuple[str, int]) -> None:
        self.visible = set(visible)

    def visible_ids(self, entity: str, ids):
        return {one for one in ids if (entity, one) in self.visible}


def tell(db, users, **more):
    return notify.notify(db, users, key="k", kind="test", title="Deal “${name}” was won", values={"name": "X"}, **more)


def test_each_person_is_told_a_fact_once(db, factories):
    first, second = factories.user(), factories.user()

    assert tell(db, [first.id, second.id]) == 2
    assert tell(db, [first.id, second.id]) == 0
    assert notify.unread_count(db, first.id) == 1


def test_nobody_is_told_what_he_did_himself(db, factories):
    actor, other = factories.user(), factories.user()

    tell(db, [actor.id, other.id], actor=actor.id)

    assert notify.unread_count(db, actor.id) == 0
    assert notify.unread_count(db, other.id) == 1


def test_what_may_no_longer_be_seen_is_not_told(db, factories):
    user = factories.user()
    tell(db, user.id, entity="deals.deal", record_id=5, href="/deals/5")

    (shown,) = notify.listing(db, Gate(("deals.deal", 5)), user.id)
    (hidden,) = notify.listing(db, Gate(), user.id)

    assert (shown.accessible, shown.href, shown.values) == (True, "/deals/5", {"name": "X"})
    assert (hidden.accessible, hidden.href, dict(hidden.values), hidden.record_id) == (False, "", {}, None)
    assert "X" not in str(hidden.title)


def test_read_is_read_for_oneself_only(db, factories):
    first, second = factories.user(), factories.user()
    tell(db, [first.id, second.id])

    assert notify.mark_read(db, first.id) == 1

    assert notify.unread_count(db, first.id) == 0
    assert notify.unread_count(db, second.id) == 1


def test_a_snoozed_one_comes_back(db, factories, clock):
    user = factories.user()
    tell(db, user.id)
    (item,) = notify.listing(db, Gate(), user.id)

    notify.snooze(db, user.id, item.id, crm_clock.now() + dt.timedelta(hours=1))

    assert notify.listing(db, Gate(), user.id) == []
    clock.tick(hours=1)
    assert len(notify.listing(db, Gate(), user.id)) == 1


def test_pages_go_back_and_forth_by_id(db, factories):
    user = factories.user()
    ids = [factories.notification(user).id for _ in range(5)]

    page = notify.listing(db, Gate(), user.id, limit=2)
    older = notify.listing(db, Gate(), user.id, limit=2, before=page[-1].id)
    newer = notify.listing(db, Gate(), user.id, since=ids[2])

    assert [one.id for one in page] == ids[:2:-1][:2]
    assert [one.id for one in older] == [ids[2], ids[1]]
    assert [one.id for one in newer] == [ids[4], ids[3]]


def test_holders_of_a_permission_are_the_active_ones(db, factories):
    admin = factories.user(role="administrator")
    factories.user(role="administrator", status="disabled")
    factories.user(role="manager")

    assert notify.holders(db, "plugins:manage") == [admin.id]
