"""Makers of deals with the least that is valid."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core.models import User
from crm_core.plugins import Plugins
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject, load_subject
from crm_core.testing.factories import Factories
from crm_deals.models import Deal, LossReason, Pipeline, Product, Stage, StageChange
from crm_deals.services import create_deal
from crm_deals.services.lines import DraftLine

_numbers = count(1)


class Deals:
    """Makes deals in one session; without an author the system makes them."""

    def __init__(self, session: Session, plugins: Plugins, factories: Factories) -> None:
        self.session, self.plugins, self.factories = session, plugins, factories

    def gate(self, user: User | None = None) -> Gate:
        """Return the gate of a person, or of the system; what is done by it is an operation of its own."""
        self.session.commit()
        subject = Subject.system("tests") if user is None else load_subject(self.session, user.id)
        assert subject is not None
        return Gate(self.session, subject, self.plugins)

    def company(self, owner: User | None = None, **values: Any) -> Any:
        """Make a company."""
        values.setdefault("name", f"ООО «Тест {next(_numbers)}»")
        return saving.create(
            self.gate(), self.plugins.entity("clients.company"), {**values, "owner_id": owner and owner.id}
        )

    def person(self, owner: User | None = None, **values: Any) -> Any:
        """Make a person."""
        values.setdefault("last_name", f"Тестов{next(_numbers)}")
        return saving.create(
            self.gate(), self.plugins.entity("clients.person"), {**values, "owner_id": owner and owner.id}
        )

    def deal(self, owner: User | None = None, **values: Any) -> Deal:
        """Make a deal."""
        values.setdefault("name", f"Сделка {next(_numbers)}")
        return create_deal(self.gate(), owner_id=owner and owner.id, **values)

    def product(self, **values: Any) -> Product:
        """Make a product."""
        values = {"name": f"Товар {next(_numbers)}", "price": Decimal(1000), "vat_code": "standard", **values}
        return saving.create(self.gate(), self.plugins.entity("deals.product"), values)

    def stages(self, pipeline_id: int | None = None) -> dict[str, Stage]:
        """Return the stages of a pipeline (the first one) by name."""
        pipeline_id = pipeline_id or self.pipeline().id
        found = self.session.scalars(
            self.gate().select("deals.stage").where(Stage.pipeline_id == pipeline_id).order_by(Stage.position)
        )
        return {stage.name: stage for stage in found}

    def pipeline(self) -> Pipeline:
        """Return the first pipeline."""
        return self.session.scalars(
            self.gate().select("deals.pipeline").order_by(Pipeline.position, Pipeline.id)
        ).first()

    def reason(self) -> LossReason:
        """Return the first reason of refusal."""
        return self.session.scalars(
            self.gate().select("deals.reason").order_by(LossReason.position)
        ).first()

    def moves(self, deal: Deal | int) -> list[StageChange]:
        """Return the typed history of a deal, the oldest first."""
        number = deal if isinstance(deal, int) else deal.id
        self.session.flush()
        return list(
            self.session.scalars(
                sa.select(StageChange).where(StageChange.deal_id == number).order_by(StageChange.id)
            )
        )


def line(price: Any = 1000, quantity: Any = 1, discount: Any = 0, vat: str = "standard", **more: Any) -> DraftLine:
    """Return a line as it is typed."""
    return DraftLine(
        name=more.pop("name", "Кондиционер"),
        price=Decimal(str(price)),
        quantity=Decimal(str(quantity)),
        discount_percent=Decimal(str(discount)),
        vat_code=vat,
        **more,
    )
