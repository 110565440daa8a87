"""What roles may be granted over tasks."""

from __future__ import annotations

from crm_core.security.permissions import (
    ADMINISTRATOR,
    DIRECTOR,
    HEAD,
    MANAGER,
    MARKETER,
    MODERATOR,
    SPECIALIST,
    USER,
)
from crm_core.specs import SCOPES, Permission
from crm_tasks.i18n import _

VIEW = "tasks:view"
"""See tasks."""

CREATE = "tasks:create"
"""Make tasks; the scope says for whom: oneself, the department (and those below), anybody."""

EDIT = "tasks:edit"
"""Change what is to be done and by when."""

COMPLETE = "tasks:complete"
"""Do a task: begin it, tick its checklist, say how far it is, finish it, take it up again."""

ASSIGN = "tasks:assign"
"""Give a task to somebody else; whom is said by the scope of `tasks:create`."""

DELETE = "tasks:delete"
"""Move tasks to the trash and bring them back."""

EXPORT = "tasks:export"
"""Take tasks out as a file."""

IMPORT = "tasks:import"
"""Bring tasks in from a file."""

TEMPLATES = "tasks:templates"
"""Edit sets of tasks and what starts them."""

AUTHOR, OBSERVER = "author", "observer"
"""Scopes of tasks' own: whoever asked for it; whoever watches it."""

_GROUP = _("Tasks")
_WIDE = (*SCOPES, AUTHOR, OBSERVER)
_DOING = ("own", AUTHOR)

PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        name=VIEW,
        title=_("View tasks"),
        group=_GROUP,
        scopes=_WIDE,
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            HEAD: ("team", AUTHOR, OBSERVER),
            **dict.fromkeys((MANAGER, MARKETER, SPECIALIST, MODERATOR, USER), ("shared", AUTHOR, OBSERVER)),
        },
    ),
    Permission(
        name=CREATE,
        title=_("Create tasks, and for whom"),
        group=_GROUP,
        scopes=("own", "team", "all"),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            **dict.fromkeys((HEAD, MANAGER, MARKETER, SPECIALIST), "team"),
            **dict.fromkeys((MODERATOR, USER), "own"),
        },
        help=_("“Own only”: for oneself. “Own department”: for those of one's department and of departments below."),
    ),
    Permission(
        name=EDIT,
        title=_("Edit tasks"),
        group=_GROUP,
        scopes=(*SCOPES, AUTHOR),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: _DOING,
            HEAD: ("team", AUTHOR),
            **dict.fromkeys((MANAGER, MARKETER, SPECIALIST, MODERATOR), AUTHOR),
        },
    ),
    Permission(
        name=COMPLETE,
        title=_("Complete tasks"),
        group=_GROUP,
        scopes=(*SCOPES, AUTHOR),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: _DOING,
            HEAD: ("team", AUTHOR),
            **dict.fromkeys((MANAGER, MARKETER, SPECIALIST, MODERATOR), _DOING),
            USER: "own",
        },
        help=_("Begin, tick the checklist, say how far it is, finish, take up again."),
    ),
    Permission(
        name=ASSIGN,
        title=_("Give tasks to others"),
        group=_GROUP,
        scopes=("own", "team", "all", AUTHOR),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: _DOING,
            HEAD: ("team", AUTHOR),
            **dict.fromkeys((MANAGER, MARKETER, SPECIALIST), _DOING),
        },
        help=_("To whom, says “Create tasks, and for whom”. Whoever gives away what he was given goes on watching it."),
    ),
    Permission(
        name=DELETE,
        title=_("Move tasks to the trash and bring them back"),
        group=_GROUP,
        scopes=(*SCOPES, AUTHOR),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: _DOING,
            HEAD: ("team", AUTHOR),
            **dict.fromkeys((MANAGER, MARKETER, SPECIALIST, MODERATOR), AUTHOR),
        },
    ),
    Permission(name=EXPORT, title=_("Export tasks"), group=_GROUP, scopes=("own", "team", "all")),
    Permission(name=IMPORT, title=_("Import tasks"), group=_GROUP, scopes=("own", "team", "all")),
    Permission(
        name=TEMPLATES,
        title=_("Edit sets of tasks"),
        group=_GROUP,
        default={ADMINISTRATOR: "all", DIRECTOR: "all", SPECIALIST: "all"},
    ),
)
