"""Letters about accounts, in the language of who gets them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.i18n import _, localizer_for, translate
from crm_core.security import tokens


class Sender(Protocol):
    """What writes a letter down to be delivered: `crm_core.mail.send`."""

    def __call__(
        self,
        session: Session,
        to: str,
        subject: str,
        text: str,
        html: str = "",
        *,
        purpose: str,
        step: str | None = None,
        secret: bool = False,
        empty_at: dt.datetime | None = None,
        user_id: int | None = None,
    ) -> Any: ...


@dataclass(frozen=True)
class Letter:
    """What a letter says, as message ids."""

    subject: str
    text: str
    button: str = ""
    after: str = ""
    token: str = ""
    """Purpose of the token in its link: the text is emptied when that has expired."""


CONFIRM = Letter(
    _("Confirm your address"),
    _("You have signed up at ${company}. Confirm that this address is yours."),
    _("Confirm the address"),
    _("The link works for three days. If it was not you, do nothing: nobody gets in without your confirmation."),
    tokens.CONFIRM,
)
KNOWN = Letter(
    _("You already have an account"),
    _("Somebody, probably you, signed up at ${company} with this address, but there is an account for it already."),
    _("Sign in"),
    _("If you forgot the password, the sign-in page lets you choose a new one. If it was not you, do nothing."),
)
RESET = Letter(
    _("Choose a new password"),
    _("Somebody, probably you, asked for a new password at ${company}."),
    _("Choose a new password"),
    _("The link works for two hours and once. If it was not you, do nothing: the old password stays."),
    tokens.RESET,
)
CHANGE_ADDRESS = Letter(
    _("Confirm your new address"),
    _("You want to use this address at ${company}."),
    _("Use this address"),
    _("The link works for a day. Until then the old address stays."),
    tokens.CHANGE_ADDRESS,
)
ADDRESS_CHANGED = Letter(
    _("Your address was changed"),
    _("Your account at ${company} now has another address, ${email}."),
    "",
    _("If it was not you, tell your administrator at once."),
)
PASSWORD_CHANGED = Letter(
    _("Your password was changed"),
    _("The password of your account at ${company} was changed and all other sessions were ended."),
    _("Choose another password"),
    _("If it was not you, choose another one and tell your administrator."),
)
INVITATION = Letter(
    _("You are invited to ${company}"),
    _("${who} invites you to ${company}. Choose a password, and your account is ready."),
    _("Accept the invitation"),
    _("The link works for seven days and once."),
    tokens.INVITE,
)
APPROVED = Letter(_("Your account is ready"), _("Your account at ${company} was approved."), _("Sign in"))
REJECTED = Letter(_("Your sign-up was declined"), _("Your sign-up at ${company} was declined."))


@dataclass(frozen=True)
class Post:
    """Writes letters about accounts: who sends, which company, where its links lead."""

    send: Sender
    company: str
    base_url: str
    registry: Any = None
    locale: str = "ru"

    def write(
        self,
        session: Session,
        letter: Letter,
        to: str,
        *,
        purpose: str,
        step: str,
        path: str = "",
        locale: str = "",
        user_id: int | None = None,
        **values: Any,
    ) -> None:
        """Write one letter; a letter with a link that gives access is marked, so that its body is emptied later."""
        localizer = localizer_for(locale or self.locale, self.registry)
        said = {"company": self.company, **values}
        link = self.base_url + path if path else ""

        def say(text: str) -> str:
            return translate(localizer, text, said) if text else ""

        parts = [part for part in (say(letter.text), link, say(letter.after)) if part]
        self.send(
            session,
            to,
            say(letter.subject),
            "\n\n".join(parts) + "\n",
            as_page([say(letter.text)], say(letter.button), link, say(letter.after), localizer.locale_name),
            purpose=purpose,
            step=step,
            secret=bool(letter.token),
            empty_at=clock.now() + tokens.LIFETIMES[letter.token] if letter.token else None,
            user_id=user_id,
        )


def as_page(paragraphs: Iterable[str], button: str = "", link: str = "", after: str = "", locale: str = "ru") -> str:
    """Return a letter as a page: paragraphs, a button that leads somewhere, a line beneath."""
    # Letters are read by programs that know no style sheets, so this small page carries its styles in itself.
    paragraph = '<p style="margin:0 0 16px">{}</p>'
    body = "".join(paragraph.format(escape(text)) for text in paragraphs if text)
    if link:
        body += (
            f'<p style="margin:0 0 16px"><a href="{escape(link)}" style="display:inline-block;padding:10px 18px;'
            f'background:#4f46e5;color:#ffffff;border-radius:6px;text-decoration:none">{escape(button)}</a></p>'
            f'<p style="margin:0 0 16px;color:#667085;font-size:13px;word-break:break-all">{escape(link)}</p>'
        )
    if after:
        body += f'<p style="margin:0;color:#667085;font-size:13px">{escape(after)}</p>'
    return sheet(body, locale)


def sheet(body: str, locale: str) -> str:
    """Return the page of a letter around what it says."""
    return (
        f'<!doctype html><html lang="{locale}"><meta charset="utf-8"><body style="margin:0;padding:32px;'
        'background:#f6f7f9;font:15px/1.5 -apple-system,Segoe UI,Roboto,Arial,sans-serif;color:#1d2939">'
        '<div style="max-width:520px;margin:0 auto;padding:32px;background:#ffffff;border-radius:8px">'
        f"{body}</div></body></html>"
    )
