"""How pages look for whoever asks: his own choice of light or dark, the company's name, logo and colour."""

from __future__ import annotations

from pyramid.request import Request

from crm_core import company
from crm_core.themes import Look

#: Keeps light or dark for pages before sign-in; the choice itself is the account's.
MODE_COOKIE = "crm_mode"


def look_of(request: Request) -> Look:
    """Return the look of pages for this request."""
    mode = request.subject.theme if request.identity is not None else request.cookies.get(MODE_COOKIE, "auto")
    logo = str(request.company.get(company.LOGO))
    return Look(
        mode=mode if mode in ("light", "dark", "auto") else "auto",
        accent=str(request.company.get(company.ACCENT)),
        locale=request.locale_name,
        company=request.company.name,
        logo_href=f"/logo.png?{logo[:8]}" if logo else "",
    )
