"""How often something may be tried: counted in Redis, and in this process while Redis is away."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any, cast

import structlog
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter
from pyramid.config import Configurator
from pyramid.request import Request

log = structlog.get_logger(__name__)

#: After Redis failed it is left alone this long, so that a page waits for it once and not every time.
_REST_SECONDS = 10.0


@dataclass(frozen=True)
class Rule:
    """One limit: what is counted and how often it may happen."""

    name: str
    rate: str

    @property
    def item(self) -> RateLimitItem:
        """Return the rate as the library knows it."""
        return parse(self.rate)


SIGN_IN_PAIR = Rule("sign-in-pair", "8 per 10 minutes")
"""Of one account from one address."""
SIGN_IN_ACCOUNT = Rule("sign-in-account", "60 per hour")
"""Of one account from addresses it never signed in from: nobody can lock the person himself out."""
SIGN_IN_ADDRESS = Rule("sign-in-address", "40 per 10 minutes")
SIGN_IN_ALL = Rule("sign-in-all", "1000 per minute")
LETTER_ACCOUNT = Rule("letter-account", "4 per hour")
"""Letters that a stranger may cause to one address: reset, confirmation."""
LETTER_ADDRESS = Rule("letter-address", "20 per hour")
LETTER_ALL = Rule("letter-all", "300 per hour")
TOKEN_ADDRESS = Rule("token-address", "60 per 10 minutes")
"""Links and codes tried from one address."""
PROOF = Rule("proof", "10 per 10 minutes")
"""Passwords typed again by a person who is signed in."""
INVITE = Rule("invite", "100 per hour")


class Limits:
    """Counts tries by rule and key."""

    def __init__(self, redis_url: str = "") -> None:
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._shared: MovingWindowRateLimiter | None = None
        self._shared_after = 0.0
        if redis_url:
            storage = storage_from_string(
                _limits_url(redis_url), socket_timeout=0.1, socket_connect_timeout=0.1, wrap_exceptions=True
            )
            self._shared = MovingWindowRateLimiter(cast(Storage, storage))

    def hit(self, rule: Rule, *keys: object) -> bool:
        """Count one try; False when there have been too many."""
        return bool(self._ask("hit", rule, keys))

    def allows(self, rule: Rule, *keys: object) -> bool:
        """Tell whether one more try would be let through, without counting it."""
        return bool(self._ask("test", rule, keys))

    def clear(self, rule: Rule, *keys: object) -> None:
        """Forget the tries, as after a right password."""
        self._ask("clear", rule, keys)

    def _ask(self, verb: str, rule: Rule, keys: tuple[object, ...]) -> Any:
        # Keys are digested: addresses and accounts do not lie about in Redis, and any text is a safe key.
        key = hashlib.sha256("\x1f".join(str(key).casefold() for key in keys).encode()).hexdigest()[:32]
        # Counted here as well, so that Redis going away lets nobody begin anew.
        here = getattr(self._memory, verb)(rule.item, rule.name, key)
        if self._shared is None or time.monotonic() < self._shared_after:
            return here
        try:
            return getattr(self._shared, verb)(rule.item, rule.name, key) and here
        except Exception as error:  # whatever is wrong with Redis, people must be able to sign in
            self._shared_after = time.monotonic() + _REST_SECONDS
            log.warning("limits_without_redis", error=type(error).__name__)
            return here


def _limits_url(url: str) -> str:
    return "redis+" + url if url.startswith("unix://") else url


def includeme(config: Configurator) -> None:
    """Give requests `limits`."""
    settings = config.get_settings()
    config.registry["crm.limits"] = settings.get("crm.limits") or Limits(settings.get("redis.url", ""))

    def limits(request: Request) -> Limits:
        found: Limits = request.registry["crm.limits"]
        return found

    config.add_request_method(limits, "limits", reify=True)
