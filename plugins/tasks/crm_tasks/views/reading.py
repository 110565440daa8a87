"""How tasks stand on this plugin's own pages: a line with what may be done with it at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.renderers import render
from pyramid.request import Request

from crm_core import clock
from crm_core.records.gate import user_names
from crm_core.views.shapes import Action, Badge, PersonView
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Task
from crm_tasks.schemas import (
    CANCELLED,
    CLOSED_STATES,
    ICONS,
    KINDS,
    NORMAL,
    PRIORITIES,
    PRIORITY_TONES,
    STATE_TONES,
    STATES,
)
from crm_tasks.services import acting, dependencies
from crm_tasks.services.acting import RecordAction


@dataclass(frozen=True, kw_only=True)
class TaskLine:
    """A task as a line of a page."""

    id: int
    title: str
    href: str
    icon: str
    kind: str
    state: str
    state_badge: Badge | None = None
    due: str = ""
    due_exact: str = ""
    tone: str = ""
    """`danger` when it is overdue, `warning` when it is due within the hour."""
    priority: Badge | None = None
    subject: str = ""
    subject_href: str = ""
    owner: PersonView | None = None
    progress: int = 0
    repeats: bool = False
    blocked: str = ""
    """By what, in words."""
    closed: bool = False
    result: str = ""
    check: Action | None = None
    """What the tick does: finish it, or take it up again."""
    actions: Sequence[Action] = ()
    moves: Sequence[Action] = ()
    """To which states it may be brought."""


class LineReader:
    """Makes lines of tasks with a fixed number of statements, however many they are."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.say = request.translate

    def lines(
        self, tasks: Sequence[Task], *, owners: bool = True, subjects: bool = True, acts: bool = True
    ) -> list[TaskLine]:
        """Return the lines of tasks that came through the gate."""
        ids = [task.id for task in tasks]
        gate = self.request.gate
        labels = self._subjects(tasks) if subjects else {}
        names = user_names(gate.session, {task.owner_id for task in tasks}) if owners else {}
        rights = acting.rights(gate, ids) if acts else {}
        blocked = dependencies.blockers(gate, [task.id for task in tasks if task.completed_at is None])
        titles = gate.labels(TASKS, [one for some in blocked.values() for one in some]) if blocked else {}
        return [self._line(task, labels, names, rights.get(task.id), self._by(blocked, titles, task)) for task in tasks]

    def _by(self, blocked: Mapping[int, Sequence[int]], titles: Mapping[int, str], task: Task) -> str:
        waiting = blocked.get(task.id)
        if not waiting:
            return ""
        names = [titles[number] for number in waiting if number in titles]
        if not names:
            return self.say(_("Waits for another task"))
        return self.say(_("Waits for: ${names}", mapping={"names": ", ".join(names)}))

    def _subjects(self, tasks: Iterable[Task]) -> dict[tuple[str, int], tuple[str, str]]:
        gate = self.request.gate
        wanted: dict[str, set[int]] = {}
        for task in tasks:
            if task.subject_entity and task.subject_id:
                wanted.setdefault(task.subject_entity, set()).add(task.subject_id)
        found = {}
        for name, ids in wanted.items():
            entity = gate.plugins.entities.get(name)
            if entity is None:
                continue
            for number, label in gate.labels(entity, ids).items():
                found[(name, number)] = (label, f"{entity.url}/{number}")
        return found

    def html(self, lines: Sequence[TaskLine], **options: Any) -> str:
        """Return the lines as a list, drawn by one template wherever they stand."""
        shown = {"lines": lines, "owners": False, "subjects": True, "acting": True, **options}
        return str(render("crm_tasks:templates/lines.pt", shown, request=self.request))

    def _line(
        self, task: Task, labels: Mapping[Any, tuple[str, str]], names: Mapping[int, str], right: Any, blocked: str
    ) -> TaskLine:
        subject, href = labels.get((task.subject_entity, task.subject_id), ("", ""))
        due, exact = self.due(task)
        closed = task.state in CLOSED_STATES
        actions = [self.action(one, task.id) for one in acting.of(right) if one.in_row] if right is not None else []
        check = next((one for one in actions if one.id in (acting.DONE.id, acting.REOPEN.id)), None)
        name = names.get(task.owner_id) if task.owner_id else None
        owner = PersonView.of(name, task.owner_id) if name else None
        return TaskLine(
            id=task.id,
            title=task.title,
            href=f"{TASKS.url}/{task.id}",
            icon=ICONS.get(task.kind, "checkbox"),
            kind=self.say(dict(KINDS).get(task.kind, task.kind)),
            state=task.state,
            state_badge=self.state(task),
            due=due,
            due_exact=exact,
            tone=self.tone(task),
            priority=self.priority(task),
            subject=subject,
            subject_href=href,
            owner=owner,
            progress=task.progress,
            repeats=task.series_id is not None,
            blocked=blocked,
            closed=closed,
            result=task.result or "",
            check=check,
            actions=[one for one in actions if one is not check],
            moves=self._moves(task) if right is not None and right.complete else (),
        )

    def action(self, one: RecordAction, number: int) -> Action:
        """Return a thing that may be done as a button."""
        return Action(
            id=one.id,
            title=self.say(one.title),
            icon=one.icon,
            href=one.href.replace("{id}", str(number)),
            method=one.method,
            open="dialog" if one.method == "get" else "page",
            key=one.key,
            part=True,
        )

    def _moves(self, task: Task) -> list[Action]:
        return [
            Action(
                title=self.say(title), href=f"{TASKS.url}/{task.id}/state", method="post", part=True,
                values={"state": state},
            )
            for state, title in STATES
            if state not in (task.state, CANCELLED)
        ]  # fmt: skip

    def state(self, task: Task) -> Badge | None:
        """Return the state as a badge; what is simply to be done has none."""
        if task.state == "open":
            return None
        return Badge(text=self.say(dict(STATES)[task.state]), tone=STATE_TONES.get(task.state, ""))

    def priority(self, task: Task) -> Badge | None:
        """Return the priority as a badge where it is not the ordinary one."""
        if task.priority == NORMAL or task.priority not in dict(PRIORITIES):
            return None
        return Badge(text=self.say(dict(PRIORITIES)[task.priority]), tone=PRIORITY_TONES[task.priority])

    def tone(self, task: Task) -> str:
        """Return how urgent the due looks."""
        if task.due_at is None or task.completed_at is not None:
            return ""
        left = task.due_at - clock.now()
        if left < dt.timedelta():
            return "danger"
        return "warning" if left < dt.timedelta(hours=1) else ""

    def due(self, task: Task) -> tuple[str, str]:
        """Return the due as a line says it, and exactly."""
        if task.due_at is None:
            return "", ""
        formats = self.request.formats
        if task.all_day and task.due_day is not None:
            return self.day(task.due_day), formats.date(task.due_day)
        local = task.due_at.astimezone(formats.tz)
        if local.date() == clock.today(formats.tz):
            return formats.time(task.due_at), formats.datetime(task.due_at)
        return f"{self.day(local.date())}, {formats.time(task.due_at)}", formats.datetime(task.due_at)

    def day(self, day: dt.date) -> str:
        """Return a day in a word where there is one."""
        ahead = (day - clock.today(self.request.formats.tz)).days
        near = {0: _("today"), 1: _("tomorrow"), -1: _("yesterday")}
        return self.say(near[ahead]) if ahead in near else self.request.formats.date(day, short=True)
