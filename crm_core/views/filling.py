"""What forms of the core have in common: fields that keep what was typed, and refusals shown beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.i18n import TranslationString
from pyramid.request import Request
from pyramid.response import Response

from crm_core.i18n import translate
from crm_core.people import Refused
from crm_core.views.shapes import Action, Choice, FieldView


def say(request: Any, sentence: Any) -> str:
    """Return a sentence in the reader's language, with the words inside it translated too."""
    mapping = getattr(sentence, "mapping", None)
    if not mapping:
        return translate(request, sentence)
    inner = {name: translate(request, value) if isinstance(value, str) else value for name, value in mapping.items()}
    return translate(
        request, TranslationString(str(sentence), domain=sentence.domain, default=sentence.default, mapping=inner)
    )


class Filling:
    """A form as it is being filled in: what was typed wins over what was there, and a refusal marks its field."""

    def __init__(self, request: Request, refused: Refused | None = None) -> None:
        self.request = request
        self.typed = request.POST if request.method == "POST" else {}
        self.refused = refused
        if refused is not None:
            request.response.status_int = refused.status

    def field(self, name: str, title: str, kind: str = "text", value: Any = "", **more: Any) -> FieldView:
        """Return a field; a password is never given back."""
        if kind == "bool":
            value = name in self.typed if self.typed else bool(value)
        elif kind in ("choices", "tags", "records"):
            value = self.request.POST.getall(name) if self.typed else value
        elif kind != "password" and name in self.typed:
            value = self.typed[name]
        if kind == "choice" and more.get("choices") and not more["choices"][0].value:
            # The control has an empty option of its own, which says this.
            more["placeholder"], more["choices"] = more["choices"][0].title, more["choices"][1:]
        error = ""
        if self.refused is not None and self.refused.field == name:
            error = say(self.request, self.refused.sentence)
        return FieldView(name=name, title=title, kind=kind, value="" if value is None else value, error=error, **more)

    @property
    def errors(self) -> Sequence[tuple[str, str]]:
        """What to mend, for the head of the form."""
        if self.refused is None:
            return ()
        field = self.refused.field
        return [
            (
                "f-" + field.replace(":", "-").replace(".", "-") if field else "",
                say(self.request, self.refused.sentence),
            )
        ]


def typed(request: Request, name: str) -> str:
    """Return one posted text; a file or nothing is empty."""
    value = request.POST.get(name, "")
    return value.strip("\x00") if isinstance(value, str) else ""


def typed_number(request: Request, name: str) -> int | None:
    """Return a posted id, or None for nothing."""
    value = typed(request, name).strip()
    if not value:
        return None
    if not value.isdecimal() or len(value) > 18:
        raise Refused(TranslationString("Choose one from the list.", domain="crm_core"), name)
    return int(value)


def choices(pairs: Iterable[tuple[Any, str]]) -> list[Choice]:
    """Return choices from values and words."""
    return [Choice(value=str(value), title=title) for value, title in pairs]


def go(request: Request, where: str) -> Response:
    """Send the browser to another page after something was done."""
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": where})
    return HTTPSeeOther(where)


def post_button(title: str, href: str, icon: str = "", look: str = "", **more: Any) -> Action:
    """Return a button that does something at once."""
    return Action(title=title, href=href, icon=icon, look=look, method="post", **more)


def safe_next(value: str | None) -> str:
    """Return a place of our own to go on to; anything that a browser could take for another site becomes the home."""
    if not value or not value.startswith("/") or value.startswith(("//", "/\\")):
        return "/"
    if any(ord(sign) < 33 or sign in "\\\x7f" for sign in value):
        return "/"
    return value
