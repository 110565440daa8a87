"""Serves the application by gunicorn: the web process of ``crm serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from gunicorn.app.base import BaseApplication
from webob import Request

from crm_core.proxies import TrustedProxies
from crm_core.settings import Settings

log = structlog.get_logger(__name__)


class WebServer(BaseApplication):
    """gunicorn without its command line."""

    def __init__(self, settings: Settings, app_settings: dict[str, Any]) -> None:
        self.settings = settings
        self.app_settings = app_settings
        self.router: Any = None
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn how to run."""
        settings = self.settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        options: dict[str, Any] = {
            "bind": [f"{host}:{settings.port}"],
            "workers": settings.workers,
            # Without a proxy a thread may wait for a slow reader; behind one (etc/nginx.conf) processes carry more.
            "worker_class": "sync" if settings.threads == 1 else "gthread",
            "threads": settings.threads,
            # The application is assembled once, and a mistake in it ends this process instead of each worker.
            "preload_app": True,
            "timeout": 120,
            "graceful_timeout": 5,
            "keepalive": 15,
            "umask": 0o077,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108
            "loglevel": "warning" if settings.log_level == "info" else settings.log_level,
            "proc_name": "crm-web",
            # TrustedProxies reads these headers; gunicorn keeps its hands off.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "control_socket_disable": True,
            "post_fork": _forget_connections,
        }
        for key, value in options.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        """Assemble the application."""
        from crm_core.app import main

        self.router = main({}, **self.app_settings)
        self._warm_up()
        return TrustedProxies(self.router, self.settings.trusted_proxies)

    def _warm_up(self) -> None:
        """Answer the first page before the processes part, so that each of them need not compile its templates."""
        path = "/"
        try:
            for _redirect in range(3):
                response = Request.blank(path, base_url=self.settings.base_url).get_response(self.router)
                if response.location is None:
                    break
                path = urlsplit(response.location).path
        except Exception as error:
            log.warning("warm_up_failed", error=f"{type(error).__name__}: {error}")
        engine = self.router.registry.get("crm.engine")
        if engine is not None:
            engine.dispose()


def _forget_connections(arbiter: Any, _worker: Any) -> None:
    # A connection opened while the application was assembled belongs to the parent alone.
    router = arbiter.app.router
    engine = router.registry.get("crm.engine") if router is not None else None
    if engine is not None:
        engine.dispose(close=False)


def serve_web(settings: Settings, app_settings: dict[str, Any]) -> None:
    """Serve until told to stop."""
    os.chdir(Path(settings.data_dir))
    WebServer(settings, app_settings).run()
