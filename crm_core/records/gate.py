"""The gate: the one way by which records are read, and the answer to why.

A permission is held in scopes; each scope is a *branch*: one SQL criterion and one sentence. Lists are the union of one
short query per branch (an OR over shares is 40 to 1,000 times dearer), a single record is asked for by the same
branches, and "why may she see this" is the list of the branches that hold. There is no second evaluator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from crm_core.db import UNGATED, mark_gated
from crm_core.i18n import _
from crm_core.models.accounts import ACTIVE, Principal, Role, RoleGrant, Team, User
from crm_core.models.records import Grant
from crm_core.plugins import Plugins
from crm_core.security.subject import Subject, load_subjects
from crm_core.specs import Entity, NamedScope

#: The scope of subordinate records: who sees the parent sees them.
WITH_PARENT = "parent"

#: Nothing. SQLAlchemy's own `false()` would swallow the criteria beside it, and the gate's mark with them.
NEVER: ColumnElement[bool] = sa.literal_column("false", sa.Boolean())

#: People asked about in one statement: each is a few columns, and PostgreSQL takes 1,600.
WHO_AT_ONCE = 250

#: Everything, as a column that several verbs can be asked of in one statement.
ALWAYS: ColumnElement[bool] = sa.literal_column("true", sa.Boolean())

#: From so many shares on, walking the order of a list past other rows is cheaper than fetching and sorting them all.
MANY_SHARES = 1000

#: Which verbs a share reaches, by its level.
SHARED_VERBS = {"view": ("view", "edit"), "edit": ("edit",)}


@dataclass(frozen=True)
class Branch:
    """One reason for which records may be seen: its kind, its SQL and the sentence that says it."""

    kind: str
    criterion: ColumnElement[bool]
    sentence: str
    ids: sa.Select[Any] | None = None
    """A select of the ids it reaches (also of trashed ones), where that needs no look at the records themselves."""
    walk: ColumnElement[bool] | None = None
    """The same for a list without filters: makes the database walk the list's order and look each row up in a hash."""


@dataclass(frozen=True)
class Reason:
    """Why one record may be seen: a sentence (message id) with its values, and the roles that give the right."""

    kind: str
    sentence: str
    values: Mapping[str, Any]
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Viewer:
    """A person who may see a record, and why."""

    user_id: int
    name: str
    reasons: tuple[Reason, ...]


class Gate:
    """Opens records to one subject within one session."""

    def __init__(self, session: Session, subject: Subject, plugins: Plugins) -> None:
        self.session = session
        self.subject = subject
        self.plugins = plugins

    def entity(self, what: str | type | Entity) -> Entity:
        """Return an entity by itself, its name or its model."""
        if isinstance(what, Entity):
            return what
        return self.plugins.entity(what) if isinstance(what, str) else self.plugins.entity_of(what)

    def may(self, what: str | type | Entity, verb: str) -> bool:
        """Tell whether the verb is held for the entity in any scope."""
        return self.subject.may(f"{self.entity(what).permission_prefix}:{verb}")

    # -- branches --------------------------------------------------------------------------------------------------

    def branches(self, what: str | type | Entity, verb: str = "view") -> list[Branch]:
        """Return the branches of a verb, which may overlap; none when it is not held at all."""
        entity = self.entity(what)
        model: Any = entity.model
        scopes = self.subject.scopes(f"{entity.permission_prefix}:{verb}")
        if "all" in scopes:
            return [Branch("all", ALWAYS, _("may see all"))]
        found: list[Branch] = []
        wide = bool(scopes & {"own", "shared", "team"})
        if wide and self.subject.user_id is not None:
            found.append(Branch("own", model.owner_id == self.subject.user_id, _("is responsible")))
        if "team" in scopes and self.subject.team_ids:
            # One branch for all departments: the planner knows how many rows each has, and either walks the order
            # of the list past other departments' rows or sorts these few.
            teams = sorted(self.subject.team_ids)
            criterion = model.team_id == teams[0] if len(teams) == 1 else model.team_id.in_(teams)
            found.append(Branch("team", criterion, _("is of department ${team}")))
        if scopes & {"shared", "team"} and verb in SHARED_VERBS and self.subject.has_shares(entity.name):
            shares = (
                sa.select(Grant.record_id)
                .where(Grant.entity == entity.name)
                .where(Grant.principal_id.in_(sorted(self.subject.principal_ids)))
                .where(Grant.level.in_(SHARED_VERBS[verb]))
            )
            many = (self.subject.shares or {}).get(entity.name, 0) > MANY_SHARES
            # IS TRUE keeps the planner from turning the hash into a join that fetches and sorts all of them.
            walk = model.id.in_(shares).is_(sa.true()) if many else None
            found.append(Branch("shared", model.id.in_(shares), _("the record was shared"), shares, walk))
        if WITH_PARENT in scopes and entity.parent:
            found.append(Branch(WITH_PARENT, self._with_parent(entity, verb), _("may see what it belongs to")))
        named = {scope.name: scope for scope in entity.scopes}
        for name in sorted(scopes & named.keys()):
            scope: NamedScope = named[name]
            found.append(Branch(f"named:{name}", scope.criterion(model, self.subject), scope.sentence))
        return found

    def _with_parent(self, entity: Entity, verb: str) -> ColumnElement[bool]:
        model: Any = entity.model
        if "=" in entity.parent:
            column, parent = entity.parent.split("=")
            if parent not in self.plugins.entities:
                return NEVER
            return getattr(model, column).in_(self.ids(parent))
        names, numbers = getattr(model, f"{entity.parent}_entity"), getattr(model, f"{entity.parent}_id")
        parts = [
            sa.and_(names == parent.name, numbers.in_(self.ids(parent)))
            for parent in self.plugins.entities.values()
            if not parent.parent and self.may(parent, "view")
        ]
        return sa.or_(*parts) if parts else NEVER

    # -- statements ------------------------------------------------------------------------------------------------

    def alive(self, what: str | type | Entity, *, trash: bool = False) -> ColumnElement[bool]:
        """Return the criterion "not in the trash" (or in it) that carries the mark of the gate."""
        model: Any = self.entity(what).model
        column = model.deleted_at
        return mark_gated(column.is_not(None) if trash else column.is_(None), model.__table__)

    def criterion(self, what: str | type | Entity, verb: str = "view", *, trash: bool = False) -> ColumnElement[bool]:
        """Return one criterion for statements about single records; for lists of many use `records.listing`."""
        branches = self.branches(what, verb)
        alive = self.alive(what, trash=trash)
        if not branches:
            return sa.and_(alive, NEVER)
        return sa.and_(alive, sa.or_(*(branch.criterion for branch in branches)))

    def select(
        self, what: str | type | Entity, *columns: Any, verb: str = "view", trash: bool = False
    ) -> sa.Select[Any]:
        """Return a select of the records (or of columns of them) that the verb reaches."""
        entity = self.entity(what)
        model: Any = entity.model
        statement = sa.select(*columns) if columns else sa.select(model)
        branches = self.branches(entity, verb)
        alive = self.alive(entity, trash=trash)
        if len(branches) == 1:
            return statement.where(alive, branches[0].criterion)
        if not branches:
            return statement.where(alive, NEVER)
        return statement.where(alive, model.id.in_(self._union(model, branches, alive)))

    def ids(self, what: str | type | Entity, verb: str = "view", *, trash: bool = False) -> sa.Select[Any]:
        """Return a select of the ids that the verb reaches, for use inside another statement."""
        entity = self.entity(what)
        model: Any = entity.model
        branches = self.branches(entity, verb)
        alive = self.alive(entity, trash=trash)
        if not branches:
            return sa.select(model.id).where(alive, NEVER)
        if len(branches) == 1:
            return sa.select(model.id).where(alive, branches[0].criterion)
        return sa.select(sa.literal_column("id")).select_from(self._union(model, branches, alive).subquery())

    def _union(self, model: Any, branches: Sequence[Branch], alive: ColumnElement[bool]) -> sa.CompoundSelect[Any]:
        return sa.union_all(*(sa.select(model.id).where(alive, branch.criterion) for branch in branches))

    # -- single records --------------------------------------------------------------------------------------------

    def get(self, what: str | type | Entity, record_id: int, verb: str = "view", *, trash: bool | None = False) -> Any:
        """Return the record, or None where it does not exist or may not be known of; `trash=None` takes both."""
        entity = self.entity(what)
        model: Any = entity.model
        found = None
        for side in (False, True) if trash is None else (trash,):
            statement = sa.select(model).where(model.id == record_id, self.criterion(entity, verb, trash=side))
            found = self.session.scalars(statement).one_or_none()
            if found is not None:
                break
        return found

    def allows(self, verb: str, record: Any, entity: Entity | None = None) -> bool:
        """Tell whether the verb (or permission `prefix:verb`) reaches the record."""
        entity = entity or self.plugins.entity_of(type(record))
        verb = verb.rpartition(":")[2]
        if not self.may(entity, verb):
            return False
        return bool(self.visible_ids(entity, [record.id], verb, trash=record.deleted_at is not None))

    def visible_ids(
        self, what: str | type | Entity, ids: Iterable[int], verb: str = "view", *, trash: bool = False
    ) -> set[int]:
        """Return those of the ids that the verb reaches, in one statement."""
        wanted = sorted(set(ids))
        if not wanted:
            return set()
        entity = self.entity(what)
        model: Any = entity.model
        statement = sa.select(model.id).where(model.id.in_(wanted), self.criterion(entity, verb, trash=trash))
        return set(self.session.scalars(statement))

    def labels(self, what: str | type | Entity, ids: Iterable[int]) -> dict[int, str]:
        """Return the names of those records that may be seen, in one statement; the rest are left out."""
        wanted = sorted({one for one in ids if one is not None})
        if not wanted:
            return {}
        entity = self.entity(what)
        model: Any = entity.model
        statement = sa.select(model.id, getattr(model, entity.label)).where(
            model.id.in_(wanted), self.criterion(entity, "view")
        )
        return {row[0]: row[1] for row in self.session.execute(statement)}

    # -- explanations ----------------------------------------------------------------------------------------------

    def why(
        self, what: str | type | Entity, record_id: int, verb: str = "view", *, trash: bool = False
    ) -> list[Reason]:
        """Return every reason for which the verb reaches the record; empty means that it does not."""
        entity = self.entity(what)
        return self._reasons(entity, record_id, verb, [self.subject], trash=trash)[0]

    def who(self, what: str | type | Entity, record_id: int) -> list[Viewer]:
        """Return everybody with an active account who may see the record, with the reasons, by name."""
        entity = self.entity(what)
        subjects = [one for one in load_subjects(self.session) if one.status == ACTIVE and one.user_id is not None]
        found = []
        for start in range(0, len(subjects), WHO_AT_ONCE):
            some = subjects[start : start + WHO_AT_ONCE]
            for subject, reasons in zip(some, self._reasons(entity, record_id, "view", some), strict=True):
                if reasons:
                    found.append(Viewer(subject.user_id or 0, subject.name, tuple(reasons)))
        return sorted(found, key=lambda viewer: viewer.name)

    def _reasons(
        self, entity: Entity, record_id: int, verb: str, subjects: Sequence[Subject], *, trash: bool = False
    ) -> list[list[Reason]]:
        """Ask all branches of several people about one record in one statement; return the reasons of each."""
        model: Any = entity.model
        branches = [Gate(self.session, subject, self.plugins).branches(entity, verb) for subject in subjects]
        columns = [branch.criterion.label(f"b{n}") for n, branch in enumerate(one for some in branches for one in some)]
        nothing: list[list[Reason]] = [[] for _subject in subjects]
        if not columns:
            return nothing
        row = self.session.execute(
            sa.select(*columns).where(model.id == record_id, self.alive(entity, trash=trash))
        ).one_or_none()
        if row is None:
            return nothing
        held = iter(row)
        holding = [[branch for branch in some if next(held)] for some in branches]
        team = ""
        if any(branch.kind == "team" for some in holding for branch in some):
            team = self._team_name(model, record_id)
        granting = self._granting(f"{entity.permission_prefix}:{verb}")
        return [
            [
                Reason(
                    branch.kind,
                    branch.sentence,
                    {"team": team} if branch.kind == "team" else {},
                    tuple(
                        title
                        for role_id, title, scopes in granting
                        if role_id in subject.role_ids and _gives(branch.kind, scopes)
                    ),
                )
                for branch in some
            ]
            for subject, some in zip(subjects, holding, strict=True)
        ]

    def _granting(self, permission: str) -> list[tuple[int, str, set[str]]]:
        rows = self.session.execute(
            sa.select(Role.id, Role.title, RoleGrant.scope)
            .join(RoleGrant, RoleGrant.role_id == Role.id)
            .where(RoleGrant.permission == permission)
            .order_by(Role.position, Role.id)
        )
        result: dict[int, tuple[int, str, set[str]]] = {}
        for role_id, title, scope in rows:
            result.setdefault(role_id, (role_id, title, set()))[2].add(scope)
        return list(result.values())

    def _team_name(self, model: Any, record_id: int) -> str:
        statement = sa.select(Team.name).where(
            Team.id == sa.select(model.team_id).where(model.id == record_id).scalar_subquery()
        )
        options = {UNGATED: "the record was found through the gate a moment ago"}
        return self.session.scalar(statement, execution_options=options) or ""


def _gives(kind: str, scopes: set[str]) -> bool:
    if kind == "all":
        return "all" in scopes
    if kind == "own":
        return bool(scopes & {"own", "shared", "team"})
    if kind == "team":
        return "team" in scopes
    if kind == "shared":
        return bool(scopes & {"shared", "team"})
    return kind.removeprefix("named:") in scopes


def user_names(session: Session, ids: Iterable[int | None]) -> dict[int, str]:
    """Return the names of people, in one statement; names are shown to everyone who is signed in."""
    wanted = sorted({one for one in ids if one is not None})
    if not wanted:
        return {}
    return {row[0]: row[1] for row in session.execute(sa.select(User.id, User.name).where(User.id.in_(wanted)))}


def principal_id(session: Session, kind: str, ref_id: int) -> int:
    """Return the principal of a person, department or role, made if this is its first share."""
    statement = sa.select(Principal.id).where(Principal.kind == kind, Principal.ref_id == ref_id)
    found = session.scalar(statement)
    if found is None:
        principal = Principal(kind=kind, ref_id=ref_id)
        session.add(principal)
        session.flush()
        found = principal.id
    return found
