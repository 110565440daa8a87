"""The pytest plugin: fixtures on a real PostgreSQL and Valkey, for the core, its plugins and third parties.

`db` is a session inside one transaction that is rolled back; requests of `testapp` commit into that transaction, as the
application really does, so an error in a view really undoes what it did. `committed_db` is a database of one's own for
what must truly commit. Set CRM_TEST_DATABASE_URL (and CRM_TEST_REDIS_URL) to use servers of one's own.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import sqlalchemy as sa
    import transaction
    from pyramid.request import Request
    from pyramid.router import Router
    from sqlalchemy.orm import Session, sessionmaker

    from crm_core.clock import FrozenClock
    from crm_core.db import GuardedSession
    from crm_core.models import User
    from crm_core.plugins import Plugins
    from crm_core.testing.doubles import JobsSeam, Outbox
    from crm_core.testing.factories import Factories
    from crm_core.testing.servers import Servers

_SERVERS = pytest.StashKey[Any]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    group = parser.getgroup("crm")
    group.addoption(
        "--crm-plugins",
        default=os.environ.get("CRM_TEST_PLUGINS"),
        help="names of the CRM plugins that are on in tests, separated by spaces; default: all that are installed",
    )
    group.addoption("--crm-plugin", default=None, help="name or package of the plugin that the conformance kit checks")


def pytest_configure(config: pytest.Config) -> None:
    """Let templates be found in packages whose asserts pytest rewrites: their loader is not one pkg_resources knows."""
    import warnings

    from _pytest.assertion.rewrite import AssertionRewritingHook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pkg_resources

    pkg_resources.register_loader_type(AssertionRewritingHook, pkg_resources.DefaultProvider)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the servers once in the controller of a parallel run and tell every process where they are."""
    servers = _started(node.config)
    node.workerinput["crm_servers"] = (servers.database_url, servers.redis_url)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    servers = config.stash.get(_SERVERS, None)
    if servers is not None:
        servers.stop()
        del config.stash[_SERVERS]


def _started(config: pytest.Config) -> Servers:
    from crm_core.testing.servers import Servers

    if _SERVERS not in config.stash:
        known = getattr(config, "workerinput", {}).get("crm_servers")
        config.stash[_SERVERS] = Servers(*known) if known else Servers.start()
    found: Servers = config.stash[_SERVERS]
    return found


# -- once a run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def crm_servers(request: pytest.FixtureRequest) -> Servers:
    """The servers of this run."""
    return _started(request.config)


@pytest.fixture(scope="session")
def crm_plugin_names(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The plugins that are on in tests; override it in a conftest to change them."""
    given = request.config.getoption("--crm-plugins")
    if given is not None:
        return tuple(given.replace(",", " ").split())
    from crm_core.settings import installed_plugins

    return tuple(installed_plugins())


@pytest.fixture(scope="session")
def plugins(crm_plugin_names: tuple[str, ...]) -> Plugins:
    """The plugin host of this run."""
    from crm_core.plugins import Plugins

    return Plugins.build(crm_plugin_names)


@pytest.fixture(scope="session")
def app_settings(
    crm_servers: Servers, plugins: Plugins, tmp_path_factory: pytest.TempPathFactory, worker_number: int
) -> dict[str, Any]:
    """Settings as the ini file would give them, of an installation in a folder of its own."""
    folder = tmp_path_factory.mktemp("crm-data")
    return make_settings(folder, crm_servers.redis_of(worker_number), " ".join(plugins.names()[1:]))


@pytest.fixture(scope="session")
def worker_number(request: pytest.FixtureRequest) -> int:
    """Which of the parallel processes this is."""
    name = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    return int(name.removeprefix("gw")) % 16


def make_settings(folder: Path, redis_url: str, plugins: str, **more: Any) -> dict[str, Any]:
    """Return settings of an installation in a folder, for `crm_core.app.main`."""
    key = folder / "secret.key"
    if not key.exists():
        key.write_text(base64.b64encode(b"test-key-of-thirty-two-bytes-ok!").decode() + "\n")
        key.chmod(0o600)
    return {
        "redis.url": redis_url,
        "crm.ini": str(folder / "crm.ini"),
        "crm.data": str(folder),
        "crm.plugins": plugins,
        "crm.theme": "default",
        "crm.demo": "false",
        "crm.locale": "en",
        "crm.currency": "RUB",
        "crm.time_zone": "Europe/Moscow",
        "crm.base_url": "http://localhost",
        "crm.secret_key_file": str(key),
        "crm.trusted_proxies": "",
        "crm.development": "false",
        "pyramid.default_locale_name": "en",
        **more,
    }


@pytest.fixture(scope="session")
def engine(crm_servers: Servers, plugins: Plugins, app_settings: dict[str, Any]) -> Iterator[sa.Engine]:
    """The engine on this process's clone of the migrated template."""
    from crm_core.db import make_engine

    name = crm_servers.clone(plugins)
    url = crm_servers.url_of(name)
    app_settings["sqlalchemy.url"] = url
    engine = make_engine(url)
    yield engine
    engine.dispose()
    crm_servers.drop(name)


@pytest.fixture(scope="session")
def app(app_settings: dict[str, Any], plugins: Plugins, engine: sa.Engine) -> Router:
    """The whole application, made once."""
    return make_app(app_settings, plugins, engine)


def make_app(settings: dict[str, Any], plugins: Plugins, engine: sa.Engine, **more: Any) -> Router:
    """Return the application on an engine; workers are not nudged, tests run jobs themselves."""
    from crm_core import jobs
    from crm_core.app import main

    router = main({}, **{**settings, "crm.engine": engine, "crm.plugin_host": plugins, **more})
    factory = router.registry["crm.session_factory"]
    factory.kw.get("info", {}).pop(jobs.NUDGER, None)
    return router


# -- once a test ---------------------------------------------------------------------------------------------------


@dataclass
class World:
    """One connection with its transaction, and the factory of every session that works inside it."""

    connection: sa.Connection
    factory: sessionmaker[GuardedSession]
    registry: Any = None


@pytest.fixture
def world(
    request: pytest.FixtureRequest, engine: sa.Engine, app_settings: dict[str, Any], plugins: Plugins
) -> Iterator[World]:
    """The outer transaction of a test: whatever is committed inside it goes away with it."""
    from crm_core import jobs
    from crm_core.db import session_factory

    connection = engine.connect()
    outer = connection.begin()
    registry = None
    needs_app = {"app", "testapp", "app_request", "login_as"} & set(request.fixturenames)
    if needs_app:
        registry = request.getfixturevalue("app").registry
        factory = registry["crm.session_factory"]
    else:
        factory = session_factory(engine)
        jobs.bind(factory, settings=app_settings, plugins=plugins, nudge=False)
    factory.configure(bind=connection, join_transaction_mode="create_savepoint")
    try:
        yield World(connection, factory, registry)
    finally:
        factory.configure(bind=engine, join_transaction_mode="conditional_savepoint")
        if outer.is_active:
            outer.rollback()
        connection.close()


@pytest.fixture
def db(world: World) -> Iterator[Session]:
    """A session of the test; nothing of it stays."""
    session = world.factory()
    yield session
    session.close()


@pytest.fixture
def tm() -> Iterator[transaction.TransactionManager]:
    """A transaction manager that never commits, for what wants one."""
    import transaction

    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    manager.doom()
    yield manager
    manager.abort()


@pytest.fixture
def testapp(app: Router, db: Session, crm_servers: Servers, app_settings: dict[str, Any]) -> Any:
    """A browser without JavaScript; each request is a transaction of its own inside the test's."""
    import redis
    from webtest import TestApp

    from crm_core.security.limits import Limits

    class Browser(TestApp):
        def do_request(self, *args: Any, **options: Any) -> Any:
            db.commit()
            try:
                return super().do_request(*args, **options)
            finally:
                db.expire_all()

    # What was counted against limits belongs to other tests.
    with redis.Redis.from_url(app_settings["redis.url"]) as store:
        store.flushdb()
    app.registry["crm.limits"] = Limits(app_settings["redis.url"])
    return Browser(app, extra_environ={"HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"})


@pytest.fixture
def app_request(app: Router, db: Session, tm: transaction.TransactionManager) -> Iterator[Request]:
    """A real request without a client, in the test's session: for services and views called directly."""
    from pyramid.scripting import prepare

    with prepare(registry=app.registry) as env:
        request = env["request"]
        request.environ["app.dbsession"] = db
        request.environ["tm.active"] = True
        request.environ["tm.manager"] = tm
        request.tm = tm
        request.host = "localhost"
        yield request


@pytest.fixture
def login_as(testapp: Any, db: Session, factories: Factories) -> Callable[..., User]:
    """Sign `testapp` in as an account, its id, or as a new account of a role."""
    from crm_core.models import User
    from crm_core.security.sessions import Device, open_session

    def login_as(who: User | int | str, **values: Any) -> User:
        if isinstance(who, str):
            user = factories.user(role=who, **values)
        elif isinstance(who, int):
            user = db.get_one(User, who)
        else:
            user = who
        secret = open_session(db, user.id, Device("127.0.0.1", "Test"))
        db.commit()
        testapp.set_cookie("crm", secret)
        return user

    return login_as


@pytest.fixture
def clock() -> Iterator[FrozenClock]:
    """The hands of the clock, stopped at the present moment: `clock.tick(minutes=5)`, `clock.move_to(...)`."""
    from crm_core.clock import frozen

    with frozen() as hands:
        yield hands


@pytest.fixture
def jobs(db: Session, world: World, app_settings: dict[str, Any], plugins: Plugins) -> JobsSeam:
    """What was enqueued, and `run_all()` to have it done."""
    from crm_core.testing.doubles import JobsSeam

    return JobsSeam(
        db, world.connection, world.factory, settings=app_settings, plugins=plugins, registry=world.registry
    )


@pytest.fixture
def outbox(db: Session) -> Outbox:
    """The letters that were written."""
    from crm_core.testing.doubles import Outbox

    return Outbox(db)


@pytest.fixture
def factories(db: Session) -> Factories:
    """Makers of records in the test's session."""
    from crm_core.testing.factories import Factories

    return Factories(db)


@dataclass
class QueryCounter:
    """The SQL statements that were sent while it listened, savepoints left out."""

    statements: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many they were."""
        return len(self.statements)

    def clear(self) -> None:
        """Begin anew."""
        self.statements.clear()


@pytest.fixture
def query_counter(engine: sa.Engine) -> Callable[[], AbstractContextManager[QueryCounter]]:
    """Count statements: `with query_counter() as queries: ...; assert queries.count <= 10`."""
    from sqlalchemy import event

    @contextmanager
    def counting(on: sa.Engine | None = None) -> Iterator[QueryCounter]:
        counter = QueryCounter()

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
                counter.statements.append(statement)

        target = on or engine
        event.listen(target, "before_cursor_execute", note)
        try:
            yield counter
        finally:
            event.remove(target, "before_cursor_execute", note)

    return counting


# -- what truly commits --------------------------------------------------------------------------------------------


@dataclass
class CommittedDatabase:
    """A database of one's own, where everything commits."""

    url: str
    name: str
    engine: sa.Engine
    factory: sessionmaker[GuardedSession]
    settings: dict[str, Any]
    plugins: Plugins
    servers: Servers

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session and commit it in the end."""
        with self.factory() as session, session.begin():
            yield session

    def runner(self, **options: Any) -> Any:
        """Return a runner of jobs in this process; `start()` it, then `run_due()`."""
        from crm_core.jobs import Runner

        return Runner(self.engine, self.factory, settings=self.settings, plugins=self.plugins, **options)

    def app(self, **settings: Any) -> Router:
        """Return the application on this database."""
        return make_app(self.settings, self.plugins, self.engine, **settings)

    def wait_until(self, condition: Callable[[Session], Any], *, seconds: float = 20, every: float = 0.05) -> Any:
        """Wait until a question to the database is answered with something true, and return the answer."""
        deadline = time.monotonic() + seconds
        while True:
            with self.session() as session:
                answer = condition(session)
            if answer:
                return answer
            assert time.monotonic() < deadline, f"nothing came within {seconds} s"
            time.sleep(every)


@pytest.fixture
def committed_db(
    crm_servers: Servers, plugins: Plugins, app_settings: dict[str, Any], worker_number: int
) -> Iterator[CommittedDatabase]:
    """A clone of the migrated template for one test."""
    with committed(crm_servers, plugins, app_settings) as database:
        yield database


@contextmanager
def committed(
    servers: Servers, plugins: Plugins, settings: dict[str, Any], *, nudge: bool = False
) -> Iterator[CommittedDatabase]:
    """Make a database for these plugins and drop it afterwards."""
    from crm_core import jobs
    from crm_core.db import make_engine, session_factory

    name = servers.clone(plugins)
    url = servers.url_of(name)
    engine = make_engine(url)
    factory = session_factory(engine)
    own = {**settings, "sqlalchemy.url": url}
    jobs.bind(factory, settings=own, plugins=plugins, nudge=nudge)
    try:
        yield CommittedDatabase(url, name, engine, factory, own, plugins, servers)
    finally:
        engine.dispose()
        servers.drop(name)
