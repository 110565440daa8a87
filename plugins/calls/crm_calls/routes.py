"""The addresses of this plugin's own pages; the list and the card of calls are the core's."""

from __future__ import annotations

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """Add the routes, the views and the words."""
    config.add_catalogue("crm_calls")
    config.add_route("calls.in", r"/calls/in/{gateway:\d{1,9}}")
    config.add_route("calls.present", "/calls/present")
    config.add_route("calls.dial", "/calls/dial")
    config.add_route("calls.recording", r"/calls/{id:\d{1,18}}/recording")
    config.add_route("calls.unknown", "/calls/unknown")
    config.add_route("calls.report", "/calls/report")
    config.add_route("calls.gateways", "/settings/calls/gateways")
    config.add_route("calls.gateway_new", "/settings/calls/gateways/new/{adapter:[a-z0-9_-]{1,40}}")
    config.add_route("calls.gateway", r"/settings/calls/gateways/{id:\d{1,9}}")
    config.add_route("calls.gateway_test", r"/settings/calls/gateways/{id:\d{1,9}}/test")
    config.add_route("calls.gateway_secret", r"/settings/calls/gateways/{id:\d{1,9}}/secret")
    config.add_route("calls.line_new", "/settings/calls/lines/new")
    config.add_route("calls.line", r"/settings/calls/lines/{id:\d{1,9}}")
    config.add_route("calls.line_delete", r"/settings/calls/lines/{id:\d{1,9}}/delete")
    config.add_route("calls.recordings", "/settings/calls/recordings")
    config.scan("crm_calls.views")
