"""The database: declarative base, engine, sessions and their guard, column types, the triggers of the change log.

Most code gets its session from `request.db`, from a job's context or from a test fixture; only those three places
call `make_session`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
import zope.sqlalchemy
from pyramid.config import Configurator
from sqlalchemy import event
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, ORMExecuteState, Session, declared_attr, mapped_column, sessionmaker
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnElement
from transaction.interfaces import ITransactionManager

from crm_core import clock

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: Where the tables are. Extensions stay in `public`, so that a restore can swap this schema by renaming it.
SCHEMA = "crm"

#: Set on a statement of the engine itself that may read gated tables whole; the value says why.
UNGATED = "crm_ungated"

GATE_MARK = "crm_gate"

_FIXED = "crm_fixed"

#: After so many times psycopg prepares a statement by itself; None would forbid it where it is asked for, too.
_NEVER = 1_000_000_000


class Base(DeclarativeBase):
    """Is the base of every mapped class, ours and the plugins'."""

    if TYPE_CHECKING:
        __table__: ClassVar[sa.Table]

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: sa.BigInteger(),
        str: sa.Text(),
        dt.datetime: sa.DateTime(timezone=True),
        dt.date: sa.Date(),
        Decimal: sa.Numeric(19, 4),
        dict[str, Any]: pg.JSONB(none_as_null=True),
        list[dict[str, Any]]: pg.JSONB(none_as_null=True),
        list[int]: pg.ARRAY(sa.BigInteger()),
        list[str]: pg.ARRAY(sa.Text()),
        bytes: sa.LargeBinary(),
    }


@dataclasses.dataclass(frozen=True, order=True)
class RecordRef:
    """Names a record of any entity: the soft link by which tasks, files and interactions hang on anything."""

    entity: str
    id: int

    def __str__(self) -> str:
        return f"{self.entity}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> RecordRef:
        """Read the form `entity:id`; raise ValueError for anything else."""
        entity, sep, number = text.rpartition(":")
        if not sep or not number.isdecimal() or len(number) > 18:
            raise ValueError(f"{text!r} is not of the form entity:id")
        return cls(entity, int(number))


@dataclasses.dataclass(frozen=True)
class Money:
    """Holds an amount and its currency (ISO 4217, three capital letters)."""

    amount: Decimal
    currency: str


class RecordMixin:
    """Gives a table what every record has; a table with it can be read through the gate alone."""

    __gated__: ClassVar[bool] = True

    id: Mapped[int] = mapped_column(sa.BigInteger(), sa.Identity(), primary_key=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[dt.datetime | None] = mapped_column(server_default=sa.FetchedValue())
    updated_by: Mapped[int | None] = mapped_column(server_default=sa.FetchedValue())
    deleted_at: Mapped[dt.datetime | None] = mapped_column()
    deleted_op: Mapped[int | None] = mapped_column()
    tags: Mapped[list[int]] = mapped_column(default=list, server_default="{}")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    version: Mapped[int] = mapped_column(server_default=sa.FetchedValue(), server_onupdate=sa.FetchedValue())

    @declared_attr
    def owner_id(cls) -> Mapped[int | None]:
        return mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))

    @declared_attr
    def team_id(cls) -> Mapped[int | None]:
        return mapped_column(sa.ForeignKey("core_team.id", ondelete="RESTRICT"))

    @declared_attr
    def created_by(cls) -> Mapped[int | None]:
        return mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:
        # The version is written by a trigger (it is the id of the last change), so SQLAlchemy only compares it.
        return {"version_id_col": cls.version, "version_id_generator": False, "eager_defaults": True}


class UngatedRead(RuntimeError):
    """Tells that a statement names records without having come through the gate."""


def gated_tables() -> frozenset[sa.Table]:
    """Return the tables that only the gate may open."""
    return frozenset(
        mapper.local_table  # type: ignore[misc]
        for mapper in Base.registry.mappers
        if getattr(mapper.class_, "__gated__", False)
    )


def mark_gated(criterion: ColumnElement[bool], table: sa.FromClause) -> ColumnElement[bool]:
    """Return the criterion with the gate's mark for the table; only `records.gate` calls this."""
    return criterion._annotate({GATE_MARK: getattr(table, "name", "")})


def tables_without_mark(statement: sa.Executable, gated: frozenset[sa.Table]) -> set[str]:
    """Return the names of gated tables in the statement that no criterion of the gate stands beside."""
    named: set[str] = set()
    marked: set[str] = set()
    names = {table.name for table in gated}
    for element in visitors.iterate(statement):  # type: ignore[arg-type]
        if isinstance(element, sa.Table):
            if element.name in names:
                named.add(element.name)
        elif (mark := element._annotations.get(GATE_MARK)) is not None:
            marked.add(mark)
        table = getattr(element, "table", None)
        if isinstance(table, sa.Table) and table.name in names:
            named.add(table.name)
    return named - marked


class GuardedSession(Session):
    """Is the session of the application: it refuses to read records past the gate and knows its operation."""


@event.listens_for(GuardedSession, "do_orm_execute")
def _guard(state: ORMExecuteState) -> None:
    if state.is_column_load or UNGATED in state.execution_options:
        return
    if not (state.is_select or state.is_update or state.is_delete):
        return
    found = tables_without_mark(state.statement, _known_gated())
    if found:
        raise UngatedRead(
            f"{', '.join(sorted(found))} can be read only through the gate: use gate.select(...) instead of select(...)"
        )


_gated_cache: tuple[int, frozenset[sa.Table]] = (-1, frozenset())


def _known_gated() -> frozenset[sa.Table]:
    # Mapped classes are only ever added, so their number tells whether the set is still true.
    global _gated_cache
    size = len(Base.metadata.tables)
    if _gated_cache[0] != size:
        _gated_cache = (size, gated_tables())
    return _gated_cache[1]


def make_engine(url: str, **options: Any) -> sa.Engine:
    """Return an engine whose connections work in our schema, in UTC, and never wait for a lock for ever."""
    options.setdefault("pool_pre_ping", True)
    if "poolclass" not in options:
        options.setdefault("pool_size", 10)
        options.setdefault("max_overflow", 10)
    settings = (
        f"-c search_path={SCHEMA},public -c timezone=UTC -c lock_timeout=10s -c jit=off "
        # A page never gains what starting parallel workers costs.
        "-c max_parallel_workers_per_gather=0"
    )
    # LIKE and lists of departments are planned by their values, or the plan is that of an average that never comes;
    # so a statement is prepared only where it says so.
    connecting = {"options": settings, "application_name": "crm", "prepare_threshold": _NEVER}
    engine = sa.create_engine(url, json_serializer=to_json, connect_args=connecting, **options)
    sa.event.listen(engine, "do_execute", _execute_fixed)
    return engine


class Fixed:
    """A statement that pages ask again and again with other values only: `fixed("SELECT ... WHERE id = :id")`.

    It is planned once for each connection and goes past SQLAlchemy's compiler; gated tables are not for it.
    """

    def __init__(self, text: str) -> None:
        self.sql = re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", text.replace("%", "%%"))

    def ask(self, session: Session, **values: Any) -> sa.CursorResult[Any]:
        """Return the rows for these values."""
        return session.connection().exec_driver_sql(self.sql, values, execution_options={_FIXED: True})


def _execute_fixed(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    if not context.execution_options.get(_FIXED):
        return False
    cursor.execute(statement, parameters, prepare=True)
    return True


def to_json(value: Any) -> str:
    """Write JSON as the database keeps it: text as it is, dates in ISO form, decimals as strings."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def session_factory(engine: sa.Engine) -> sessionmaker[GuardedSession]:
    """Return the factory of sessions on the engine."""
    return sessionmaker(bind=engine, class_=GuardedSession, expire_on_commit=False)


def make_session(factory: sessionmaker[GuardedSession], tm: ITransactionManager) -> GuardedSession:
    """Return a session that commits and aborts with the transaction manager."""
    session = factory()
    # Without "changed", statements of Core alone would be rolled back silently at commit.
    zope.sqlalchemy.register(session, transaction_manager=tm, initial_state="changed")
    return session


def changed(session: Session, statement: sa.Update | sa.Delete) -> int:
    """Run a set-wise UPDATE or DELETE past the session's objects and return how many rows it changed."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]


def includeme(config: Configurator) -> None:
    """Give requests `db`: one session a request, joined to `request.tm`."""
    settings = config.get_settings()
    engine = settings.get("crm.engine") or make_engine(settings["sqlalchemy.url"])
    factory = session_factory(engine)
    config.registry["crm.engine"] = engine
    config.registry["crm.session_factory"] = factory

    def db(request: Any) -> Session:
        # Tests put their own session, bound to one rolled-back transaction, into the environ.
        return request.environ.get("app.dbsession") or make_session(factory, request.tm)

    config.add_request_method(db, reify=True)


# -- what migrations call ------------------------------------------------------------------------------------------

#: Columns that no logged table writes into the change log: derived or telling nothing about the record.
NEVER_LOGGED = ("version", "updated_at", "updated_by")


def record_columns() -> list[sa.Column[Any]]:
    """Return the columns of `RecordMixin` for `op.create_table` of a migration."""
    return [
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("owner_id", sa.BigInteger(), sa.ForeignKey("core_user.id", ondelete="RESTRICT")),
        sa.Column("team_id", sa.BigInteger(), sa.ForeignKey("core_team.id", ondelete="RESTRICT")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), sa.ForeignKey("core_user.id", ondelete="RESTRICT")),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
        sa.Column("updated_by", sa.BigInteger()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("deleted_op", sa.BigInteger()),
        sa.Column("tags", pg.ARRAY(sa.BigInteger()), nullable=False, server_default="{}"),
        sa.Column("extra", pg.JSONB(), nullable=False, server_default="{}"),
        sa.Column("version", sa.BigInteger(), nullable=False),
    ]


def log_table(
    op: Any, table: str, entity: str, *, parent: str = "", secret: Iterable[str] = (), versioned: bool = True
) -> None:
    """Make the triggers that write every change of the table into the change log.

    `parent` is `column=entity` for a hard link, or the prefix of a `RecordRef` (`subject` for `subject_entity` and
    `subject_id`); changes then show in the history of that record too. `secret` columns are never written.
    `versioned` tables have `version`, `updated_at` and `updated_by`, kept by the trigger.
    """
    for statement in log_statements(table, entity, parent=parent, secret=secret, versioned=versioned):
        op.execute(statement)


def log_statements(
    table: str, entity: str, *, parent: str = "", secret: Iterable[str] = (), versioned: bool = True
) -> Iterator[str]:
    """Return the SQL of `log_table`, one statement each."""
    hidden = ",".join([*NEVER_LOGGED, *secret])
    arguments = f"'{entity}', '{parent}', '{hidden}'"
    if versioned:
        yield (
            f"CREATE TRIGGER core_stamp BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION core_stamp()"
        )
    for verb, tables in (
        ("insert", "NEW TABLE AS new_rows"),
        ("update", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
        ("delete", "OLD TABLE AS old_rows"),
    ):
        yield (
            f"CREATE TRIGGER core_log_{verb} AFTER {verb.upper()} ON {table} REFERENCING {tables} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION core_log_{verb}({arguments})"
        )


def add_reference(
    op: Any,
    plugin: str,
    table: str,
    column: str,
    *,
    entity: str | None = None,
    kind: str = "hard",
    on_delete: str = "restrict",
    personal: bool = False,
) -> None:
    """Write down that a column points at records, so that delete, merge, erasure and undo act on it set-wise.

    `kind` is `hard` (a foreign key), `soft` (the prefix of a `RecordRef`; `entity` is then None) or `user`.
    The row stays while the table does, also when its plugin is switched off.
    """
    op.get_bind().execute(
        sa.text(
            "INSERT INTO core_reference (plugin, table_name, column_name, kind, entity, on_delete, personal) "
            "VALUES (:plugin, :table, :column, :kind, :entity, :on_delete, :personal) "
            "ON CONFLICT (table_name, column_name) DO UPDATE SET plugin = excluded.plugin, kind = excluded.kind, "
            "entity = excluded.entity, on_delete = excluded.on_delete, personal = excluded.personal"
        ),
        {
            "plugin": plugin,
            "table": table,
            "column": column,
            "kind": kind,
            "entity": entity,
            "on_delete": on_delete,
            "personal": personal,
        },
    )
