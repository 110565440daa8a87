"""Settings: people, departments, roles, the company, mail, plugins, the log of operations, the state of the system."""

from __future__ import annotations

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """Add the routes and views of these pages."""
    config.add_route("settings.index", "/settings")
    config.add_route("settings.users", "/settings/users")
    config.add_route("settings.invite", "/settings/users/invite")
    config.add_route("settings.withdraw", "/settings/users/invitations/{id:[0-9]+}/withdraw")
    config.add_route("settings.user", "/settings/users/{id:[0-9]+}")
    config.add_route(
        "settings.user_do", "/settings/users/{id:[0-9]+}/{verb:approve|reject|disable|enable|end-sessions}"
    )
    config.add_route("settings.user_roles", "/settings/users/{id:[0-9]+}/roles")
    config.add_route("settings.user_delete", "/settings/users/{id:[0-9]+}/delete")
    config.add_route("settings.colleagues", "/colleagues")
    config.add_route("settings.departments", "/settings/departments")
    config.add_route("settings.department", "/settings/departments/{id:[0-9]+}")
    config.add_route("settings.department_delete", "/settings/departments/{id:[0-9]+}/delete")
    config.add_route("settings.roles", "/settings/roles")
    config.add_route("settings.role", "/settings/roles/{id:[0-9]+}")
    config.add_route("settings.role_delete", "/settings/roles/{id:[0-9]+}/delete")
    config.add_route("settings.company", "/settings/company")
    config.add_route("settings.logo", "/settings/company/logo")
    config.add_route("settings.legal", "/settings/legal")
    config.add_route("settings.legal_edit", "/settings/legal/{number:[0-9]+}")
    config.add_route("settings.calendar", "/settings/calendar")
    config.add_route("settings.accounts", "/settings/accounts")
    config.add_route("settings.mail", "/settings/mail")
    config.add_route("settings.mail_test", "/settings/mail/test")
    config.add_route("settings.mailbox", "/settings/mailbox")
    config.add_route("settings.letter", "/settings/mailbox/{id:[0-9]+}")
    config.add_route("settings.plugins", "/settings/plugins")
    config.add_route("settings.plugin_toggle", "/settings/plugins/{name}")
    config.add_route("settings.log", "/settings/log")
    config.add_route("settings.operation", "/settings/log/{id:[0-9]+}")
    config.add_route("settings.system", "/settings/system")
    # Pages that plugins declare without writing one; last, so that it takes only what nobody else has.
    config.add_route("settings.page", "/settings/{page:[a-z][a-z0-9_.-]*}")
    for room in ("index", "users", "departments", "roles", "company", "mail", "plugins", "log", "system"):
        config.scan(f"crm_core.views.admin.{room}")
