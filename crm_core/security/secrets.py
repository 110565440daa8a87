"""The key file and what hangs on it: sealed values, digests that need the key, signed texts.

The key lies outside the database and never goes into an archive: a stolen dump opens nothing without it. Every use
names a purpose, and each purpose has a key of its own, so that what was made for one is worth nothing for another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyramid.config import Configurator
from pyramid.request import Request

from crm_core.settings import Settings

SETTING = "crm.secret_key_file"
KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class Unsealable(ValueError):
    """A sealed value that this key does not open: another key, another purpose, or altered bytes."""


class Secrets:
    """Seals, digests and signs by one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key must have {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._derive = lru_cache(maxsize=64)(self._derive_now)

    def _derive_now(self, purpose: str) -> bytes:
        return hmac.digest(self._key, b"crm:" + purpose.encode(), "sha256")

    def seal(self, purpose: str, plain: str) -> bytes:
        """Return the text sealed, to be opened for the same purpose only."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        body = AESGCM(self._derive("seal:" + purpose)).encrypt(nonce, plain.encode(), purpose.encode())
        return _VERSION + nonce + body

    def unseal(self, purpose: str, sealed: bytes) -> str:
        """Return the text; raise Unsealable when the key or the purpose is another or the bytes were altered."""
        if sealed[:1] != _VERSION:
            raise Unsealable("the value was not sealed by this release")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return AESGCM(self._derive("seal:" + purpose)).decrypt(nonce, body, purpose.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Unsealable(
                f"the value for {purpose!r} cannot be opened: it was sealed with another key file ({SETTING})"
            ) from error

    def digest(self, purpose: str, value: str | bytes) -> bytes:
        """Return the HMAC of a value: equal values give equal digests, and nobody without the key can guess back."""
        raw = value.encode() if isinstance(value, str) else value
        return hmac.digest(self._derive("digest:" + purpose), raw, "sha256")

    def sign(self, purpose: str, text: str) -> str:
        """Return the text with its signature, fit for an address or a cookie."""
        body = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        return f"{body}.{_short(self.digest('sign:' + purpose, text))}"

    def unsign(self, purpose: str, signed: str) -> str | None:
        """Return the text that was signed for the purpose; None for anything else."""
        body, _dot, signature = signed.partition(".")
        try:
            text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except ValueError:
            return None
        expected = _short(self.digest("sign:" + purpose, text))
        return text if signature and hmac.compare_digest(signature.encode(), expected.encode()) else None


def _short(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_secret(secret: str) -> bytes:
    """Return what is stored of a random secret; as it is random, no key and no salt are needed."""
    return hashlib.sha256(secret.encode()).digest()


def new_secret() -> str:
    """Return 256 random bits as text for a cookie or a link."""
    return secrets.token_urlsafe(32)


def from_settings(settings: Mapping[str, Any]) -> Secrets:
    """Return the secrets of an installation: those handed over, or by the key file that the settings name."""
    ready = settings.get("crm.secrets")
    if isinstance(ready, Secrets):
        return ready
    data = Path(settings.get("crm.data", "var"))
    path = Path(settings.get(SETTING) or data / "secret.key")
    return Secrets(Settings(data_dir=data, ini=data / "crm.ini", secret_key_file=path).secret())


def includeme(config: Configurator) -> None:
    """Give the registry and requests `secrets`."""
    config.registry["crm.secrets"] = from_settings(config.get_settings())

    def of_request(request: Request) -> Secrets:
        found: Secrets = request.registry["crm.secrets"]
        return found

    config.add_request_method(of_request, "secrets", reify=True)
