"""Deals: the list, the card and the form follow from this; the short rows are a narrower look at the same records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crm_core.db import RecordRef
from crm_core.records import cleaning
from crm_core.specs import DoubleRule, Entity, Filter, ImportLink, ListLook, NamedScope, Part
from crm_deals import moving
from crm_deals.i18n import _
from crm_deals.models import OPEN, WON, Deal, Line, Member, Stage
from crm_deals.permissions import BOUGHT, OBSERVER
from crm_deals.schemas import (
    DateSchema,
    DealImportSchema,
    DealSchema,
    LineSchema,
    MemberSchema,
    PartySchema,
    ShortSchema,
)
from crm_deals.schemas.deals import OfferSchema

DEAL = "deals.deal"


def prepare_deal(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key a deal is sorted by; a nameless one gets name and key in the database."""
    name = row.get("name")
    return {"name_sort": cleaning.sort_key(name)} if name else {}


def history_of_clients(session: Any, deal_id: int) -> list[RecordRef]:
    """Return the client of a deal: what was said with him is part of its history."""
    from crm_deals.services.rows import clients_of

    return clients_of(session, deal_id)


def link_companies(session: Any, pairs: Iterable[tuple[int, int]], _context: Any = None) -> None:
    """Give imported deals their companies, leaving those that have one."""
    from crm_deals.services.moving import link_clients

    link_clients(session, "company_id", pairs)


def link_people(session: Any, pairs: Iterable[tuple[int, int]], _context: Any = None) -> None:
    """Give imported deals their contact people, leaving those that have one."""
    from crm_deals.services.moving import link_clients

    link_clients(session, "person_id", pairs)


def keep_notes(importer: Any, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
    """Put the notes of an import's rows into the history of their deals."""
    from crm_deals.services import moving as services

    services.keep_notes(importer, rows)


def _observed(model: Any, subject: Any) -> Any:
    return model.id.in_(sa.select(Member.deal_id).where(Member.user_id == subject.user_id))


def _bought(model: Any, _subject: Any) -> Any:
    return model.state == WON


def _rotting(model: Any, wanted: bool, context: Any) -> Any:
    stuck = sa.exists().where(
        Stage.id == model.stage_id,
        Stage.deleted_at.is_(None),
        Stage.rot_days.is_not(None),
        sa.func.greatest(model.stage_since, model.last_activity_at)
        < sa.literal(context.now) - sa.func.make_interval(0, 0, 0, Stage.rot_days),
    )
    criterion = sa.and_(model.state == OPEN, stuck)
    return criterion if wanted else sa.not_(criterion)


def _idle(model: Any, days: int, context: Any) -> Any:
    before = context.now - dt.timedelta(days=days)
    return sa.and_(
        model.state == OPEN, sa.func.coalesce(model.last_activity_at, model.created_at) < before
    )


def _late(model: Any, wanted: bool, context: Any) -> Any:
    criterion = sa.and_(model.state == OPEN, model.expected_close < context.today)
    return criterion if wanted else sa.not_(sa.func.coalesce(criterion, sa.false()))


def _with_product(model: Any, value: str, _context: Any) -> Any:
    number = int(value) if value.isdecimal() and len(value) < 19 else 0
    return model.id.in_(sa.select(Line.deal_id).where(Line.product_id == number))


DEALS = Entity(
    name=DEAL,
    title=_("Deal"),
    title_plural=_("Deals"),
    model=Deal,
    schema=DealSchema,
    permission_prefix="deals",
    url="/deals",
    icon="coins",
    add_title=_("Create a deal"),
    about=_("What is being sold to whom, for how much, and how far it is."),
    label="name",
    sort="created_at",
    descending=True,
    hint=("company_id", "person_id", "amount"),
    head=("amount", "expected_close", "next_date"),
    columns=("stage_id", "amount", "company_id", "owner_id", "expected_close", "last_activity_at", "tags"),
    scopes=(
        NamedScope(
            name=OBSERVER, title=_("Those one watches"), sentence=_("watches the deal"), criterion=_observed
        ),
    ),
    filters=(
        Filter(name="rotting", title=_("Stuck"), kind="bool", criterion=_rotting, sentence=_("Stuck in its stage")),
        Filter(
            name="idle", title=_("Idle for N days"), kind="days", criterion=_idle,
            sentence=_("Idle for more than ${value} days"),
        ),
        Filter(
            name="late", title=_("Expected close has passed"), kind="bool", criterion=_late,
            sentence=_("Expected close has passed"),
        ),
        Filter(
            name="product", title=_("With a product (number)"), kind="text", criterion=_with_product,
            sentence=_("With product no. ${value}"),
        ),
    ),
    parts=(
        Part(name="deals.line", title=_("Line of a deal"), schema=LineSchema),
        Part(name="deals.party", title=_("Party of a deal"), schema=PartySchema),
        Part(name="deals.member", title=_("Observer of a deal"), schema=MemberSchema),
        Part(name="deals.offer", title=_("Offer of a deal"), schema=OfferSchema),
        Part(name="deals.date", title=_("Date of a deal"), schema=DateSchema),
    ),
    looks=(
        ListLook(id="board", title=_("Board"), icon="layout-kanban", href="/deals/board"),
        ListLook(id="forecast", title=_("Forecast"), icon="chart-bar", href="/deals/forecast"),
    ),
    prepare=prepare_deal,
    together=history_of_clients,
    doubles=(
        DoubleRule(
            kind="field", field="external_id", title=_("the same number in another program"), weight=90
        ),
        DoubleRule(kind="field", field="name", title=_("the same name"), weight=50),
    ),
    import_links=(
        ImportLink(
            entity="clients.person",
            title=_("Contact of the deal"),
            fields=("full_name", "last_name", "first_name", "middle_name", "phones", "emails", "job_title"),
            keys=("phones", "emails", "name_sort"),
            column="person_id",
            link=link_people,
        ),
        ImportLink(
            entity="clients.company",
            title=_("Company of the deal"),
            fields=("name", "inn", "kpp", "phones", "emails", "site", "city"),
            keys=("inn", "name_sort"),
            column="company_id",
            link=link_companies,
        ),
    ),
    import_schema=DealImportSchema,
    after_import=keep_notes,
    known_exports=moving.EXPORTS,
)  # fmt: skip

#: Not among the entities: it has no pages of the core's making, only lists that ask the gate by its own permission.
SHORT_ROWS = Entity(
    name="deals.short",
    title=_("Deal"),
    title_plural=_("Deals in short"),
    model=Deal,
    schema=ShortSchema,
    permission_prefix="shortdeals",
    url="/deals/short",
    icon="coins",
    sort="created_at",
    descending=True,
    columns=("name", "company_id", "person_id", "stage_id", "state", "created_at", "closed_at"),
    scopes=(
        NamedScope(name=BOUGHT, title=_("Won ones"), sentence=_("may see what was bought"), criterion=_bought),
    ),
    searchable=False,
    importable=False,
    in_menu=False,
)
