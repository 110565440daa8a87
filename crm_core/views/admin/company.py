"""Settings of the company: itself, its legal entities, its calendar, sign-up and access."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import company, files, people
from crm_core.company import WorkingCalendar, zones
from crm_core.i18n import _
from crm_core.people import Refused
from crm_core.security.permissions import SETTINGS_EDIT
from crm_core.views.account.first_run import step_done
from crm_core.views.admin.index import CRUMB, FORM, describe, save_settings, setting_field
from crm_core.views.filling import Filling, choices, go, post_button, say, typed, typed_number
from crm_core.views.shapes import Action, Crumb, EmptyState, FieldView, FormPage, KeyValue, Section

COMPANY = "crm_core:templates/admin/company.pt"
LEGAL = "crm_core:templates/admin/legal.pt"

_COMPANY_KEYS = (company.NAME, company.ACCENT, company.CURRENCY, company.TIME_ZONE, company.LOCALE, company.ADDRESS)


def _specs(request: Request, keys: tuple[str, ...]) -> list[Any]:
    return [request.company.spec(key) for key in keys]


def _company_page(request: Request, refused: Refused | None = None, logo_error: str = "") -> dict[str, Any]:
    form, values = Filling(request, refused), request.company
    fields: list[FieldView] = []
    for spec in _specs(request, _COMPANY_KEYS):
        if spec.key == company.TIME_ZONE:
            options = choices((zone, zone) for zone in zones())
            fields.append(form.field(spec.key, spec.title, "choice", values.time_zone, choices=options))
        else:
            fields.append(setting_field(form, spec, values.get(spec.key)))
    return {
        "title": _("Company"),
        "crumbs": [CRUMB],
        "logo_href": f"/logo.png?{values.get(company.LOGO)[:8]}" if values.get(company.LOGO) else "",
        "logo_error": logo_error,
        "page": FormPage(
            title=_("Company"),
            action="/settings/company",
            submit=_("Save the company"),
            errors=form.errors,
            sections=[Section(fields=fields)],
        ),
    }


@view_config(route_name="settings.company", request_method="GET", permission=SETTINGS_EDIT, renderer=COMPANY)
def company_form(request: Request) -> dict[str, Any]:
    """Show the company's settings."""
    return _company_page(request)


@view_config(route_name="settings.company", request_method="POST", permission=SETTINGS_EDIT, renderer=COMPANY)
def save_company(request: Request) -> Any:
    """Save the company's settings."""
    address = typed(request, company.ADDRESS).strip()
    try:
        if not typed(request, company.NAME).strip():
            raise Refused(_("Fill this in."), company.NAME)
        if typed(request, company.TIME_ZONE) not in zones():
            raise Refused(_("There is no such time zone."), company.TIME_ZONE)
        if address and not address.startswith(("http://", "https://")):
            raise Refused(_("Write an address that begins with https://"), company.ADDRESS)
        keys = tuple(key for key in _COMPANY_KEYS if key != company.TIME_ZONE)
        save_settings(request, _specs(request, keys))
        if typed(request, company.TIME_ZONE) != request.company.time_zone:
            request.company.set(company.TIME_ZONE, typed(request, company.TIME_ZONE))
    except Refused as refused:
        return _company_page(request, refused)
    step_done(request, "company")
    request.toast(_("The company is saved."))
    return go(request, "/settings/company")


@view_config(route_name="settings.logo", request_method="POST", permission=SETTINGS_EDIT, renderer=COMPANY)
def save_logo(request: Request) -> Any:
    """Take a new logo, re-encoded, or take the present one away."""
    upload, digest = request.POST.get("logo"), ""
    try:
        if "remove" not in request.POST:
            if upload is None or isinstance(upload, (str, bytes)):
                raise Refused(_("Choose a picture: PNG, JPEG, GIF or WebP."), "logo")
            digest = files.store_picture(request.db, request.file_store, upload.file, side=512, square=False)
        describe(request)
        request.company.set(company.LOGO, digest)
    except (Refused, files.FileError) as problem:
        sentence = problem.sentence if isinstance(problem, Refused) else problem.message
        request.response.status_int = 422
        return _company_page(request, logo_error=say(request, sentence))
    request.toast(_("The logo is saved.") if digest else _("The logo is removed."))
    return go(request, "/settings/company")


# -- own legal entities --------------------------------------------------------------------------------------------

_LEGAL: tuple[tuple[str, str, bool, bool], ...] = (
    ("name", _("Name with its form"), True, False),
    ("inn", _("INN"), False, False),
    ("kpp", _("KPP"), False, False),
    ("ogrn", _("OGRN or OGRNIP"), False, False),
    ("address", _("Legal address"), False, True),
    ("bank", _("Bank"), False, False),
    ("bik", _("BIK"), False, False),
    ("account", _("Settlement account"), False, False),
    ("correspondent", _("Correspondent account"), False, False),
    ("signatory", _("Signatory"), False, False),
    ("grounds", _("Acts on the grounds of"), False, False),
    ("vat", _("VAT"), False, False),
)
_DIGITS = {"inn": (10, 12), "kpp": (9,), "ogrn": (13, 15), "bik": (9,), "account": (20,), "correspondent": (20,)}


def _entities(request: Request) -> list[dict[str, Any]]:
    return list(request.company.get(company.LEGAL_ENTITIES))


@view_config(route_name="settings.legal", request_method="GET", permission=SETTINGS_EDIT, renderer=LEGAL)
def list_legal(request: Request) -> dict[str, Any]:
    """Show the company's own legal entities."""
    create = Action(
        title=_("Add a legal entity"), href=f"/settings/legal/{len(_entities(request))}", icon="plus", look="primary"
    )
    return {
        "title": _("Own legal entities"),
        "crumbs": [CRUMB],
        "entities": [
            {
                "title": one["name"],
                "facts": [
                    KeyValue(title=title, value=one.get(name, ""))
                    for name, title, _r, _w in _LEGAL[1:]
                    if one.get(name)
                ],
                "edit": Action(title=_("Edit"), href=f"/settings/legal/{number}", icon="pencil"),
            }
            for number, one in enumerate(_entities(request))
        ],
        "create": create,
        "empty": EmptyState(
            title=_("No legal entities yet"),
            text=_("Their requisites stand in offers, contracts and invoices."),
            icon="certificate",
            action=create,
        ),
    }


def _legal_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    entities, number = _entities(request), int(request.matchdict["number"])
    if number > len(entities):
        raise HTTPNotFound
    one = entities[number] if number < len(entities) else {}
    form = Filling(request, refused)
    title = one.get("name") or _("Add a legal entity")
    return {
        "title": title,
        "page": FormPage(
            title=title,
            action=request.path,
            submit=_("Save the legal entity"),
            errors=form.errors,
            crumbs=[CRUMB, Crumb(title=_("Own legal entities"), href="/settings/legal")],
            cancel_href="/settings/legal",
            sections=[
                Section(
                    fields=[
                        form.field(name, words, "longtext" if wide else "text", one.get(name, ""), required=needed)
                        for name, words, needed, wide in _LEGAL
                    ]
                )
            ],
        ),
        "actions": [post_button(_("Remove it"), request.path, "trash", "danger", values={"remove": "1"})]
        if one
        else [],
    }


@view_config(route_name="settings.legal_edit", request_method="GET", permission=SETTINGS_EDIT, renderer=FORM)
def legal_form(request: Request) -> dict[str, Any]:
    """Show the form of one legal entity."""
    return _legal_page(request)


@view_config(route_name="settings.legal_edit", request_method="POST", permission=SETTINGS_EDIT, renderer=FORM)
def save_legal(request: Request) -> Any:
    """Save one legal entity, or remove it."""
    entities, number = _entities(request), int(request.matchdict["number"])
    if number > len(entities):
        raise HTTPNotFound
    try:
        if "remove" in request.POST:
            del entities[number : number + 1]
        else:
            entities[number : number + 1] = [_read_legal(request)]
    except Refused as refused:
        return _legal_page(request, refused)
    describe(request)
    request.company.set(company.LEGAL_ENTITIES, entities)
    request.toast(_("The legal entities are saved."))
    return go(request, "/settings/legal")


def _read_legal(request: Request) -> dict[str, str]:
    values = {name: " ".join(typed(request, name).split())[:500] for name, _t, _r, _w in _LEGAL}
    if not values["name"]:
        raise Refused(_("Fill this in."), "name")
    for name, lengths in _DIGITS.items():
        values[name] = values[name].replace(" ", "")
        if values[name] and (not values[name].isdecimal() or len(values[name]) not in lengths):
            allowed = ", ".join(map(str, lengths))
            raise Refused(_("It has ${lengths} digits.", mapping={"lengths": allowed}), name)
    return {name: value for name, value in values.items() if value}


# -- the working calendar ------------------------------------------------------------------------------------------

_DAYS = (
    _("Monday"),
    _("Tuesday"),
    _("Wednesday"),
    _("Thursday"),
    _("Friday"),
    _("Saturday"),
    _("Sunday"),
)
_COUNTRIES = (
    ("", _("None")),
    ("RU", _("Russia")),
    ("BY", _("Belarus")),
    ("KZ", _("Kazakhstan")),
    ("UZ", _("Uzbekistan")),
    ("AM", _("Armenia")),
    ("GE", _("Georgia")),
)


def _calendar_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    calendar, form = request.company.calendar, Filling(request, refused)
    return {
        "title": _("Working calendar"),
        "page": FormPage(
            title=_("Working calendar"),
            intro=_("Terms and reminders count working time by it."),
            action="/settings/calendar",
            submit=_("Save the calendar"),
            errors=form.errors,
            crumbs=[CRUMB],
            sections=[
                Section(
                    fields=[
                        form.field(
                            "days",
                            _("Working days"),
                            "choices",
                            [str(day) for day in sorted(calendar.days)],
                            choices=choices(enumerate(request.translate(day) for day in _DAYS)),
                        ),
                        form.field("start", _("From"), "time", calendar.start.strftime("%H:%M"), required=True),
                        form.field("end", _("To"), "time", calendar.end.strftime("%H:%M"), required=True),
                        form.field(
                            "country", _("Public holidays of"), "choice", calendar.country, choices=choices(_COUNTRIES)
                        ),
                        form.field(
                            "off",
                            _("Other days off"),
                            "longtext",
                            _days(calendar.off),
                            help=_("Dates such as 31.12.2026, each on a line of its own."),
                        ),
                        form.field(
                            "on",
                            _("Days off that are worked"),
                            "longtext",
                            _days(calendar.on),
                            help=_("Transfers: dates such as 28.12.2026, each on a line of its own."),
                        ),
                    ]
                ),
                Section(
                    title=_("Hours"),
                    text=_("Where a weekday has hours of its own, write them: 09:00-16:45."),
                    fields=[
                        form.field("break_min", _("Break, minutes"), "number", calendar.break_min, minimum="0"),
                        form.field(
                            "short_eves", _("The day before a public holiday is an hour shorter"), "bool",
                            calendar.short_eves,
                        ),
                        *(
                            form.field(
                                f"hours_{day}", title, "text", _hours(calendar, day),
                                placeholder=f"{calendar.start:%H:%M}-{calendar.end:%H:%M}",
                            )
                            for day, title in enumerate(_DAYS)
                        ),
                    ],
                ),
            ],
        ),
    }


def _hours(calendar: WorkingCalendar, day: int) -> str:
    own = calendar.hours.get(day)
    return "" if own is None else f"{own[0]:%H:%M}-{own[1]:%H:%M}"


def _read_hours(request: Request) -> dict[int, tuple[dt.time, dt.time]]:
    found: dict[int, tuple[dt.time, dt.time]] = {}
    for day in range(7):
        line = "".join(typed(request, f"hours_{day}").replace("–", "-").replace("—", "-").split())
        if not line:
            continue
        start, _dash, end = line.partition("-")
        try:
            hours = dt.time.fromisoformat(start.zfill(5)), dt.time.fromisoformat(end.zfill(5))
        except ValueError:
            raise Refused(_("Write hours such as 09:00-16:45."), f"hours_{day}") from None
        if hours[0] >= hours[1]:
            raise Refused(_("The day must end after it begins."), f"hours_{day}")
        found[day] = hours
    return found


def _days(days: frozenset[dt.date]) -> str:
    return "\n".join(day.strftime("%d.%m.%Y") for day in sorted(days))


def _read_days(request: Request, name: str) -> frozenset[dt.date]:
    found = set()
    for line in typed(request, name).replace(",", "\n").split():
        try:
            found.add(dt.datetime.strptime(line, "%d.%m.%Y").date())  # noqa: DTZ007  a date has no zone
        except ValueError:
            raise Refused(_("“${line}” is not a date such as 31.12.2026.", mapping={"line": line[:40]}), name) from None
    return frozenset(found)


def _read_time(request: Request, name: str) -> dt.time:
    try:
        return dt.time.fromisoformat(typed(request, name)[:5])
    except ValueError:
        raise Refused(_("Write a time such as 09:00."), name) from None


@view_config(route_name="settings.calendar", request_method="GET", permission=SETTINGS_EDIT, renderer=FORM)
def calendar_form(request: Request) -> dict[str, Any]:
    """Show the working calendar."""
    return _calendar_page(request)


@view_config(route_name="settings.calendar", request_method="POST", permission=SETTINGS_EDIT, renderer=FORM)
def save_calendar(request: Request) -> Any:
    """Save the working calendar."""
    try:
        country = typed(request, "country")
        calendar = WorkingCalendar(
            days=frozenset(int(day) for day in request.POST.getall("days") if day in "0123456" and len(day) == 1),
            start=_read_time(request, "start"),
            end=_read_time(request, "end"),
            country=country if country in dict(_COUNTRIES) else "",
            off=_read_days(request, "off"),
            on=_read_days(request, "on"),
            hours=_read_hours(request),
            break_min=min(600, max(0, typed_number(request, "break_min") or 0)),
            short_eves=bool(typed(request, "short_eves")),
        )
        if not calendar.days:
            raise Refused(_("Choose at least one day."), "days")
        if calendar.start >= calendar.end:
            raise Refused(_("The day must end after it begins."), "end")
    except Refused as refused:
        return _calendar_page(request, refused)
    describe(request)
    request.company.set(company.CALENDAR, calendar.as_value())
    request.toast(_("The calendar is saved."))
    return go(request, "/settings/calendar")


# -- sign-up and access --------------------------------------------------------------------------------------------


def _accounts_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    fields = [
        form.field(
            spec.key,
            spec.title,
            "radio",
            request.company.get(spec.key),
            help=spec.help,
            choices=choices((value, request.translate(title)) for value, title in spec.choices),
        )
        for spec in _specs(request, (company.SIGN_UP, company.CLIENT_ACCESS))
    ]
    return {
        "title": _("Sign-up and access"),
        "page": FormPage(
            title=_("Sign-up and access"),
            action="/settings/accounts",
            submit=_("Save the settings"),
            errors=form.errors,
            crumbs=[CRUMB],
            sections=[Section(fields=fields)],
        ),
    }


@view_config(route_name="settings.accounts", request_method="GET", permission=SETTINGS_EDIT, renderer=FORM)
def accounts_form(request: Request) -> dict[str, Any]:
    """Show who may sign up, and which clients managers see."""
    return _accounts_page(request)


@view_config(route_name="settings.accounts", request_method="POST", permission=SETTINGS_EDIT, renderer=FORM)
def save_accounts(request: Request) -> Any:
    """Save who may sign up, and which clients managers see."""
    choice = typed(request, company.CLIENT_ACCESS)
    try:
        save_settings(request, _specs(request, (company.SIGN_UP,)))
        if choice != request.company.get(company.CLIENT_ACCESS) or not request.company.is_set(company.CLIENT_ACCESS):
            people.set_client_access(
                request.db, request.subject, request.registry["crm.plugins"], request.company, choice
            )
    except Refused as refused:
        return _accounts_page(request, refused)
    step_done(request, "access")
    request.toast(_("The settings are saved."))
    return go(request, "/settings/accounts")
