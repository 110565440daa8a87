"""Passwords: how they are hashed, compared and refused."""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from crm_core.i18n import _

MINIMUM = 8
ADVISED = 15
MAXIMUM = 200

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password."""
    return _hasher.hash(_normal(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Tell whether the password is right, in the same time also when there is no account or no password."""
    try:
        return _hasher.verify(stored or _dummy(), _normal(password)) and bool(stored)
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(stored: str) -> bool:
    """Tell whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def problems(password: str, *, email: str = "", name: str = "") -> list[str]:
    """Return why a new password is refused, as messages; empty when it may be used."""
    if len(password) < MINIMUM:
        return [_("Make it at least ${n} characters long; a phrase of several words is best.", mapping={"n": MINIMUM})]
    if len(password) > MAXIMUM:
        return [_("Make it at most ${n} characters long.", mapping={"n": MAXIMUM})]
    if is_common(password):
        return [_("This password is among the first that others try. Choose a phrase of several words.")]
    if _is_about(password, email, name):
        return [_("A password must not be made of your name or address.")]
    return []


def is_common(password: str) -> bool:
    """Tell whether the password is one of those that are tried first, also with capitals or a sign at its end."""
    plain = _normal(password).casefold()
    return plain in _common() or plain.rstrip("!.?*") in _common() or len(set(plain)) <= 2


def _is_about(password: str, email: str, name: str) -> bool:
    plain = password.casefold()
    email, name = email.casefold(), name.casefold()
    parts = [email, email.partition("@")[0], name, "".join(name.split()), *name.split()]
    return any(len(part) >= 4 and part in plain and len(plain) - len(part) < 4 for part in parts)


def _normal(password: str) -> str:
    # The same password typed on another keyboard may come composed otherwise.
    return unicodedata.normalize("NFC", password)


@cache
def _dummy() -> str:
    return _hasher.hash("nobody has this password")


@cache
def _common() -> frozenset[str]:
    text = resources.files("crm_core.security").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))
