"""Words that outlive a redirect: "Saved", with the way back; kept signed in the browser until the next page."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from crm_core.security.sessions import cookie_name
from crm_core.views.shapes import Toast

_MOST = 3
_LONGEST = 300


def toast(request: Request, text: str, tone: str = "success", **more: str) -> None:
    """Show a word on the next page that this browser gets; `more` are fields of `Toast`."""
    waiting = request.__dict__.setdefault("_toasts", [])
    said = {name: str(value) for name, value in more.items()}
    waiting.append(Toast(text=request.translate(text)[:_LONGEST], tone=tone, **said))
    if len(waiting) == 1:
        request.add_response_callback(_keep)


def take_toasts(request: Request) -> list[Toast]:
    """Return the words that wait, for the shell of a page; each is shown once."""
    found: list[Toast] = request.__dict__.pop("_toasts", [])
    kept = _read(request)
    if kept and not request.__dict__.get("_toasts_taken"):
        request.__dict__["_toasts_taken"] = True
        request.add_response_callback(_drop)
    return [*kept, *found]


def _read(request: Request) -> list[Toast]:
    text = request.secrets.unsign("toast", request.cookies.get(cookie_name(request, "crm-toast"), ""))
    try:
        return [Toast(**one) for one in json.loads(text or "[]")]
    except (ValueError, TypeError):
        return []


def _keep(request: Request, response: Any) -> None:
    waiting: list[Toast] = request.__dict__.get("_toasts", [])
    if waiting:
        text = json.dumps([asdict(one) for one in waiting[-_MOST:]], ensure_ascii=False)
        _set(request, response, request.secrets.sign("toast", text), 60)


def _drop(request: Request, response: Any) -> None:
    if not request.__dict__.get("_toasts"):
        _set(request, response, "", 0)


def _set(request: Request, response: Any, value: str, age: int) -> None:
    response.set_cookie(
        cookie_name(request, "crm-toast"),
        value,
        max_age=age,
        path="/",
        secure=request.scheme == "https",
        httponly=True,
        samesite="Lax",
    )


def includeme(config: Configurator) -> None:
    """Give requests `toast` and `take_toasts`."""
    config.add_request_method(toast, "toast")
    config.add_request_method(take_toasts, "take_toasts")
