"""What this plugin asks others: adapters that talk to telephones in their own tongue.

An adapter is any object with the attributes of :class:`Adapter`; a plugin brings its own class, for plugins do not
import one another. Events are dictionaries of the HTTP contract (README.md), so that there is one vocabulary.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from crm_core.hooks import hookspec


class Account(Protocol):
    """A gateway as its adapter sees it."""

    @property
    def id(self) -> int:
        """The number of the gateway."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Values of the adapter's fields."""

    @property
    def password(self) -> str:
        """The adapter's password, open."""

    @property
    def lines(self) -> frozenset[str]:
        """Internal numbers that people have; whatever else takes part in a call is the world outside."""


class Adapter(Protocol):
    """Talks to one kind of telephony."""

    name: str
    """Short and lasting: gateways keep it."""
    title: str
    about: str
    fields: tuple[tuple[Any, Any, Any, Any], ...]
    """What it asks for: (name, title, kind `text`, `number` or `bool`, default)."""
    password_title: str
    """What its password is called; empty: it needs none."""
    listens: bool
    """Whether `listen` works; otherwise events come by the HTTP contract."""
    dials: bool
    """Whether `originate` works."""

    def listen(self, account: Account, stop: threading.Event) -> Iterator[Mapping[str, Any] | None]:
        """Connect and yield events until `stop`; None at least every few seconds. Raise what ends the connection."""
        ...

    def originate(self, account: Account, line: str, number: str, call: str) -> None:
        """Ring the line and connect it with the number; events of this call are to carry `call`.

        Raise an exception whose text tells a person why it did not work.
        """
        ...

    def test(self, account: Account) -> str:
        """Connect and return a word about what answered, or raise."""
        ...


@hookspec
def crm_telephony_adapters() -> Iterable[Adapter]:  # type: ignore[empty-body]
    """Return adapters of telephony; asked once when the application starts."""
