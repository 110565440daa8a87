"""The fields of clients and of what was said with them: forms, lists, import and export are made of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_clients.i18n import _
from crm_core import forms
from crm_core.records import cleaning

SOURCES: forms.Choices = (
    ("site", _("Site")),
    ("call", _("Call")),
    ("letter", _("Letter")),
    ("advertising", _("Advertising")),
    ("exhibition", _("Exhibition")),
    ("recommendation", _("Recommendation")),
    ("social", _("Social networks")),
    ("partner", _("Partner")),
    ("cold", _("Cold call")),
    ("other", _("Other")),
)

NEW, ACTIVE, REGULAR, PAUSED, FORMER, UNSUITABLE = "new", "active", "regular", "paused", "former", "unsuitable"

STATUSES: forms.Choices = (
    (NEW, _("New")),
    (ACTIVE, _("In work")),
    (REGULAR, _("Regular client")),
    (PAUSED, _("Paused")),
    (FORMER, _("Former client")),
    (UNSUITABLE, _("Not our client")),
)

KINDS: forms.Choices = (
    ("ooo", _("LLC (OOO)")),
    ("ip", _("Sole trader (IP)")),
    ("self_employed", _("Self-employed")),
    ("person", _("Physical person")),
    ("ao", _("Joint-stock company (AO)")),
    ("pao", _("Public joint-stock company (PAO)")),
    ("zao", _("Closed joint-stock company (ZAO)")),
    ("oao", _("Open joint-stock company (OAO)")),
    ("state", _("State or municipal institution")),
    ("nonprofit", _("Non-profit organisation")),
    ("foreign", _("Foreign company")),
    ("other", _("Other")),
)

#: Legal form as it stands in a name -> kind.
KIND_OF_FORM: Mapping[str, str] = {
    "ООО": "ooo",
    "ОДО": "ooo",
    "ТОО": "ooo",
    "ИП": "ip",
    "ЧП": "ip",
    "КФХ": "ip",
    "самозанятый": "self_employed",
    "АО": "ao",
    "НАО": "ao",
    "ПАО": "pao",
    "ЗАО": "zao",
    "ОАО": "oao",
    **dict.fromkeys(("ФГУП", "ГУП", "МУП", "ФГБУ", "ФГАУ", "ФГБОУ", "ГБОУ", "МБОУ", "ГБУ", "МБУ", "МКУ"), "state"),
    **dict.fromkeys(("АНО", "НКО", "ТСЖ", "СНТ", "ТСН"), "nonprofit"),
    **dict.fromkeys(("LLC", "Ltd", "Inc", "GmbH", "JSC", "PJSC", "LLP", "PLC", "Corp", "AG", "SA", "BV"), "foreign"),
}

CALL, MEETING, LETTER, SMS, MESSAGE, VISIT, NOTE = "call", "meeting", "letter", "sms", "message", "visit", "note"

INTERACTION_KINDS: forms.Choices = (
    (CALL, _("Call")),
    (MEETING, _("Meeting")),
    (LETTER, _("Letter")),
    (SMS, _("SMS")),
    (MESSAGE, _("Message")),
    (VISIT, _("Visit")),
    (NOTE, _("Note")),
)

INCOMING, OUTGOING = "in", "out"

DIRECTIONS: forms.Choices = ((INCOMING, _("Incoming")), (OUTGOING, _("Outgoing")))

REACHED, AGREED, REFUSED, CALL_BACK, MISSED = "reached", "agreed", "refused", "call_back", "missed"

OUTCOMES: forms.Choices = (
    (REACHED, _("Talked")),
    (AGREED, _("Agreed")),
    (REFUSED, _("Refused")),
    (CALL_BACK, _("Call back later")),
    (MISSED, _("No answer")),
)

_MAIN, _CONTACTS, _WORK, _REQUISITES, _BANK, _SIGNATORY = (
    _("Main"),
    _("Contacts"),
    _("Work with the client"),
    _("Requisites"),
    _("Bank"),
    _("Signatory"),
)

_PHONE_ALIASES = (
    "телефон", "телефоны", "тел", "тел.", "номер", "номер телефона", "мобильный", "мобильный телефон", "сотовый",
    "рабочий телефон", "phone", "phones", "mobile", "cell", "tel", "telephone",
)  # fmt: skip
_EMAIL_ALIASES = (
    "e-mail", "email", "mail", "почта", "электронная почта", "эл. почта", "адрес электронной почты", "имейл",
)  # fmt: skip


def read_person_name(cell: cleaning.Cell) -> cleaning.Cleaned[dict[str, Any]]:
    """Read a full name in a cell of an import into the fields it goes to."""
    found = cleaning.clean_person_name(cell)
    name = found.value
    if name is None:
        return cleaning.Cleaned(None, found.changed, found.problem, found.source)
    parts = {"last_name": name.last, "first_name": name.first, "middle_name": name.middle}
    values = {part: value for part, value in parts.items() if value}
    return cleaning.Cleaned(values, found.changed, found.problem, found.source)


def read_company_name(cell: cleaning.Cell) -> cleaning.Cleaned[dict[str, Any]]:
    """Read a company's name in a cell of an import: as documents write it, and the kind its legal form tells."""
    found = cleaning.clean_company_name(cell)
    name = found.value
    if name is None:
        return cleaning.Cleaned(None, found.changed, found.problem, found.source)
    values = {"name": name.full}
    if name.form:
        values["kind"] = KIND_OF_FORM.get(name.form, "other")
    return cleaning.Cleaned(values, found.changed, found.problem, found.source)


class PersonSchema(forms.RecordSchema):
    """A person."""

    full_name = forms.text(
        _("Full name"), section=_MAIN, readonly=True, searched=True, personal=True, on_create=False,
        clean=read_person_name,
        aliases=("фио", "ф.и.о.", "полное имя", "контакт", "контактное лицо", "клиент", "имя и фамилия",
                 "name", "full name", "contact", "contact name", "person"),
    )  # fmt: skip
    last_name = forms.text(
        _("Surname"), section=_MAIN, listed=False, sorted=True, personal=True, maximum=100,
        aliases=("фамилия", "last name", "surname", "family name"),
    )  # fmt: skip
    first_name = forms.text(
        _("First name"), section=_MAIN, listed=False, sorted=True, personal=True, maximum=100,
        aliases=("имя", "first name", "given name"),
    )  # fmt: skip
    middle_name = forms.text(
        _("Patronymic"), section=_MAIN, listed=False, personal=True, maximum=100,
        aliases=("отчество", "middle name", "patronymic"),
    )  # fmt: skip
    phones = forms.phones(_("Phones"), section=_CONTACTS, searched=True, aliases=_PHONE_ALIASES)
    emails = forms.emails(_("E-mail"), section=_CONTACTS, searched=True, aliases=_EMAIL_ALIASES)
    messengers = forms.messengers(
        _("Messengers"), section=_CONTACTS, searched=True, on_create=False,
        aliases=("мессенджер", "мессенджеры", "telegram", "телеграм", "whatsapp", "viber", "messenger"),
    )  # fmt: skip
    company_id = forms.record(
        _("Company"), "clients.company", section=_MAIN, imported=False,
        help=_("The main one; more companies are added on the card."),
    )  # fmt: skip
    job_title = forms.text(
        _("Job title"), section=_MAIN, sorted=True, maximum=200,
        aliases=("должность", "job title", "position", "title"),
    )  # fmt: skip
    birthday = forms.date(
        _("Birthday"), section=_CONTACTS, sorted=True, personal=True, on_create=False,
        aliases=("дата рождения", "день рождения", "д.р.", "др", "birthday", "birth date", "date of birth", "dob"),
    )  # fmt: skip
    city = forms.text(
        _("City"), section=_CONTACTS, sorted=True, maximum=200, on_create=False,
        aliases=("город", "населённый пункт", "city", "town"),
    )  # fmt: skip
    address = forms.text(
        _("Address"), section=_CONTACTS, personal=True, on_create=False,
        aliases=("адрес", "улица", "address", "street"),
    )  # fmt: skip
    status = forms.choice(
        _("Status"), STATUSES, section=_WORK, sorted=True, default=NEW, on_create=False,
        aliases=("статус", "состояние", "status", "state"),
    )  # fmt: skip
    source = forms.choice(
        _("Source"), SOURCES, section=_WORK, sorted=True,
        aliases=("источник", "откуда", "канал", "source", "lead source", "channel"),
    )  # fmt: skip
    budget = forms.money(
        _("Budget"), section=_WORK, sorted=True, on_create=False, aliases=("бюджет", "сумма", "budget", "amount")
    )
    owner_id = forms.user(
        _("Responsible"), section=_WORK, on_create=False,
        aliases=("ответственный", "менеджер", "responsible", "owner", "manager"),
    )  # fmt: skip
    tags = forms.tags(
        _("Tags"), section=_WORK, aliases=("теги", "тег", "метки", "метка", "категория", "tags", "tag", "labels")
    )
    last_contact_at = forms.datetime(
        _("Last contact"), section=_WORK, sorted=True, readonly=True, imported=False, on_create=False
    )
    created_at = forms.datetime(
        _("Created"), section=_WORK, sorted=True, readonly=True, imported=False, on_create=False
    )
    comment = forms.longtext(
        _("Comment"), section=_WORK, searched=False, on_create=False,
        aliases=("комментарий", "примечание", "заметка", "описание", "comment", "comments", "note", "notes"),
    )  # fmt: skip

    @staticmethod
    def check(values: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for something to call the person by."""
        told = ("last_name", "first_name", "middle_name", "phones", "emails")
        if all(name in values for name in told) and not any(values[name] for name in told):
            return {"last_name": _("Write a name, a phone or an e-mail.")}
        return {}


class CompanySchema(forms.RecordSchema):
    """A company."""

    name = forms.text(
        _("Name"), required=True, section=_MAIN, searched=True, maximum=300,
        clean=read_company_name,
        aliases=("компания", "организация", "название", "наименование", "фирма", "юрлицо", "контрагент", "работодатель",
                 "company", "company name", "organization", "organisation", "account name"),
    )  # fmt: skip
    kind = forms.choice(
        _("Kind"), KINDS, section=_MAIN, sorted=True,
        aliases=("вид", "форма", "опф", "правовая форма", "тип", "kind", "legal form"),
    )  # fmt: skip
    inn = forms.checked(
        _("INN"), cleaning.clean_inn, kind="inn", section=_MAIN, searched=True, maximum=12,
        aliases=("инн", "инн компании", "inn", "tax id", "tin", "vat id"),
    )  # fmt: skip
    phones = forms.phones(
        _("Phones"), section=_CONTACTS, searched=True, personal=False,
        aliases=("телефон компании", "company phone", *_PHONE_ALIASES),
    )  # fmt: skip
    emails = forms.emails(
        _("E-mail"), section=_CONTACTS, searched=True, personal=False,
        aliases=("почта компании", "company email", *_EMAIL_ALIASES),
    )  # fmt: skip
    site = forms.text(
        _("Site"), section=_CONTACTS, maximum=300, on_create=False,
        aliases=("сайт", "веб-сайт", "url", "site", "website", "web"),
    )  # fmt: skip
    city = forms.text(
        _("City"), section=_CONTACTS, sorted=True, maximum=200, on_create=False, aliases=("город", "city", "town")
    )
    parent_id = forms.record(
        _("Head office"), "clients.company", section=_MAIN, imported=False, on_create=False,
        help=_("For a branch: the company it belongs to."),
    )  # fmt: skip
    status = forms.choice(
        _("Status"), STATUSES, section=_WORK, sorted=True, default=NEW, on_create=False,
        aliases=("статус", "состояние", "status", "state"),
    )  # fmt: skip
    source = forms.choice(
        _("Source"), SOURCES, section=_WORK, sorted=True,
        aliases=("источник", "откуда", "канал", "source", "lead source", "channel"),
    )  # fmt: skip
    owner_id = forms.user(
        _("Responsible"), section=_WORK, on_create=False,
        aliases=("ответственный", "менеджер", "responsible", "owner", "manager"),
    )  # fmt: skip
    tags = forms.tags(
        _("Tags"), section=_WORK, aliases=("теги", "тег", "метки", "метка", "категория", "tags", "tag", "labels")
    )
    last_contact_at = forms.datetime(
        _("Last contact"), section=_WORK, sorted=True, readonly=True, imported=False, on_create=False
    )
    created_at = forms.datetime(
        _("Created"), section=_WORK, sorted=True, readonly=True, imported=False, on_create=False
    )
    comment = forms.longtext(
        _("Comment"), section=_WORK, on_create=False,
        aliases=("комментарий", "примечание", "заметка", "описание", "comment", "comments", "note", "notes"),
    )  # fmt: skip
    legal_name = forms.text(
        _("Full legal name"), section=_REQUISITES, searched=True, on_create=False,
        aliases=("полное наименование", "полное название", "legal name", "full legal name"),
    )  # fmt: skip
    kpp = forms.checked(
        _("KPP"), cleaning.clean_kpp, section=_REQUISITES, maximum=9, on_create=False, aliases=("кпп", "kpp")
    )
    ogrn = forms.checked(
        _("OGRN or OGRNIP"), cleaning.clean_ogrn, section=_REQUISITES, maximum=15, on_create=False,
        aliases=("огрн", "огрнип", "ogrn", "ogrnip"),
    )  # fmt: skip
    legal_address = forms.text(
        _("Legal address"), section=_REQUISITES, on_create=False,
        aliases=("юридический адрес", "юр. адрес", "юр адрес", "legal address", "registered address"),
    )  # fmt: skip
    postal_address = forms.text(
        _("Postal address"), section=_REQUISITES, on_create=False,
        aliases=("почтовый адрес", "фактический адрес", "адрес", "postal address", "mailing address", "address"),
    )  # fmt: skip
    bank = forms.text(
        _("Bank"), section=_BANK, maximum=300, on_create=False, aliases=("банк", "название банка", "bank", "bank name")
    )
    bik = forms.checked(
        _("BIK"), cleaning.clean_bik, section=_BANK, maximum=9, on_create=False, aliases=("бик", "bik", "bic")
    )
    account = forms.checked(
        _("Settlement account"), cleaning.clean_account, section=_BANK, maximum=20, on_create=False,
        aliases=("р/с", "расчётный счёт", "расчетный счет", "рс", "счёт", "account", "account number"),
    )  # fmt: skip
    corr_account = forms.checked(
        _("Correspondent account"), cleaning.clean_account, section=_BANK, maximum=20, on_create=False,
        aliases=("к/с", "корр. счёт", "корреспондентский счёт", "корр счет", "correspondent account"),
    )  # fmt: skip
    signatory = forms.text(
        _("Signatory"), section=_SIGNATORY, maximum=200, on_create=False, personal=True,
        aliases=("подписант", "руководитель", "генеральный директор", "signatory", "signer"),
    )  # fmt: skip
    signatory_title = forms.text(
        _("Signatory's office"), section=_SIGNATORY, maximum=200, on_create=False,
        aliases=("должность подписанта", "должность руководителя", "signatory title"),
    )  # fmt: skip
    signatory_grounds = forms.text(
        _("Acts on the grounds of"), section=_SIGNATORY, maximum=200, on_create=False,
        help=_("The charter, a power of attorney with its number and date."),
        aliases=("основание", "действует на основании", "grounds", "basis"),
    )  # fmt: skip

    @staticmethod
    def check(values: Mapping[str, Any]) -> dict[str, Any]:
        """Compare accounts with the bank's number where both are told."""
        errors: dict[str, Any] = {}
        bik = values.get("bik")
        for name, correspondent in (("account", False), ("corr_account", True)):
            account = values.get(name)
            if bik and account:
                cleaned = cleaning.clean_account(account, bik=bik, correspondent=correspondent)
                if cleaned.problem is not None:
                    errors[name] = cleaned.problem.message
        return errors


class InteractionSchema(forms.RecordSchema):
    """What was said."""

    kind = forms.choice(
        _("Kind"), INTERACTION_KINDS, required=True, sorted=True, aliases=("вид", "тип", "kind", "type")
    )
    direction = forms.choice(_("Direction"), DIRECTIONS, aliases=("направление", "direction"))
    at = forms.datetime(
        _("When"), required=True, sorted=True, aliases=("дата", "когда", "дата и время", "date", "when", "time")
    )
    duration_s = forms.number(
        _("Duration, seconds"), whole=True, minimum=0, maximum=864_000,
        aliases=("длительность", "продолжительность", "duration"),
    )  # fmt: skip
    outcome = forms.choice(_("Outcome"), OUTCOMES, aliases=("итог", "результат", "outcome", "result"))
    text = forms.longtext(
        _("What was said"),
        mentions=True,
        searched=True,
        personal=True,
        aliases=("текст", "содержание", "о чём", "text", "content"),
    )
    next_step = forms.text(_("Next step"), aliases=("следующий шаг", "next step"))
    owner_id = forms.user(_("Who talked"), on_create=False, aliases=("сотрудник", "ответственный", "who", "employee"))
    tags = forms.tags(_("Tags"), on_create=False, aliases=("теги", "tags"))
