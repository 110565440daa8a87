"""Forms of the site as strangers meet them, and programs that send signed leads."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.forms import InvalidValues
from crm_deals.models import Lead, LeadForm, LeadIntake
from crm_deals.services import lead_sources

ANY = {"crm_ungated": "a look at the result"}
CONSENT = "Согласен на обработку персональных данных для ответа на запрос."


@pytest.fixture
def form(factories: Any, deals: Any) -> LeadForm:
    """A form that asks for name, phone and text, and may stand on one site."""
    return lead_sources.save_form(
        deals.session,
        deals.gate().subject,
        None,
        {
            "name": "Сайт",
            "title": "Оставьте запрос",
            "consent_text": CONSENT,
            "fields": {"name": "optional", "phone": "required", "text": "optional"},
            "sites": "https://klimat.example",
        },
    )


@pytest.fixture
def intake(deals: Any) -> tuple[LeadIntake, str]:
    """A program that sends leads, and its secret."""
    return lead_sources.save_intake(deals.session, deals.gate().subject, None, {"name": "Сайт"})


def all_leads(db: Any) -> list[Lead]:
    return list(db.scalars(sa.select(Lead).order_by(Lead.id), execution_options=ANY))


def filled(testapp: Any, form: LeadForm, clock: Any, query: str = "", **values: str) -> Any:
    page = testapp.get(f"/deals/f/{form.token}{query}")
    clock.tick(seconds=5)
    found = page.forms[0]
    for name, value in {"name": "Анна", "phone": "8 927 000 11 22", "text": "Кондиционер", **values}.items():
        found[name] = value
    return found


# -- strangers ---------------------------------------------------------------------------------------------------------


def test_a_stranger_leaves_a_request_and_his_consent_is_kept(testapp: Any, form: LeadForm, clock: Any, db: Any) -> None:
    page = filled(testapp, form, clock, "?utm_source=yandex&utm_campaign=%3Cb%3E")
    page["consent"] = True

    answer = page.submit()

    assert "Thank you!" in answer or "Спасибо" in answer
    (lead,) = all_leads(db)
    assert (lead.name, lead.phones[0]["value"], lead.text, lead.source) == (
        "Анна", "+79270001122", "Кондиционер", "site",
    )  # fmt: skip
    assert (lead.consent_text, lead.consent_version, lead.consent_address) == (CONSENT, 1, "127.0.0.1")
    assert lead.consent_at == clock.tick()
    assert lead.utm == {"utm_source": "yandex", "utm_campaign": "<b>"}
    assert "Set-Cookie" not in answer.headers


def test_the_same_form_sent_twice_is_one_lead(testapp: Any, form: LeadForm, clock: Any, db: Any) -> None:
    page = filled(testapp, form, clock)
    page["consent"] = True

    page.submit()
    page.submit()

    assert len(all_leads(db)) == 1


def test_without_consent_nothing_is_kept_and_what_was_typed_stays(
    testapp: Any, form: LeadForm, clock: Any, db: Any
) -> None:
    page = filled(testapp, form, clock, text="<script>alert(1)</script>")

    answer = page.submit(status=422)

    assert all_leads(db) == []
    assert answer.forms[0]["text"].value == "<script>alert(1)</script>"
    assert "<script>alert(1)" not in answer.text
    assert answer.html.select_one("#consent-error")
    again = answer.forms[0]
    clock.tick(seconds=5)
    again["consent"] = True
    again.submit()
    assert len(all_leads(db)) == 1


def test_a_phone_that_is_none_is_told_beside_the_field(testapp: Any, form: LeadForm, clock: Any, db: Any) -> None:
    page = filled(testapp, form, clock, phone="позвоните")
    page["consent"] = True

    answer = page.submit(status=422)

    assert answer.html.select_one("#f-phone-error")
    assert answer.forms[0]["phone"].value == "позвоните"
    assert all_leads(db) == []


def test_programs_that_fill_in_everything_or_are_too_quick_leave_nothing(
    testapp: Any, form: LeadForm, clock: Any, db: Any
) -> None:
    trapped = filled(testapp, form, clock)
    trapped["consent"], trapped["website"] = True, "https://spam.example"
    trapped.submit(status=200)
    quick = testapp.get(f"/deals/f/{form.token}").forms[0]
    quick["phone"], quick["consent"] = "+7 927 000-11-22", True

    answer = quick.submit(status=422)

    assert answer.forms[0]["phone"].value == "+7 927 000-11-22"
    assert all_leads(db) == []
    testapp.post(f"/deals/f/{form.token}", {"phone": "+79270001122", "consent": "1", "stamp": "forged"}, status=422)
    assert all_leads(db) == []


def test_too_many_requests_of_one_address_are_refused_with_what_was_typed(
    testapp: Any, form: LeadForm, clock: Any, db: Any
) -> None:
    for _number in range(10):
        page = filled(testapp, form, clock)
        page["consent"] = True
        page.submit(status=200)
    page = filled(testapp, form, clock)
    page["consent"] = True

    answer = page.submit(status=429)

    assert answer.forms[0]["name"].value == "Анна"
    assert len(all_leads(db)) == 10


def test_a_page_that_is_too_long_is_refused(testapp: Any, form: LeadForm, db: Any) -> None:
    testapp.post(f"/deals/f/{form.token}", {"text": "ы" * 70_000}, status=413)

    assert all_leads(db) == []


def test_only_the_sites_of_the_form_may_show_it_in_a_frame(testapp: Any, form: LeadForm, deals: Any) -> None:
    answer = testapp.get(f"/deals/f/{form.token}?embed=1")
    assert "frame-ancestors https://klimat.example" in answer.headers["Content-Security-Policy"]
    assert "style=" not in answer.text

    form.sites = []
    deals.session.commit()

    answer = testapp.get(f"/deals/f/{form.token}?embed=1")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_the_script_names_the_form_and_other_sites_may_load_it(testapp: Any, form: LeadForm, deals: Any) -> None:
    form.title = '</script><script>alert("x")'
    deals.session.commit()

    answer = testapp.get(f"/deals/f/{form.token}.js")

    assert answer.content_type == "text/javascript"
    assert f"/deals/f/{form.token}" in answer.text
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_a_closed_form_is_not_there(testapp: Any, form: LeadForm, deals: Any) -> None:
    form.active = False
    deals.session.commit()

    testapp.get(f"/deals/f/{form.token}", status=404)
    testapp.get(f"/deals/f/{form.token}.js", status=404)


def test_the_form_speaks_the_language_it_was_made_for(testapp: Any, form: LeadForm, deals: Any) -> None:
    form.locale = "ru"
    deals.session.commit()
    assert "Телефон" in testapp.get(f"/deals/f/{form.token}")

    form.locale = "en"
    deals.session.commit()
    assert "Phone" in testapp.get(f"/deals/f/{form.token}")


def test_after_sending_the_browser_goes_to_the_page_of_thanks(
    testapp: Any, form: LeadForm, clock: Any, deals: Any
) -> None:
    form.thanks_url = "https://klimat.example/thanks"
    deals.session.commit()
    page = filled(testapp, form, clock)
    page["consent"] = True

    assert page.submit(status=303).location == "https://klimat.example/thanks"


# -- keeping forms -----------------------------------------------------------------------------------------------------


def test_another_consent_is_another_version(form: LeadForm, deals: Any) -> None:
    values = {
        "name": form.name, "fields": form.fields, "consent_text": CONSENT + " И для рассылки.", "source": "site",
    }  # fmt: skip

    lead_sources.save_form(deals.session, deals.gate().subject, form, values)

    assert form.consent_version == 2


@pytest.mark.parametrize(
    "site", ["javascript:alert(1)", "https://a.example/path", "'none'", "https://*.example", "a b;c"]
)
def test_what_is_no_site_may_not_show_the_form(deals: Any, form: LeadForm, site: str) -> None:
    values = {"name": "x", "fields": {"phone": "required"}, "consent_text": CONSENT, "sites": site}

    with pytest.raises(InvalidValues) as invalid:
        lead_sources.save_form(deals.session, deals.gate().subject, form, values)

    assert "sites" in invalid.value.errors


# -- programs ----------------------------------------------------------------------------------------------------------


def send(testapp: Any, intake: tuple[LeadIntake, str], clock: Any, data: Any, **more: Any) -> Any:
    one, secret = intake
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    stamp = str(int((more.pop("at", None) or clock.tick()).timestamp()))
    headers = {
        "X-CRM-Timestamp": stamp,
        "X-CRM-Signature": more.pop("signature", None) or lead_sources.sign(secret, stamp, body),
        "Content-Type": "application/json",
        **more.pop("headers", {}),
    }
    return testapp.post(f"/deals/leads/in/{one.token}", body, headers=headers, **more)


def test_a_signed_lead_is_taken_once_by_its_key(testapp: Any, intake: Any, clock: Any, db: Any) -> None:
    data = {"name": "Анна", "phone": "+7 927 000-11-22", "source": "advertising", "utm": {"utm_source": "vk", "x": "y"}}
    headers = {"Idempotency-Key": "request-1"}

    first = send(testapp, intake, clock, data, headers=headers, status=201)
    clock.tick(seconds=30)
    again = send(testapp, intake, clock, data, headers=headers, status=200)

    (lead,) = all_leads(db)
    assert first.json == {"id": lead.id, "state": "new", "fresh": True}
    assert again.json == {"id": lead.id, "state": "new", "fresh": False}
    assert (lead.source, lead.utm, lead.intake_id) == ("advertising", {"utm_source": "vk"}, intake[0].id)
    assert send(testapp, intake, clock, {"name": "Борис"}, headers=headers, status=409).content_type == (
        "application/problem+json"
    )


def test_an_overheard_message_sent_again_is_no_second_lead_and_later_none(
    testapp: Any, intake: Any, clock: Any, db: Any
) -> None:
    at = clock.tick()
    send(testapp, intake, clock, {"name": "Анна"}, at=at, status=201)
    clock.tick(seconds=60)
    send(testapp, intake, clock, {"name": "Анна"}, at=at, status=200)
    clock.tick(minutes=6)

    answer = send(testapp, intake, clock, {"name": "Анна"}, at=at, status=401)

    assert len(all_leads(db)) == 1
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("signature", ["sha256=00", "", "sha256=" + "0" * 64, "ы"])
def test_what_is_signed_wrongly_leaves_nothing(
    testapp: Any, intake: Any, clock: Any, db: Any, signature: str
) -> None:
    send(testapp, intake, clock, {"name": "Анна"}, signature=signature.encode().decode("latin-1") or " ", status=401)

    assert all_leads(db) == []


def test_a_changed_body_or_another_secret_is_refused(testapp: Any, intake: Any, clock: Any, db: Any) -> None:
    one, secret = intake
    stamp = str(int(clock.tick().timestamp()))
    signature = lead_sources.sign(secret, stamp, b'{"name":"Anna"}')
    send(testapp, intake, clock, b'{"name":"Eve"}', signature=signature, status=401)
    send(testapp, (one, "another"), clock, {"name": "Анна"}, status=401)
    one.active = False
    db.commit()
    send(testapp, intake, clock, {"name": "Анна"}, status=401)

    assert all_leads(db) == []


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"[]", "body"),
        (b"{", "body"),
        (b"[" * 5000, "body"),
        ({}, "body"),
        ({"name": 5}, "name"),
        ({"name": "x", "phones": "1"}, "phones"),
        ({"name": "x", "source": "nowhere"}, "source"),
        ({"name": "x", "received_at": "yesterday"}, "received_at"),
        ({"name": "x", "consent": "yes"}, "consent"),
        ({"name": "x", "owner_id": 1}, "owner_id"),
    ],
)
def test_what_cannot_be_taken_is_told_by_its_part(
    testapp: Any, intake: Any, clock: Any, db: Any, data: Any, field: str
) -> None:
    answer = send(testapp, intake, clock, data, status=422)

    assert answer.json["field"] == field
    assert all_leads(db) == []


def test_the_secret_is_sealed_and_another_one_ends_the_old(testapp: Any, intake: Any, clock: Any, deals: Any) -> None:
    one, secret = intake
    assert secret.encode() not in one.secret

    fresh = lead_sources.new_secret(deals.session, deals.gate().subject, one)

    send(testapp, intake, clock, {"name": "Анна"}, status=401)
    send(testapp, (one, fresh), clock, {"name": "Анна"}, status=201)
