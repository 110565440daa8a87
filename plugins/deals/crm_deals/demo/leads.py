"""The leads of the demo company: 2,400 in a year, from the site, calls, letters and an exhibition, and what became
of each; some wait just now, a few of them for too long."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from crm_core.company import WorkingCalendar
from crm_core.demo.context import TIME_ZONE, DemoContext
from crm_deals.entities import LEAD, LEADS
from crm_deals.entities.leads import prepare_lead
from crm_deals.services.worktime import WorkTime

COUNT, EXHIBITION, WAITING, LINKED = 2400, 62, 18, 520
YEAR = 365
TERM = 30

_ALIVE = {"deleted_at": None, "deleted_op": None}

NAMES = (
    "Анна", "Игорь", "Мария", "Сергей", "Елена", "Павел", "Ольга", "Дмитрий", "Наталья", "Роман", "Ирина", "Артём",
    "Светлана", "Максим", "Юлия", "Андрей", "Татьяна", "Виктор", "Алина", "Константин",
)  # fmt: skip
SURNAMES = (
    "Белов", "Зуев", "Лапин", "Носов", "Осипов", "Панин", "Рябов", "Седов", "Тихонов", "Уваров", "Фомин", "Чернов",
    "Шилов", "Юдин", "Гусев", "Демин", "Ершов", "Жилин", "Крылов", "Мухин",
)  # fmt: skip
FIRMS = (
    "Пекарня на Садовой", "Стоматология «Улыбка»", "Автосервис на Заводском", "Фитнес-клуб «Темп»", "Отель «Волна»",
    "Детский сад «Ромашка»", "Аптека у вокзала", "Типография «Оттиск»", "Кофейня «Зерно»", "Швейный цех «Нить»",
)  # fmt: skip
REQUESTS = (
    "Нужен кондиционер в комнату 20 м², когда сможете поставить?",
    "Посчитайте вентиляцию для офиса 180 м².",
    "Сплит-система течёт, кто обслуживает?",
    "Сколько стоит монтаж вместе с оборудованием?",
    "Интересует договор на обслуживание шести кондиционеров.",
    "Замерьте, пожалуйста, квартиру под приточную вентиляцию.",
    "Нужен котёл на дом 150 м², есть в наличии?",
    "Пришлите прайс на фильтры и увлажнители.",
    "Хотим заменить старую систему, приезжайте посмотреть.",
    "Подберите бесшумный кондиционер в спальню.",
    "Нужна осушка подвала, сырость после весны.",
    "Сделайте КП на три кассетных блока.",
)
REJECTED_TEXTS = {
    "spam": ("Продвижение сайта в топ-10, гарантия.", "Предлагаем базу клиентов вашего города.", "Casino bonus 500%"),
    "wrong": ("Перезвоните", "…"),
    "profile": ("Ремонтируете холодильники?", "Нужен сантехник срочно.", "Продаёте автомобильные кондиционеры?"),
    "double": ("Это снова я, жду звонка.", "Уже писал вчера, ответьте."),
    "silent": ("Перезвоните после обеда.", "Сколько стоит?"),
    "other": ("Ищу работу монтажником.", "Это доставка цветов?"),
}
REASONS = (("spam", 31), ("silent", 24), ("profile", 18), ("wrong", 12), ("double", 10), ("other", 5))
SOURCES = (("site", 52), ("call", 24), ("advertising", 9), ("letter", 6), ("social", 5), ("recommendation", 4))
CONSENT = (
    "Я согласен на обработку моих персональных данных (имя, телефон, e-mail, текст запроса) для ответа на мой запрос. "
    "Согласие можно отозвать в любое время, написав компании."
)
CAMPAIGNS = (
    {"utm_source": "yandex", "utm_medium": "cpc", "utm_campaign": "split-sistemy"},
    {"utm_source": "vk", "utm_medium": "social", "utm_campaign": "zhara"},
    {"utm_source": "yandex", "utm_medium": "cpc", "utm_campaign": "ventilyaciya-ofis"},
    {"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "to-do-sezona"},
)


@dataclass
class _Demo:
    context: DemoContext
    work: WorkTime
    sellers: Sequence[tuple[str, int]]
    forms: Mapping[str, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    reactions: list[tuple[dt.datetime, int, dict[str, Any]]] = field(default_factory=list)
    """When, by whom, and what became of it."""
    phones: set[str] = field(default_factory=set)


def fill(context: DemoContext) -> None:
    """Write down the forms and rules, a year of leads, and those that wait."""
    if "manager" not in context.people:
        return
    demo = _Demo(
        context,
        WorkTime(WorkingCalendar(), TIME_ZONE),
        (("manager", 40), ("manager2", 36), ("manager3", 24)),
    )
    _make_sources(demo)
    deals = context.session.execute(
        sa.text(
            "SELECT d.id, d.owner_id, d.team_id, d.created_by, d.created_at, d.person_id, d.company_id, "
            "p.full_name, p.phones, p.emails, c.name AS company FROM deals_deal d "
            "LEFT JOIN clients_person p ON p.id = d.person_id LEFT JOIN clients_company c ON c.id = d.company_id "
            "WHERE d.deleted_at IS NULL AND d.owner_id IS NOT NULL ORDER BY d.id"
        )
    ).all()
    people = context.session.execute(
        sa.text(
            "SELECT id, full_name, phones, emails, owner_id, team_id, created_at FROM clients_person "
            "WHERE deleted_at IS NULL AND owner_id IS NOT NULL ORDER BY id LIMIT 1500"
        )
    ).all()
    oldest = context.at(YEAR, 9)
    recent = [deal for deal in deals if deal.created_at >= oldest]
    for deal in context.random.sample(recent, min(len(recent), 820)):
        _take(demo, deal)
    for person in context.random.sample(people, min(len(people), LINKED)):
        _link(demo, person)
    _wait(demo)
    left = COUNT - len(demo.rows)
    for number in range(left):
        _reject(demo, exhibition=number < EXHIBITION)
    ids = context.numbers("deals_lead", len(demo.rows))
    for number, row in zip(ids, sorted(demo.rows, key=lambda one: one["received_at"]), strict=True):
        row["id"] = number
    _write(demo)


def _make_sources(demo: _Demo) -> None:
    context = demo.context
    at, by = context.at(YEAR + 20, 11), context.people.get("admin")
    site, homes = context.numbers("deals_lead_form", 2)
    (program,) = context.numbers("deals_lead_intake", 1)
    demo.forms = {"site": site, "homes": homes, "program": program}
    shared = {
        "consent_text": CONSENT,
        "consent_version": 1,
        "button": "",
        "thanks_text": "Спасибо! Перезвоним в течение получаса в рабочее время.",
        "thanks_url": "",
        "source": "site",
        "locale": "ru",
        "active": True,
        "created_at": at,
    }
    forms = [
        {
            **shared, "id": site, "token": "demo-raschet", "name": "Сайт: расчёт вентиляции",
            "title": "Рассчитаем вентиляцию и кондиционирование", "intro": "Ответим в течение получаса.",
            "fields": {"name": "optional", "phone": "required", "email": "optional", "company": "optional",
                       "text": "optional"},
            "sites": ["https://klimat.example"],
        },
        {
            **shared, "id": homes, "token": "demo-kvartira", "name": "Сайт: кондиционер домой",
            "title": "Кондиционер домой", "intro": "",
            "fields": {"name": "required", "phone": "required", "text": "optional"}, "sites": [],
        },
    ]  # fmt: skip
    context.insert("deals_lead_form", forms, at=at, by=by, kind="settings")
    context.insert(
        "deals_lead_intake",
        [{"id": program, "token": "demo-reklama", "name": "Рекламный кабинет", "source": "advertising", "active": True,
          "created_at": at}],
        at=at, by=by, kind="settings", joined=True,
    )  # fmt: skip
    people = context.people
    rules = [
        (None, homes, None, "person", ["manager3"], 20),
        ("call", None, None, "round", ["manager", "manager2"], 10),
        ("site", None, None, "round", ["manager", "manager2"], TERM),
        ("advertising", None, program, "least", ["manager", "manager2", "manager3"], TERM),
    ]
    context.insert(
        "deals_lead_rule",
        [
            {
                "position": place, "source": source, "form_id": form, "intake_id": intake, "way": way,
                "user_ids": [people[one] for one in logins if one in people], "term_minutes": term, "active": True,
                "created_at": at,
            }
            for place, (source, form, intake, way, logins, term) in enumerate(rules, 1)
        ],
        at=at, by=by, kind="settings", joined=True,
    )  # fmt: skip


# -- one lead ----------------------------------------------------------------------------------------------------------


def _lead(demo: _Demo, received: dt.datetime, source: str, owner: int | None, **values: Any) -> dict[str, Any]:
    random = demo.context.random
    form = None
    if source == "site":
        form = demo.forms["homes"] if random.random() < 0.35 else demo.forms["site"]
    consent = form is not None
    row: dict[str, Any] = {
        "id": 0,
        "owner_id": owner,
        "team_id": demo.context.department_of.get(owner) if owner is not None else None,
        "created_at": received,
        "created_by": None,
        **_ALIVE,
        "name": None,
        "company": None,
        "phones": [],
        "emails": [],
        "text": None,
        "source": source,
        "form_id": form,
        "intake_id": demo.forms["program"] if source == "advertising" else None,
        "utm": {**random.choice(CAMPAIGNS), "page": "https://klimat.example/"} if source in ("site", "advertising")
        and random.random() < 0.6 else {},
        "consent_text": CONSENT if consent else None,
        "consent_version": 1 if consent else None,
        "consent_at": received if consent else None,
        "consent_address": f"198.51.100.{random.randint(2, 250)}" if consent else None,
        "received_at": received,
        "state": "new",
        "due_at": demo.work.after(received, 10 if source == "call" else TERM),
        **values,
    }  # fmt: skip
    row["caption"] = prepare_lead(row)["caption"]
    demo.rows.append(row)
    return row


def _react(demo: _Demo, row: dict[str, Any], at: dt.datetime, by: int, **values: Any) -> None:
    change = {
        "first_reaction_at": at,
        "answerable_id": row["owner_id"] or by,
        "late_minutes": demo.work.minutes(row["due_at"], at),
        "owner_id": by,
        "team_id": demo.context.department_of.get(by),
        "reason": None,
        "reason_note": None,
        "person_id": None,
        "company_id": None,
        "deal_id": None,
        **values,
    }
    demo.reactions.append((at, by, {"row": row, **change}))


def _reaction(demo: _Demo, received: dt.datetime) -> dt.datetime:
    """Return when somebody reacted: mostly in time, now and then hours later."""
    random = demo.context.random
    minutes = random.choices(
        (random.randint(2, 9), random.randint(10, 28), random.randint(31, 90), random.randint(91, 600)), (38, 40, 16, 6)
    )[0]
    return demo.work.after(received, minutes)


def _source(demo: _Demo) -> str:
    return demo.context.random.choices([one for one, _n in SOURCES], [n for _one, n in SOURCES])[0]


def _seller(demo: _Demo) -> int:
    logins = [one for one in demo.sellers if one[0] in demo.context.people]
    chosen = demo.context.random.choices([one for one, _n in logins], [n for _one, n in logins])[0]
    return demo.context.people[chosen]


def _moment(demo: _Demo) -> dt.datetime:
    context = demo.context
    days = context.working_days(YEAR)
    ago = context.random.choices([day for day, _w in days], [weight for _d, weight in days])[0]
    # People write in the evening too; nobody answers them before the morning.
    return context.at(ago, context.random.choices(range(8, 23), (3, 6, 9, 9, 8, 7, 8, 8, 7, 6, 4, 3, 3, 2, 1))[0],
                      context.random.randint(0, 59))  # fmt: skip


def _phone(demo: _Demo) -> list[dict[str, Any]]:
    # Codes that no operator has.
    while True:
        number = f"+79{demo.context.random.choice((45, 46, 47))}{demo.context.random.randrange(10**7):07d}"
        if number not in demo.phones:
            demo.phones.add(number)
            return [{"value": number, "main": True}]


def _name(demo: _Demo) -> str:
    random = demo.context.random
    first = random.choice(NAMES)
    if random.random() < 0.55:
        return first
    return f"{first} {random.choice(SURNAMES)}{'а' if first[-1] in 'ая' else ''}"


def _take(demo: _Demo, deal: Any) -> None:
    random = demo.context.random
    received = deal.created_at - dt.timedelta(minutes=random.choice((4, 7, 12, 18, 25, 40, 75, 190)))
    source = _source(demo)
    row = _lead(
        demo, received, source, deal.owner_id if random.random() < 0.8 else None, name=deal.full_name,
        company=deal.company, phones=(deal.phones or [])[:1] or _phone(demo), emails=(deal.emails or [])[:1],
        text=random.choice(REQUESTS) if source != "call" else None,
    )  # fmt: skip
    found = {"person_id": deal.person_id, "company_id": deal.company_id, "deal_id": deal.id}
    _react(demo, row, deal.created_at, deal.owner_id, state="taken", **found)


def _link(demo: _Demo, person: Any) -> None:
    random = demo.context.random
    received = _moment(demo)
    source = _source(demo)
    row = _lead(
        demo, received, source, person.owner_id if random.random() < 0.7 else None, name=person.full_name,
        phones=(person.phones or [])[:1] or _phone(demo), emails=(person.emails or [])[:1],
        text=random.choice(REQUESTS) if source != "call" else None,
    )  # fmt: skip
    at = _reaction(demo, received)
    if at < demo.context.now:
        _react(demo, row, at, person.owner_id, state="linked", person_id=person.id)
    else:
        demo.rows.remove(row)


def _reject(demo: _Demo, *, exhibition: bool = False) -> None:
    random = demo.context.random
    seller = _seller(demo)
    ready = demo.context.now - dt.timedelta(minutes=5)
    if exhibition:
        # Two days of October; half of them asked for a price list and were never heard of again.
        today = demo.context.today
        october = dt.date(today.year if today.month > 10 else today.year - 1, 10, 14)
        ago = (today - october).days - random.randint(0, 1)
        received = demo.context.at(ago, random.randint(10, 17), random.randint(0, 59))
        source, reason = "exhibition", random.choice(("silent", "silent", "profile"))
        text = "Выставка: оставили визитку, просили прайс."
    else:
        received, source = _moment(demo), _source(demo)
        while _reaction(demo, received) > ready:
            received = _moment(demo)
        reason = random.choices([one for one, _n in REASONS], [n for _one, n in REASONS])[0]
        text = random.choice(REJECTED_TEXTS[reason])
    row = _lead(
        demo, received, source, seller if random.random() < 0.7 else None, name=_name(demo), phones=_phone(demo),
        company=random.choice(FIRMS) if random.random() < 0.3 else None, text=text if source != "call" else None,
    )  # fmt: skip
    at = _reaction(demo, received)
    _react(demo, row, at if at < ready else ready, seller, state="rejected", reason=reason)


def _wait(demo: _Demo) -> None:
    """Let some wait just now: fresh ones, a few that nobody has, and a few that have waited for too long."""
    random, now = demo.context.random, demo.context.now
    for place in range(WAITING):
        minutes = (3, 9, 16, 22, 27, 34, 48, 61, 85, 130, 190, 260, 340, 420, 900, 1300, 1500, 2900)[place % 18]
        source = "site" if place % 3 else "call"
        owner = None if place % 4 == 1 else _seller(demo)
        _lead(
            demo, now - dt.timedelta(minutes=minutes), source, owner, name=_name(demo), phones=_phone(demo),
            company=FIRMS[place % len(FIRMS)] if place % 5 == 2 else None,
            text=random.choice(REQUESTS) if source != "call" else None,
        )  # fmt: skip


# -- into the journal --------------------------------------------------------------------------------------------------


def _write(demo: _Demo) -> None:
    context = demo.context
    for row in demo.rows:
        source = {"site": "form", "advertising": "api"}.get(row["source"], "web")
        at = row["received_at"]
        context.insert("deals_lead", [row], at=at, by=None, entity=LEAD, record_id=row["id"], source=source)
    final = {row["id"]: dict(row) for row in demo.rows}
    for at, by, change in demo.reactions:
        row = change.pop("row")
        values = {"id": row["id"], **change}
        final[row["id"]] |= values
        context.update("deals_lead", [values], at=at, by=by, entity=LEAD, record_id=row["id"])
        if values["deal_id"] is not None:
            deal = {"id": values["deal_id"], "lead_id": row["id"]}
            context.update("deals_deal", [deal], at=at, by=by, joined=True)
    context.index(LEADS, list(final.values()))
