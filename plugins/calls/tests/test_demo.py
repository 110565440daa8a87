"""The demo company has a fortnight of calls, a missed one for the manager and a number that is nobody's."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from crm_calls.models import Call, Gateway, Line
from crm_core import demo
from crm_core.db import UNGATED
from crm_core.models import User


def test_the_demo_has_calls_to_be_found(committed_db: Any) -> None:
    demo.fill(committed_db.factory, committed_db.plugins)

    with committed_db.session() as session:
        calls = session.scalars(sa.select(Call), execution_options={UNGATED: "a look at the result"}).all()
        manager = session.scalars(sa.select(User.id).where(User.email == "manager@demo.example")).one()
        assert 180 <= len(calls) <= 220
        assert session.scalar(sa.select(sa.func.count()).select_from(Line)) >= 5
        assert session.scalars(sa.select(Gateway)).one().adapter == "http"
    assert [call for call in calls if call.status == "missed" and call.owner_id == manager and call.subject_id]
    assert {call.number for call in calls if call.subject_id is None} == {"+79450009917"}
    assert all(call.ended_at >= call.started_at for call in calls)
