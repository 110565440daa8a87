"""Makers of what telephony needs, with the least that is valid."""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_calls import gateways, services
from crm_calls.asterisk import ADAPTERS
from crm_calls.contract import CallEvent
from crm_calls.models import Call, Line
from crm_core import clock
from crm_core.db import UNGATED
from crm_core.models.work import JobRow
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject, load_subject
from crm_core.testing.factories import Factories

_numbers = count(1)

KNOWN, STRANGER = "+79450000044", "+79450000099"


class Office:
    """A sales department: a head, a manager with line 101, a colleague with line 102, and a stranger elsewhere."""

    def __init__(self, session: Session, plugins: Any, factories: Factories, *, adapter: str = "http") -> None:
        self.session, self.plugins = session, plugins
        self.sales = factories.team(name="Sales")
        self.support = factories.team(name="Support")
        self.head = factories.user("head", team_id=self.sales.id, name="Вера Главная")
        self.manager = factories.user("manager", team_id=self.sales.id, name="Олег Первый")
        self.colleague = factories.user("manager", team_id=self.sales.id, name="Анна Вторая")
        self.stranger = factories.user("manager", team_id=self.support.id, name="Игорь Чужой")
        self.admin = factories.user("administrator", name="Админ")
        self.sales.head_id = self.head.id
        session.flush()
        self.gateway = self.connect(adapter)
        self.secret = gateways.new_secret(session, Subject.system("tests"), self.gateway)
        for number, user, team in (
            ("101", self.manager, None),
            ("102", self.colleague, None),
            ("600", None, self.sales),
        ):
            self.line(number, user, team)

    def connect(self, adapter: str, name: str = "АТС", **values: str) -> Any:
        """Connect a gateway."""
        found = next(one for one in ADAPTERS if one.name == adapter)
        if adapter == "asterisk":
            values = {"host": "127.0.0.1", "user": "crm", **values}
        return gateways.save_gateway(
            self.session, Subject.system("tests"), None, name=name, adapter=found, values=values, password="тайна"
        )

    def line(self, number: str, user: Any = None, team: Any = None) -> Line:
        """Give a line to somebody."""
        return gateways.save_line(
            self.session,
            Subject.system("tests"),
            None,
            gateway_id=self.gateway.id,
            number=number,
            user_id=user and user.id,
            team_id=team and team.id,
        )

    def gate(self, user: Any = None) -> Gate:
        """Return the gate of a person, or of telephony."""
        self.session.flush()
        if user is None:
            return services.telephony(self.session, self.plugins)
        subject = load_subject(self.session, user.id)
        assert subject is not None
        return Gate(self.session, subject, self.plugins)

    def person(self, number: str = KNOWN, owner: Any = None, **values: Any) -> Any:
        """Make a client with a telephone number."""
        gate = Gate(self.session, Subject.system("tests"), self.plugins)
        owner = self.manager if owner is None else owner
        values.setdefault("last_name", f"Звонков{next(_numbers)}")
        values = {"phones": [{"value": number, "main": True}], "owner_id": owner and owner.id, **values}
        return saving.create(gate, gate.entity("clients.person"), values)

    def tell(self, event: str, call: str = "c1", *, gate: Gate | None = None, ago: float = 0, **values: Any) -> Call:
        """Tell an event of a call as telephony does."""
        values.setdefault("direction", "in")
        values.setdefault("number", KNOWN)
        line = values.pop("line", None)
        if line:
            values["lines"] = (line,)
        at = clock.now() - dt.timedelta(seconds=ago)
        return services.take(gate or self.gate(), self.gateway.id, CallEvent(event=event, call=call, at=at, **values))

    def missed(self, call: str = "m1", **values: Any) -> Call:
        """Let a call ring and be missed."""
        self.tell("started", call, ago=20, **values)
        return self.tell("ended", call, result="no_answer", **values)

    def talked(self, call: str = "t1", *, seconds: int = 60, **values: Any) -> Call:
        """Let a call be talked."""
        self.tell("started", call, ago=seconds + 10, **values)
        self.tell("answered", call, ago=seconds, **values)
        return self.tell("ended", call, result="answered", **values)

    def calls(self) -> list[Call]:
        """Return all calls there are."""
        self.session.flush()
        statement = sa.select(Call).order_by(Call.id).execution_options(populate_existing=True)
        return list(self.session.scalars(statement, execution_options={UNGATED: "a look at the result"}))

    def jobs(self, name: str) -> list[JobRow]:
        """Return what was enqueued under a name."""
        self.session.flush()
        return list(self.session.scalars(sa.select(JobRow).where(JobRow.name == name).order_by(JobRow.id)))
