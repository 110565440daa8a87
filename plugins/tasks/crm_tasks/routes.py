"""The addresses of this plugin's own pages; lists, cards and forms of its entity are the core's."""

from __future__ import annotations

from pyramid.config import Configurator

_ID = r"/tasks/{id:\d{1,18}}"
_SETS = "/settings/tasks/sets"
_SET = _SETS + r"/{id:\d{1,18}}"


def includeme(config: Configurator) -> None:
    """Add the routes, the views and the words."""
    config.add_catalogue("crm_tasks")
    for name, pattern in (
        ("day", "/tasks/day"),
        ("board", "/tasks/board"),
        ("board_more", "/tasks/board/{state:[a-z_]+}"),
        ("new", "/tasks/new"),
        ("new_kind", "/tasks/new/{kind:[a-z]+}"),
        ("quick", "/tasks/quick"),
        ("people", "/tasks/people"),
        ("apply", "/tasks/apply"),
        ("complete", _ID + "/complete"),
        ("reopen", _ID + "/reopen"),
        ("start", _ID + "/start"),
        ("wait", _ID + "/wait"),
        ("cancel", _ID + "/cancel"),
        ("state", _ID + "/state"),
        ("progress", _ID + "/progress"),
        ("postpone", _ID + "/postpone"),
        ("postpone_to", _ID + "/postpone/{to:tomorrow|working_day|week}"),
        ("reassign", _ID + "/reassign"),
        ("checklist", _ID + "/checklist"),
        ("checklist_tick", _ID + r"/checklist/{item:\d{1,18}}"),
        ("checklist_remove", _ID + r"/checklist/{item:\d{1,18}}/remove"),
        ("needs", _ID + "/needs"),
        ("needs_remove", _ID + r"/needs/{other:\d{1,18}}/remove"),
        ("observers", _ID + "/observers"),
        ("reminders", _ID + "/reminders"),
        ("repeat", _ID + "/repeat"),
        ("repeat_stop", _ID + "/repeat/stop"),
        ("repeat_skip", _ID + "/repeat/skip"),
        ("guests", _ID + "/guests"),
        ("guest_remove", _ID + r"/guests/{guest:\d{1,18}}/remove"),
        ("schedule", "/tasks/schedule"),
        ("schedule.events", "/tasks/schedule/events"),
        ("schedule.move", r"/tasks/schedule/{id:\d{1,18}}/move"),
        ("schedule.look", "/tasks/schedule/look"),
        ("schedule.new", "/tasks/schedule/new"),
        ("schedule.free", "/tasks/schedule/free"),
        ("schedule.days_off", "/tasks/schedule/days-off"),
        ("schedule.day_off_remove", r"/tasks/schedule/days-off/{number:\d{1,18}}/remove"),
        ("feed_settings", "/tasks/schedule/feed"),
        ("feed", "/tasks/feed/{secret:[A-Za-z0-9_-]{20,80}}.ics"),
        ("invitation", "/tasks/invitation/{secret:[A-Za-z0-9_-]{20,80}}"),
        ("sets", _SETS),
        ("set_new", _SETS + "/new"),
        ("set", _SET),
        ("set_remove", _SET + "/remove"),
        ("line_new", _SET + "/lines/new"),
        ("line", _SET + r"/lines/{line:\d{1,18}}"),
        ("line_remove", _SET + r"/lines/{line:\d{1,18}}/remove"),
    ):
        config.add_route(f"tasks.{name}", pattern)
    config.scan("crm_tasks.views")
