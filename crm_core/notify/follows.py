"""Following: a person hears of every change of a record that he may still see."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import changed
from crm_core.models.notifications import Follow


def follow(session: Session, user_id: int, entity: str, record_id: int) -> bool:
    """Let a person hear of a record; False when he does already."""
    insert = pg.insert(Follow).values(user_id=user_id, entity=entity, record_id=record_id, created_at=clock.now())
    return session.execute(insert.on_conflict_do_nothing().returning(Follow.user_id)).first() is not None


def unfollow(session: Session, user_id: int, entity: str, record_id: int) -> bool:
    """Let him hear of it no more; False when he did not."""
    return changed(session, sa.delete(Follow).where(*_is(user_id, entity, record_id))) == 1


def is_following(session: Session, user_id: int, entity: str, record_id: int) -> bool:
    """Tell whether a person follows a record."""
    return bool(session.scalar(sa.select(sa.exists().where(*_is(user_id, entity, record_id)))))


def followers(session: Session, entity: str, record_id: int) -> list[int]:
    """Return who follows a record, whoever began first first; which of them may see it is the gate's to say."""
    return list(
        session.scalars(
            sa.select(Follow.user_id)
            .where(Follow.entity == entity, Follow.record_id == record_id)
            .order_by(Follow.created_at, Follow.user_id)
        )
    )


def followed_by(session: Session, entity: str, record_ids: Iterable[int]) -> dict[int, list[int]]:
    """Return the followers of each of those records that has any, in one statement."""
    found: dict[int, list[int]] = {}
    rows = session.execute(
        sa.select(Follow.record_id, Follow.user_id)
        .where(Follow.entity == entity, Follow.record_id.in_(sorted(set(record_ids))))
        .order_by(Follow.record_id, Follow.user_id)
    )
    for record_id, user_id in rows:
        found.setdefault(record_id, []).append(user_id)
    return found


def _is(user_id: int, entity: str, record_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return Follow.user_id == user_id, Follow.entity == entity, Follow.record_id == record_id
