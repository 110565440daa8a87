"""The core's real templates, drawn from sample shapes without a database; run this file to look at them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request

from crm_core.views import shapes as s

HERE = Path(__file__).parent
LONG = "Общество с ограниченной ответственностью «Торгово-производственная компания Вентиляционные системы Поволжья»"
OLGA = s.PersonView.of("Ольга Соколова", 4, hint="Руководитель отдела продаж")
PETR = s.PersonView.of("Пётр Иванов", 7)


#: What views give to more than one of the pages.
COMMON: dict[str, Any] = {
    "title": "Соколова Ольга",
    "heading": "История",
    "back": "/card",
    "filters_href": "/list/filters",
    "more": (),
    "more_open": False,
    "own": (),
    "explain": True,
    "who": (),
    "grants": (),
    "share": None,
    "list_title": (),
}


def shell(request: Request) -> s.Shell | None:
    """Return the shell of a manager, or none on the pages before sign-in."""
    if request.path.startswith("/plain"):
        return None
    item = s.NavItem
    return s.Shell(
        person=OLGA,
        company="Климат-Пример",
        groups=[
            s.NavGroup(
                id="home",
                title="",
                items=[
                    item(title="Рабочий стол", href="/home", icon="home", key="h"),
                    item(title="Мой день", href="/tasks", icon="checklist", key="t", count=7),
                ],
            ),
            s.NavGroup(
                id="sales",
                title="Продажи",
                items=[
                    item(
                        title="Контакты", href="/list", icon="users", active=request.path in ("/list", "/card"), key="p"
                    ),
                    item(title="Компании", href="/companies", icon="building", key="o"),
                    item(title="Лиды", href="/leads", icon="inbox", count=12),
                    item(title="Сделки", href="/deals", icon="layout-kanban"),
                ],
            ),
            s.NavGroup(
                id="marketing",
                title="Маркетинг",
                items=[
                    item(title="Кампании", href="/campaigns", icon="speakerphone"),
                    item(title="Сегменты", href="/segments", icon="chart-pie"),
                ],
            ),
            s.NavGroup(
                id="support",
                title="Поддержка",
                items=[
                    item(title="Обращения", href="/tickets", icon="lifebuoy", count=3),
                    item(title="База знаний", href="/kb", icon="book"),
                ],
            ),
            s.NavGroup(id="reports", title="Отчёты", items=[item(title="Отчёты", href="/reports", icon="chart-bar")]),
            s.NavGroup(
                id="settings",
                title="Настройки",
                items=[item(title="Настройки", href="/settings", icon="settings", active=request.path == "/settings")],
            ),
        ],
        favourites=[item(title="Кофейня на Волжской", href="/card", icon="star")],
        saved_views=[
            item(title="Нет контакта больше 30 дней", href="/list?view=1", icon="bookmark"),
            item(title="Новые за неделю", href="/list?view=2", icon="bookmark"),
        ],
        create=[
            s.Action(title="Контакт", href="/form", icon="user-plus", open="dialog"),
            s.Action(title="Компания", href="/form", icon="building", open="dialog"),
            s.Action(title="Сделка", href="/form", icon="layout-kanban", open="dialog"),
        ],
        bottom=[
            item(title="Главная", href="/home", icon="home"),
            item(title="Контакты", href="/list", icon="users", active=True),
            item(title="Сделки", href="/deals", icon="layout-kanban"),
            item(title="Обращения", href="/tickets", icon="lifebuoy"),
        ],
        jobs=[s.JobView(id=1, title="Импорт", state="running", done=2400, total=5000)],
        jobs_href="/jobs",
        bell_href="/form",
        unread=3,
        profile=[
            s.Action(title="Профиль", href="/form", icon="user-circle"),
            s.Action(title="Мои сеансы", href="/form", icon="devices"),
        ],
        preferences_href="/preferences",
        demo="Это показ с вымышленными данными: письма и SMS никуда не уходят.",
        toasts=[s.Toast(text="Сохранено: изменены 240 записей", undo_href="/undo")] if request.path == "/card" else [],
    )


def rows(count: int = 24) -> list[s.Row]:
    names = [
        "Абрамов Сергей Петрович",
        "Алексеева Мария",
        "Кофейня на Волжской",
        "Иванов Пётр",
        LONG,
        "Зайцева Анна Викторовна",
        "Орлов Дмитрий",
    ]
    tags = [
        s.Badge(text="Постоянный", color="green"),
        s.Badge(text="Монтаж", color="indigo"),
        s.Badge(text="Должник", color="red"),
    ]
    made = []
    for n in range(count):
        name = names[n % len(names)]
        cells = [
            s.Cell(kind="title", text=name, person=s.PersonView.of(name, n)),
            s.Cell(kind="phone", text=f"+7 846 200-01-{n:02}", href="tel:+78462000100", more=n % 3),
            s.Cell(kind="email", text=f"client{n}@primer.example", href="mailto:client@primer.example"),
            s.Cell(
                kind="badge",
                badges=[
                    s.Badge(text=["Новый", "В работе", "Отказ"][n % 3], tone=["accent", "success", "danger"][n % 3])
                ],
            ),
            s.Cell(kind="person", person=[OLGA, PETR][n % 2]),
            s.Cell(kind="money", text=f"{100 + n * 7} 400 ₽"),
            s.Cell(
                kind="date",
                text=["сегодня", "вчера", "14 окт."][n % 3],
                hint="14 октября 2026, 15:04",
                datetime="2026-10-14T15:04",
                tone="danger" if n == 2 else "",
            ),
            s.Cell(kind="tags", badges=tags[: n % 4], more=n % 2),
            s.Cell(kind="denied") if n == 4 else s.Cell(kind="bool", value=n % 2),
        ]
        made.append(s.Row(id=n, href="/card", label=name, cells=cells, side_href="/card", edit_href="/form"))
    return made


def page(empty: bool = False) -> s.ListPage:
    column = s.Column
    columns = [
        column(name="name", title="Имя", sort_href="?sort=name", sorted="asc"),
        column(name="phones", title="Телефон", phone=True),
        column(name="emails", title="Почта"),
        column(name="status", title="Статус", kind="badge", phone=True, sort_href="?sort=status"),
        column(name="owner", title="Ответственный", kind="person", sort_href="?sort=owner"),
        column(name="sum", title="Сумма сделок", kind="money", sort_href="?sort=sum"),
        column(name="last", title="Последний контакт", kind="date", sort_href="?sort=last", phone=True),
        column(name="tags", title="Метки", kind="tags"),
        column(name="news", title="Рассылки", kind="bool"),
        column(name="inn", title="ИНН", shown=False),
    ]
    return s.ListPage(
        title="Контакты",
        columns=columns,
        rows=[] if empty else rows(),
        href="/list",
        query="",
        search_title="Имя, телефон, почта",
        filters=[]
        if empty
        else [
            s.FilterChip(title="Ответственный", value="я", remove_href="/list", edit_href="/filter"),
            s.FilterChip(title="Нет контакта", value="больше 30 дней", remove_href="/list", edit_href="/filter"),
        ],
        filter_choices=[
            s.FilterChoice(title="Статус", edit_href="/filter", icon="status-change"),
            s.FilterChoice(title="Метки", edit_href="/filter", icon="tags"),
            s.FilterChoice(title="Создан", edit_href="/filter", icon="calendar"),
        ],
        clear_href="/list",
        views=[
            s.SavedView(id=1, title="Нет контакта больше 30 дней", href="/list?view=1", active=True),
            s.SavedView(id=2, title="Новые за неделю", href="/list?view=2", shared="отдел продаж"),
        ],
        view="" if empty else "Нет контакта больше 30 дней",
        view_changed=not empty,
        save_view_href="/form",
        columns_href="/columns",
        first_href="" if empty else "/list",
        next_href="" if empty else "/list?after=1",
        previous_href="" if empty else "/list?before=1",
        count_text="" if empty else "1 284",
        bulk=[
            s.Action(title="Назначить", href="/filter", icon="user-check"),
            s.Action(title="Метки", href="/filter", icon="tags"),
            s.Action(title="Выгрузить", href="/filter", icon="file-export"),
            s.Action(title="В корзину", href="/filter", icon="trash", look="danger"),
        ],
        bulk_all_title="Все 1 284 найденные",
        create=s.Action(title="Новый контакт", href="/form", icon="plus", look="primary", open="dialog", key="n"),
        actions=[
            s.Action(title="Загрузить из файла", href="/form", icon="file-import"),
            s.Action(title="Выгрузить", href="/form", icon="file-export"),
            s.Action(title="Корзина", href="/form", icon="trash"),
        ],
        empty=s.EmptyState(
            title="Здесь будут люди, с которыми вы работаете",
            text="Добавьте первого или загрузите файл: таблицу из Excel, 1С или другой программы.",
            icon="users",
            action=s.Action(title="Добавить контакт", href="/form", icon="plus", look="primary", open="dialog"),
            link=s.Action(title="Загрузить из файла", href="/form"),
        ),
        note="" if empty else "Ещё 3: нет доступа",
    )


def choices() -> list[s.Choice]:
    return [
        s.Choice(value="new", title="Новый"),
        s.Choice(value="work", title="В работе"),
        s.Choice(value="lost", title="Отказ"),
    ]


def card() -> s.CardPage:
    view = s.FieldView
    entries = [
        s.Entry(
            value="+78462000100",
            text="+7 846 200-01-00",
            type="work",
            type_title="рабочий",
            main=True,
            href="tel:+78462000100",
        ),
        s.Entry(
            value="+79270000001",
            text="+7 927 000-00-01",
            type="own",
            type_title="личный",
            off=True,
            href="tel:+79270000001",
        ),
    ]
    fields = [
        view(name="phones", title="Телефоны", kind="phones", entries=entries, edit_href="/edit"),
        view(
            name="emails",
            title="Почта",
            kind="emails",
            entries=[
                s.Entry(
                    value="a@primer.example",
                    text="sergey.abramov@kofeynya-na-volzhskoy.example",
                    main=True,
                    href="mailto:a@primer.example",
                    type_title="рабочая",
                )
            ],
            edit_href="/edit",
        ),
        view(
            name="company",
            title="Компания",
            kind="record",
            display="Кофейня на Волжской",
            href="/card",
            edit_href="/edit",
        ),
        view(name="job", title="Должность", display="", edit_href="/edit"),
        view(
            name="birthday",
            title="День рождения",
            kind="date",
            display="23 ноября",
            hint="23 ноября 1984",
            edit_href="/edit",
        ),
    ]
    more = [
        view(name="inn", title="ИНН", display="6312999999", edit_href="/edit"),
        view(name="limit", title="Кредитный лимит", kind="money", hidden=True),
        view(name="news", title="Согласен на рассылки", kind="bool", value=True, edit_href="/edit"),
        view(
            name="about",
            title="О клиенте",
            kind="longtext",
            display="Просит звонить после обеда.\nДоговор продлевать в марте.",
            edit_href="/edit",
        ),
    ]
    item = s.TimelineItem
    timeline = s.TimelinePage(
        kinds=[
            s.Tab(title="Всё", href="/timeline", active=True),
            s.Tab(title="Звонки", href="/timeline"),
            s.Tab(title="Письма", href="/timeline"),
            s.Tab(title="Изменения", href="/timeline"),
        ],
        items=[
            item(
                id="t1",
                icon="phone-outgoing",
                tone="success",
                who=OLGA,
                title="позвонила, 4 минуты",
                when="15:04",
                when_exact="23 ноября 2026, 15:04",
                text="Обсудили замену двух сплит-систем до марта. Просит смету с монтажом и скидку 5 %.",
                day="Сегодня",
                actions=[
                    s.Action(title="Изменить", href="/form", icon="pencil"),
                    s.Action(title="Удалить", href="/undo", icon="trash", method="post", look="danger"),
                ],
                facts=[
                    s.KeyValue(title="Итог", value="договорились о встрече"),
                    s.KeyValue(title="Дальше", value="смета до пятницы"),
                ],
            ),
            item(
                id="t2",
                icon="pencil",
                who=PETR,
                title="изменил 2 поля",
                when="12:40",
                small=True,
                changes=[
                    s.ChangeView(title="Статус", before="Новый", after="В работе"),
                    s.ChangeView(title="Кредитный лимит", before="", after="150 000 ₽"),
                ],
            ),
            item(
                id="t2p",
                icon="link",
                who=PETR,
                title="добавил: Строка сделки (2)",
                when="12:38",
                small=True,
                parts_title="Блок, Монтаж",
                parts=[
                    s.PartView(title="Блок", changes=[s.ChangeView(title="Цена", before="", after="38 000 ₽")]),
                    s.PartView(title="Монтаж", changes=[s.ChangeView(title="Цена", before="", after="14 000 ₽")]),
                ],
            ),
            item(
                id="t3",
                icon="mail",
                tone="info",
                who=OLGA,
                title="отправила письмо «Смета на замену кондиционеров»",
                when="9:12",
                text="Добрый день, Сергей Петрович! Высылаю смету.",
                day="Вчера",
                files=[s.FileView(id=1, name="Смета 14-К.pdf", href="/f", size="240 КБ", icon="file-type-pdf")],
            ),
            item(
                id="t4",
                icon="user-plus",
                who=OLGA,
                title="добавила контакт",
                when="14 окт.",
                small=True,
                day="14 октября",
            ),
        ],
        more_href="/timeline",
    )
    menu = [
        s.Action(title="История изменений", href="/timeline", icon="history"),
        s.Action(title="На дату…", href="/form", icon="calendar-time", open="dialog"),
        s.Action(title="Кто это видит", href="/why", icon="eye", open="side"),
        s.Action(title="Поделиться", href="/form", icon="share", open="dialog"),
        s.Action(title="В корзину", href="/undo", icon="trash", method="post", look="danger"),
    ]
    return s.CardPage(
        title="Абрамов Сергей Петрович",
        entity_title="Контакт",
        list_href="/list",
        list_title="Контакты",
        person=s.PersonView.of("Абрамов Сергей", 11),
        subtitle="Заведующий, Кофейня на Волжской",
        status=s.FieldView(
            name="status",
            title="Статус",
            kind="choice",
            value="work",
            badges=[s.Badge(text="В работе", tone="success")],
            edit_href="/edit",
        ),
        responsible=s.FieldView(name="owner_id", title="Ответственный", kind="user", person=OLGA, edit_href="/edit"),
        tags=s.FieldView(
            name="tags",
            title="Метки",
            kind="tags",
            badges=[s.Badge(text="Постоянный", color="green"), s.Badge(text="Монтаж", color="indigo")],
            edit_href="/edit",
        ),
        figures=[
            s.Figure(title="Сделки в работе", value="3 на 1 240 000 ₽"),
            s.Figure(title="Последний контакт", value="сегодня"),
            s.Figure(title="Просрочено задач", value="1", tone="danger"),
        ],
        main=s.Action(title="Новая сделка", href="/form", icon="plus", look="primary", open="dialog"),
        actions=[s.Action(title="Позвонить", href="tel:+78462000100", icon="phone")],
        menu=menu,
        sections=[s.Section(title="Главное", fields=fields), s.Section(title="Дополнительно", fields=more, fold=True)],
        composer=[
            s.ComposerKind(id="note", title="Заметка", icon="note", href="/compose"),
            s.ComposerKind(id="call", title="Звонок", icon="phone", href="/compose"),
            s.ComposerKind(id="mail", title="Письмо", icon="mail", href="/compose"),
            s.ComposerKind(id="meeting", title="Встреча", icon="users", href="/compose"),
        ],
        timeline=timeline,
        timeline_href="/timeline",
        panels=[
            s.PanelFrame(
                id="deals",
                title="Сделки",
                href="/panel",
                count="3",
                create=s.Action(title="Новая сделка", href="/form", open="dialog"),
            ),
            s.PanelFrame(
                id="tasks",
                title="Задачи",
                href="/panel",
                count="1",
                create=s.Action(title="Новая задача", href="/form", open="dialog"),
            ),
            s.PanelFrame(
                id="files",
                title="Файлы",
                href="/panel",
                create=s.Action(title="Приложить файл", href="/form", open="dialog"),
            ),
        ],
        favourite=s.Action(title="В избранное", href="/undo", icon="star", method="post", look="ghost"),
    )


def every_field() -> list[s.FieldView]:
    """One field of every kind that the macro draws."""
    types = [s.Choice(value="work", title="рабочий"), s.Choice(value="own", title="личный")]
    made = []
    for kind in s.FIELD_KINDS:
        made.append(
            s.FieldView(
                name=f"a_{kind}",
                title=f"Поле {kind}",
                kind=kind,
                value={
                    "money": "1200,50",
                    "date": "2026-11-23",
                    "choice": "new",
                    "radio": "new",
                    "color": "green",
                    "choices": ["new", "work"],
                    "tags": ["new"],
                }.get(kind, ""),
                choices=[s.Choice(value=name, title=name, color=name) for name in s.COLORS]
                if kind == "color"
                else choices(),
                help="Подсказка под полем." if kind in ("text", "radio") else "",
                error="Напишите адрес со знаком @: name@company.ru." if kind == "email" else "",
                required=kind in ("text", "email"),
                entries=[
                    s.Entry(value="+78462000100", type="work", main=True),
                    s.Entry(value="+79270000001", type="own", off=True),
                ]
                if kind == "phones"
                else [],
                entry_types=types if kind in ("phones", "emails", "messengers") else [],
                options_href="/options" if kind in ("record", "records", "user", "tags") else "",
                create_title="Добавить" if kind == "tags" else "",
                unit="шт." if kind == "number" else "",
            )
        )
    return made


def form(kind: str = "") -> s.FormPage:
    view = s.FieldView
    if kind == "all":
        return s.FormPage(
            title="Все поля",
            action="/form",
            submit="Сохранить поля",
            sections=[s.Section(title="Каждого вида", fields=every_field())],
            cancel_href="/list",
            wide=True,
            errors=[("f-a_email", "Поле email: напишите адрес со знаком @.")],
        )
    if kind == "plain":
        return s.FormPage(
            title="Вход",
            action="/plain",
            submit="Войти",
            sections=[
                s.Section(
                    fields=[
                        view(
                            name="email",
                            title="Почта",
                            kind="email",
                            autocomplete="username",
                            required=True,
                            autofocus=True,
                        ),
                        view(name="password", title="Пароль", kind="password", required=True),
                        view(name="keep", title="Не выходить на этом устройстве", kind="bool", value=True),
                    ]
                )
            ],
        )
    return s.FormPage(
        title="Новый контакт",
        action="/form",
        submit="Добавить контакт",
        cancel_href="/list",
        draft="clients.person.new",
        sections=[
            s.Section(
                fields=[
                    view(name="last_name", title="Фамилия", required=True),
                    view(name="first_name", title="Имя"),
                    view(
                        name="phones",
                        title="Телефоны",
                        kind="phones",
                        entry_types=[s.Choice(value="work", title="рабочий"), s.Choice(value="own", title="личный")],
                    ),
                    view(
                        name="company",
                        title="Компания",
                        kind="record",
                        options_href="/options",
                        help="Начните писать название, ИНН или телефон.",
                    ),
                    view(
                        name="owner_id",
                        title="Ответственный",
                        kind="user",
                        choices=[s.Choice(value="4", title="Ольга Соколова")],
                        value="4",
                        options_href="/options",
                    ),
                ]
            )
        ],
    )


def settings() -> list[s.LinkGroup]:
    card = s.LinkCard
    return [
        s.LinkGroup(
            title="Люди и права",
            items=[
                card(
                    title="Сотрудники",
                    href="/x",
                    icon="users",
                    text="Приглашения, доступ, отделы",
                    badge=s.Badge(text="1 ждёт", tone="warning"),
                ),
                card(title="Роли", href="/x", icon="shield-lock", text="Кто что видит и может"),
            ],
        ),
        s.LinkGroup(
            title="Компания",
            items=[
                card(
                    title="Реквизиты и логотип", href="/x", icon="building", text="Название, юридические лица, валюта"
                ),
                card(title="Почта", href="/x", icon="mail", text="Последнее письмо 3 минуты назад"),
                card(title="Модули", href="/x", icon="puzzle", text="Что включено, что добавляет"),
            ],
        ),
    ]


def palette() -> list[s.PaletteGroup]:
    item = s.PaletteItem
    return [
        s.PaletteGroup(
            title="Контакты",
            items=[
                item(
                    title="Абрамов Сергей Петрович",
                    href="/card",
                    icon="user",
                    hint="+7 846 200-01-00, Кофейня на Волжской",
                ),
                item(title="Абрамова Ирина", href="/card", icon="user"),
            ],
            more_href="/list",
        ),
        s.PaletteGroup(title="Перейти", items=[item(title="Сделки", href="/deals", icon="layout-kanban", keys="G D")]),
        s.PaletteGroup(title="Сделать", items=[item(title="Новый контакт", href="/form", icon="plus", open="dialog")]),
    ]


def make_app(theme: str = "default", locale: str = "ru", mode: str = "auto") -> Any:
    """Return a WSGI application of the sample pages."""
    config = Configurator(
        package="crm_core",
        settings={
            "crm.theme": theme,
            "crm.locale": locale,
            "crm.company": "Климат-Пример",
            "pyramid.reload_templates": True,
        },
    )
    config.include("pyramid_chameleon")
    config.include("crm_core.i18n")
    config.include("crm_core.assets")
    config.include("crm_core.themes")
    config.set_locale_negotiator(lambda request: request.params.get("lang", locale))
    config.add_request_method(shell, "shell", reify=True)
    config.add_request_method(lambda request: "test-nonce", "csp_nonce", reify=True)
    job = s.JobView(
        id=1,
        title="Импорт контактов из clients.csv",
        state="running",
        done=2400,
        total=5000,
        text="2 400 из 5 000, осталось около минуты",
        stop_href="/undo",
    )
    pages = {
        "/": ("crm_core:templates/records/list.pt", {"page": page()}),
        "/list": ("crm_core:templates/records/list.pt", {"page": page()}),
        "/empty": ("crm_core:templates/records/list.pt", {"page": page(True)}),
        "/card": ("crm_core:templates/records/card.pt", {"card": card()}),
        "/form": ("crm_core:templates/records/form.pt", {"form": form()}),
        "/fields": ("crm_core:templates/records/form.pt", {"form": form("all")}),
        "/timeline": ("crm_core:templates/records/timeline.pt", {"timeline": card().timeline}),
        "/palette": ("crm_core:templates/records/palette.pt", {"palette_groups": palette()}),
        "/search/palette": ("crm_core:templates/records/palette.pt", {"palette_groups": palette()}),
        "/edit": (
            "crm_core:templates/records/field_edit.pt",
            {"field": s.FieldView(name="job", title="Должность", value="Заведующий", edit_href="/saved")},
        ),
        "/saved": (
            "crm_core:templates/records/field.pt",
            {
                "field": s.FieldView(name="job", title="Должность", display="Заведующий залом", edit_href="/edit"),
                "card": card(),
            },
        ),
        "/why": (
            "crm_core:templates/records/why.pt",
            {
                "own": [
                    s.WhyLine(text="видит: ответственная", person=OLGA),
                    s.WhyLine(text="видит: его отдел", person=PETR, icon="users"),
                ],
                "why_intro": "Контакт Абрамов Сергей Петрович",
            },
        ),
        "/conflict": (
            "crm_core:templates/records/conflict.pt",
            {
                "conflict": s.ConflictPage(
                    title="Два изменения",
                    action="/form",
                    who=PETR,
                    when="две минуты назад",
                    fields=[
                        s.ConflictField(
                            name="job", title="Должность", theirs="Директор", yours="Заведующий", value="Заведующий"
                        )
                    ],
                    cancel_href="/card",
                )
            },
        ),
        "/filter": (
            "crm_core:templates/records/filter.pt",
            {
                "filter": s.FilterForm(
                    title="Статус",
                    name="status",
                    action="/list",
                    operators=[("is", "любой из"), ("not", "кроме"), ("empty", "не указан")],
                    operator="is",
                    fields=[s.FieldView(name="status", title="Статус", kind="choices", choices=choices())],
                )
            },
        ),
        "/settings": (str(HERE / "pages/parts.pt"), {"groups": settings(), "job": job, "card": card()}),
        "/panel": (str(HERE / "pages/panel.pt"), {}),
        "/compose": (str(HERE / "pages/compose.pt"), {}),
        "/plain": (str(HERE / "pages/plain.pt"), {"form": form("plain")}),
        "/plain/error": (
            "crm_core:templates/errors/error.pt",
            {
                "error_status": "404",
                "error_title": "Такой страницы нет",
                "error_text": "Запись могли удалить, или у вас нет к ней доступа.",
                "error_actions": [s.Action(title="На рабочий стол", href="/", look="primary")],
            },
        ),
        "/options": (
            "json",
            {
                "items": [
                    {"value": "1", "title": "Кофейня на Волжской", "hint": "ИНН 6312999999"},
                    {"value": "2", "title": LONG},
                ]
            },
        ),
    }
    for number, (path, (renderer, value)) in enumerate(pages.items()):
        config.add_route(f"page{number}", path)
        given = value if renderer == "json" else {**COMMON, **value}
        config.add_view(lambda request, given=given: given, route_name=f"page{number}", renderer=renderer)
    app = config.make_wsgi_app()
    app.pages = [path for path in pages if path != "/options"]
    return app


@pytest.fixture(scope="module")
def pages() -> Any:
    import webtest

    app = make_app()
    client = webtest.TestApp(app)
    client.paths = app.pages
    return client


@pytest.fixture
def client() -> Any:
    """Make a test client of the sample pages under a theme."""
    import webtest

    return lambda *given: webtest.TestApp(make_app(*given))


if __name__ == "__main__":
    from waitress import serve

    serve(make_app(*sys.argv[2:]), port=int(sys.argv[1]))
