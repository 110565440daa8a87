"""Seals the change log in chained blocks and finds out whether anyone has touched what was sealed."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.models.log import Seal

log = structlog.get_logger(__name__)

#: Advisory lock of the one who seals.
LOCK = 0x0C12_0002
#: Rows in one block at most: a block is one transaction.
BLOCK = 20_000
#: How far a change's time may lie outside its block's before it is suspicious: a long transaction commits late.
SLACK = dt.timedelta(days=2)


@dataclass(frozen=True)
class Finding:
    """Something in the log that cannot have come there by itself."""

    block: int | None
    change: int | None
    problem: str
    """`altered`, `removed`, `inserted` or `chain`."""


@dataclass(frozen=True)
class Verdict:
    """What a check of the log found."""

    seals: int
    rows: int
    unsealed: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        return not self.findings


def seal(session: Session) -> int:
    """Seal the committed changes that no block holds yet; return their number. Call in a transaction of its own."""
    if not session.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK}):
        return 0
    # Rows of transactions still open may appear with smaller ids later; those below the oldest open one cannot.
    rows = session.execute(
        sa.text(
            "SELECT id, at, digest FROM core_change WHERE block IS NULL "
            "AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint ORDER BY id LIMIT :most"
        ),
        {"most": BLOCK},
    ).all()
    if not rows:
        return 0
    last = session.scalar(sa.select(Seal.digest).order_by(Seal.id.desc()).limit(1)) or b""
    digest = chain(last, (bytes(row.digest) for row in rows))
    number = session.scalar(
        sa.insert(Seal.__table__).values(at=clock.now(), rows=len(rows), digest=digest).returning(Seal.__table__.c.id)
    )
    session.execute(
        sa.text("UPDATE core_change SET block = :block WHERE id = ANY(:ids) AND block IS NULL"),
        {"block": number, "ids": [row.id for row in rows]},
    )
    log.info("change_log_sealed", seal=number, rows=len(rows), digest=digest.hex())
    return len(rows)


def chain(previous: bytes, digests: Iterator[bytes]) -> bytes:
    """Return SHA-256 over the previous seal's digest and the rows' in order."""
    running = hashlib.sha256(previous)
    for digest in digests:
        running.update(digest)
    return running.digest()


def verify(session: Session) -> Verdict:
    """Check every sealed block: rows against their digests and the seal, the seals in chain."""
    findings: list[Finding] = []
    previous = b""
    total = seals = 0
    for block in session.scalars(sa.select(Seal).order_by(Seal.id)):
        seals += 1
        rows = session.execute(_BLOCK_SQL, {"block": block.id}).all()
        total += len(rows)
        findings.extend(Finding(block.id, row.id, "altered") for row in rows if row.altered)
        if len(rows) < block.rows:
            findings.append(Finding(block.id, None, "removed"))
        elif len(rows) > block.rows:
            # Which of them came later can only be guessed, by instants that do not fit the block's. Of a sound block
            # instants tell nothing: a demo or a migration of old data rightly writes years that have passed.
            findings.append(Finding(block.id, None, "inserted"))
            findings.extend(
                Finding(block.id, row.id, "inserted")
                for row in rows
                if not block.at - SLACK * 30 <= row.at <= block.at + SLACK
            )
        elif chain(previous, (bytes(row.digest) for row in rows)) != block.digest:
            findings.append(Finding(block.id, None, "chain"))
        previous = block.digest
    orphans = session.execute(
        sa.text(
            "SELECT id, block FROM core_change c WHERE block IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM core_seal s WHERE s.id = c.block) LIMIT 100"
        )
    )
    findings.extend(Finding(row.block, row.id, "removed") for row in orphans)
    strangers = session.execute(
        sa.text(
            "SELECT c.id FROM core_change c WHERE c.block IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM core_operation o WHERE o.id = c.operation_id) LIMIT 100"
        )
    )
    findings.extend(Finding(None, row.id, "inserted") for row in strangers)
    unsealed = session.execute(_UNSEALED_SQL).all()
    findings.extend(Finding(None, row.id, "altered") for row in unsealed if row.altered)
    return Verdict(seals, total, len(unsealed), tuple(findings))


_ALTERED = (
    "salt IS NOT NULL AND digest <> core_change_digest(salt, operation_id, entity, record_id, action, before, after)"
)
_BLOCK_SQL = sa.text(f"SELECT id, at, digest, {_ALTERED} AS altered FROM core_change WHERE block = :block ORDER BY id")
_UNSEALED_SQL = sa.text(f"SELECT id, {_ALTERED} AS altered FROM core_change WHERE block IS NULL ORDER BY id")


def newest(session: Session) -> dict[str, Any] | None:
    """Return the newest seal, for backups and the system log."""
    found = session.scalars(sa.select(Seal).order_by(Seal.id.desc()).limit(1)).one_or_none()
    return None if found is None else {"id": found.id, "at": found.at, "digest": found.digest.hex()}
