"""Recording doubles at the core's own seams: the queue of jobs and the box of letters that went out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from crm_core import jobs
from crm_core.db import GuardedSession
from crm_core.models.work import JobRow, Letter

if TYPE_CHECKING:
    from crm_core.plugins import Plugins

_LINK = re.compile(r"https?://[^\s<>\"]+")


class InlineRunner(jobs.Runner):
    """Runs jobs on the test's own connection, in the test's thread: the same claim, fence and ends, no heartbeat."""

    def __init__(self, connection: sa.Connection, factory: sessionmaker[GuardedSession], **options: Any) -> None:
        super().__init__(connection.engine, factory, **options)
        self.connection = connection

    def connect(self) -> AbstractContextManager[sa.Connection]:
        """Return the test's connection, which is not closed."""

        @contextmanager
        def borrowed() -> Iterator[sa.Connection]:
            with self.connection.begin_nested():
                yield self.connection

        return borrowed()


class JobsSeam:
    """What was enqueued in a test, and the way to have it done there and then."""

    def __init__(
        self,
        session: Session,
        connection: sa.Connection,
        factory: sessionmaker[GuardedSession],
        *,
        settings: Mapping[str, Any],
        plugins: Plugins,
        registry: Any = None,
    ) -> None:
        self._session = session
        self._runner = InlineRunner(connection, factory, settings=settings, plugins=plugins, registry=registry)

    def rows(self, name: str | None = None) -> list[JobRow]:
        """Return the jobs that were enqueued, in order."""
        self._session.flush()
        statement = sa.select(JobRow).order_by(JobRow.id).execution_options(populate_existing=True)
        return list(self._session.scalars(statement if name is None else statement.where(JobRow.name == name)))

    @property
    def names(self) -> list[str]:
        """The names of what waits, in order."""
        return [row.name for row in self.rows() if row.state == jobs.WAITING]

    def run_all(self, *, most: int = 100, check: bool = True) -> int:
        """Run everything that is due, also what jobs enqueue; an error of a job fails the test unless told not to."""
        self._session.commit()
        count = self._runner.run_due(limit=most)
        self._session.expire_all()
        if check:
            wrong = [f"{row.name}: {row.error}" for row in self.rows() if row.error]
            assert not wrong, "\n".join(wrong)
        return count


class Outbox:
    """The letters that were written in a test; without a mail server they stay where they can be read."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def letters(self) -> list[Letter]:
        """All letters, the first first."""
        self._session.flush()
        return list(self._session.scalars(sa.select(Letter).order_by(Letter.id)))

    @property
    def last(self) -> Letter:
        """The newest letter; fails when there is none."""
        letters = self.letters
        assert letters, "no letter was written"
        return letters[-1]

    def to(self, address: str) -> list[Letter]:
        """Return the letters to one address."""
        return [letter for letter in self.letters if letter.recipient.lower() == address.lower()]

    def link(self, address: str | None = None) -> str:
        """Return the first link in the newest letter, to that address if given."""
        letters = self.letters if address is None else self.to(address)
        assert letters, f"no letter to {address}" if address else "no letter was written"
        found = _LINK.search(letters[-1].text)
        assert found, "the letter has no link"
        return found.group()

    def __len__(self) -> int:
        return len(self.letters)

    def __iter__(self) -> Iterator[Letter]:
        return iter(self.letters)
