"""Price offers: a PDF of the deal's products, numbered, kept on the deal, refused with words."""

from __future__ import annotations

import datetime as dt
import re
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import company
from crm_core.files import Store
from crm_core.records import saving
from crm_core.records.work import speaker
from crm_core.typesetting import TypesettingError, make_pdf
from crm_deals.models import Offer
from crm_deals.services import offers
from crm_deals.services.discounts import NeedsApproval
from crm_deals.services.lines import set_lines


class Papers:
    """Settings of a company as offers read them."""

    def __init__(self, **values: Any) -> None:
        self.values = {
            company.LOGO: "", company.ACCENT: "teal",
            company.LEGAL_ENTITIES: [
                {"name": "ООО «Климат-Пример»", "inn": "0063101026", "signatory": "Соколовская Елена"}
            ],
            **values,
        }  # fmt: skip
        self.locale, self.time_zone, self.name, self.currency = "ru", "Europe/Samara", "Климат-Пример", "RUB"

    def get(self, key: str) -> Any:
        return self.values.get(key)


@pytest.fixture
def paper(tmp_path: Path, plugins: Any) -> offers.Paper:
    return offers.Paper(Papers(), Store(tmp_path / "files"), speaker("ru", plugins))


@pytest.fixture
def offered(deals: Any, seller: Any) -> Any:
    """A deal of a seller with two lines."""
    from crm_deals_factories import line

    deal = deals.deal(seller, name="Кондиционирование", company_id=deals.company(seller, name="ООО «Ёлка»").id)
    gate = deals.gate(seller)
    deal = gate.get("deals.deal", deal.id)
    set_lines(gate, deal, [line(64900, 4, 10, name="Сплит-система"), line(15400, 1, name="Монтаж")])
    return deal


_STRING = rb"\((?:\\.|[^\\)])*\)|<[0-9A-Fa-f]*>"
_PIECE = re.compile(
    rb"/(f\d+) [\d.]+ Tf|(\[(?:" + _STRING + rb"|[^\]\(])*\]\s*TJ|(?:" + _STRING + rb")\s*Tj|ET\n)", re.S
)


def text_of(pdf: bytes) -> str:
    """Return the text of a PDF that typst made: glyphs through the tables of its fonts."""
    objects = dict(re.findall(rb"(\d+) 0 obj\s*(.*?)endobj", pdf, re.S))

    def stream(body: bytes) -> bytes:
        found = re.search(rb"stream\r?\n(.*?)\r?\nendstream", body, re.S)
        if found is None:
            return b""
        return zlib.decompress(found[1]) if b"FlateDecode" in body else found[1]

    tables: dict[bytes, dict[int, str]] = {}
    for number, body in objects.items():
        pointed = re.search(rb"/ToUnicode (\d+) 0 R", body)
        if pointed:
            tables[number] = _glyphs(stream(objects[pointed[1]]).decode("latin-1"))
    names: dict[bytes, bytes] = {}
    for body in objects.values():
        for name, number in re.findall(rb"/(f\d+) (\d+) 0 R", body):
            names[name] = number
    text = []
    for body in objects.values():
        content = stream(body)
        if b"BT" not in content:
            continue
        table: dict[int, str] = {}
        for font, array in _PIECE.findall(content):
            if font:
                table = tables.get(names.get(font, b""), {})
            elif array == b"ET\n":
                text.append(" ")
            else:
                text += [_shown(piece, table) for piece in re.findall(_STRING, array, re.S)]
    return re.sub(r"\s+", " ", "".join(text))


def _shown(piece: bytes, table: dict[int, str]) -> str:
    if piece[:1] == b"<":
        raw = bytes.fromhex(piece[1:-1].decode())
    else:
        special = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
        raw = re.sub(
            rb"\\([0-7]{1,3}|.)",
            lambda m: bytes([int(m[1], 8)]) if m[1][:1].isdigit() else special.get(m[1], m[1]),
            piece[1:-1],
            flags=re.S,
        )
    return "".join(table.get(int.from_bytes(raw[at : at + 2], "big"), "") for at in range(0, len(raw), 2))


def _glyphs(cmap: str) -> dict[int, str]:
    found = {}
    for code, text in re.findall(r"<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]+)>", cmap):
        found[int(code, 16)] = bytes.fromhex(text).decode("utf-16-be", "replace")
    return found


def test_an_offer_is_a_pdf_with_the_lines_the_client_and_roubles(
    deals: Any, seller: Any, offered: Any, paper: Any
) -> None:
    made = offers.make_offer(deals.gate(seller), offered, paper)

    (kept,) = offers.offers_of(deals.gate(seller), offered.id)
    assert (kept.label, kept.offer.total) == ("1-1", Decimal("249040"))
    assert kept.file_name.endswith("1-1.pdf")
    digest = deals.session.execute(
        sa.text("SELECT digest FROM core_file WHERE id = :id"), {"id": made.file_id}
    ).scalar_one()
    pdf = paper.store.path(digest).read_bytes()
    assert pdf.startswith(b"%PDF-")
    text = text_of(pdf)
    for words in ("Коммерческое предложение", "1-1", "ООО «Ёлка»", "Сплит-система", "Монтаж", "Соколовская"):
        assert words.replace(" ", "") in text.replace(" ", ""), text
    plain = re.sub(r"\s", "", text)
    assert "249040₽" in plain
    assert "НДС" in plain


def test_versions_count_within_a_deal_and_numbers_among_deals(
    deals: Any, seller: Any, offered: Any, paper: Any
) -> None:
    from crm_deals_factories import line

    other = deals.deal(seller, name="Другая")
    gate = deals.gate(seller)
    set_lines(gate, gate.get("deals.deal", other.id), [line(100)])

    labels = []
    for number in (offered.id, offered.id, other.id):
        gate = deals.gate(seller)
        made = offers.make_offer(gate, gate.get("deals.deal", number), paper)
        labels.append((made.number, made.version))

    assert labels == [(1, 1), (1, 2), (2, 1)]


def test_an_unapproved_discount_over_the_limit_stops_the_offer(
    deals: Any, seller: Any, boss: Any, offered: Any, paper: Any
) -> None:
    from crm_deals.services import discounts
    from crm_deals_factories import line

    gate = deals.gate(seller)
    deal = gate.get("deals.deal", offered.id)
    set_lines(gate, deal, [line(1000, 1, 30)])

    with pytest.raises(NeedsApproval):
        offers.make_offer(deals.gate(seller), deal, paper)
    head = deals.gate(boss)
    discounts.decide(head, head.get("deals.deal", deal.id), approved=True)
    gate = deals.gate(seller)
    assert offers.make_offer(gate, gate.get("deals.deal", deal.id), paper).version == 1


def test_a_deal_without_products_has_nothing_to_offer(deals: Any, seller: Any, paper: Any) -> None:
    deal = deals.deal(seller, amount=100)

    with pytest.raises(offers.NothingToOffer):
        offers.make_offer(deals.gate(seller), deal, paper)


def test_a_colleague_makes_no_offers_of_deals_that_are_not_his(
    deals: Any, seller: Any, offered: Any, paper: Any, factories: Any
) -> None:
    colleague = factories.user("manager", team_id=seller.team_id)
    gate = deals.gate(colleague)

    with pytest.raises(saving.NotAllowed):
        offers.make_offer(gate, gate.get("deals.deal", offered.id), paper)
    assert deals.session.scalar(sa.select(sa.func.count()).select_from(Offer)) == 0


def test_the_template_that_ships_makes_its_example(paper: Any) -> None:
    assert len(offers.preview(paper)) == 1


@pytest.mark.parametrize(
    ("source", "line"),
    [("a\n#foo(\n", 2), ('#read("/etc/passwd")', 1), ('#read("../../x")', 1), ('\n\n#import "@preview/cetz:0.3.1"', 3)],
)
def test_a_wrong_template_tells_its_line_and_reads_nothing_else(source: str, line: int) -> None:
    with pytest.raises(TypesettingError) as caught:
        make_pdf(source, {})

    assert caught.value.mistakes[0].line == line
    assert "/tmp" not in str(caught.value)


def test_a_template_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_core.typesetting.SECONDS", 1)

    with pytest.raises(TypesettingError) as caught:
        make_pdf("#for i in range(100000) { for j in range(100000) { } }", {})

    assert caught.value.mistakes == ()


def test_it_is_made_and_opened_from_the_card(testapp: Any, login_as: Any, deals: Any, db: Any) -> None:
    from crm_deals_factories import line

    user = login_as("manager")
    deal = deals.deal(user, name="Насос")
    gate = deals.gate(user)
    set_lines(gate, gate.get("deals.deal", deal.id), [line(500, name="Насос циркуляционный")])
    db.commit()

    form = testapp.get(f"/deals/{deal.id}/offers/new").forms["offer"]
    form["valid_until"] = (dt.date.today() + dt.timedelta(days=400)).isoformat()
    form.submit()
    number = db.scalar(sa.select(Offer.id).where(Offer.deal_id == deal.id))
    answer = testapp.get(f"/deals/{deal.id}/offers/{number}/open")
    assert answer.content_type == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    saved = testapp.get(f"/deals/{deal.id}/offers/{number}/save")
    assert saved.headers["Content-Disposition"].startswith("attachment")
    login_as("marketer")
    testapp.get(f"/deals/{deal.id}/offers/{number}/open", status=(403, 404))


def test_the_form_says_why_there_is_no_offer(testapp: Any, login_as: Any, deals: Any) -> None:
    user = login_as("manager", locale="en")
    deal = deals.deal(user, name="Пустая", amount=5)

    assert "The deal has no products" in testapp.get(f"/deals/{deal.id}/offers/new", status="*")


def test_the_look_is_set_with_an_example_and_mistakes_by_line(testapp: Any, login_as: Any) -> None:
    login_as("administrator", locale="en")

    page = testapp.get("/settings/deals/offers")
    assert "data:image/png;base64," in page
    form = page.forms["offers"]
    form["title"] = "Предложение"
    form.submit()
    page = testapp.get("/settings/deals/offers")
    assert page.forms["offers"]["title"].value == "Предложение"

    form = testapp.get("/settings/deals/offers/template").forms["offers"]
    source = form["template"].value
    form["template"] = "= Привет\n#foo(\n"
    wrong = form.submit(status=422)
    assert "line" in wrong
    form["template"] = source.replace("17pt", "16pt")
    form.submit()
    assert "16pt" in testapp.get("/settings/deals/offers/template").forms["offers"]["template"].value
    assert "Put ours back" in testapp.get("/settings/deals/offers/template")
