"""What the fixtures promise: nothing stays, requests really commit and really roll back, statements are counted."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from pyramid.config import Configurator
from webtest import TestApp

from crm_core import clock as time
from crm_core.models import Notification, User

NAMES = sa.select(User.name).order_by(User.id)


@pytest.mark.parametrize("_time", [1, 2])
def test_nothing_stays_of_what_a_test_commits(db, factories, _time):
    assert db.scalars(NAMES).all() == []
    factories.user(name="Anna")
    db.commit()

    assert db.scalars(NAMES).all() == ["Anna"]


def test_a_savepoint_inside_a_test_rolls_back_alone(db, factories):
    factories.user(name="Anna")
    with db.begin_nested() as savepoint:
        factories.user(name="Boris")
        savepoint.rollback()

    assert db.scalars(NAMES).all() == ["Anna"]


@pytest.fixture
def small_app(world, db, plugins):
    """Two views on the sessions of the test, with the application's own transaction machinery."""
    from crm_core.db import make_session

    def write(request):
        session = make_session(world.factory, request.tm)
        session.add(User(name=request.params["name"]))
        session.flush()
        if request.params.get("fail"):
            raise RuntimeError("no")
        return request.response

    with Configurator(settings={"tm.manager_hook": "pyramid_tm.explicit_manager"}) as config:
        config.include("pyramid_tm")
        config.add_route("write", "/write")
        config.add_view(write, route_name="write")
    return TestApp(config.make_wsgi_app())


def test_a_request_commits_into_the_test(db, small_app):
    small_app.post("/write", {"name": "Anna"})

    assert db.scalars(NAMES).all() == ["Anna"]


def test_an_error_in_a_view_undoes_what_it_did_and_nothing_else(db, small_app, factories):
    factories.user(name="Anna")
    db.commit()

    with pytest.raises(RuntimeError):
        small_app.post("/write", {"name": "Boris", "fail": "1"})

    assert db.scalars(NAMES).all() == ["Anna"]


def test_statements_are_counted_without_savepoints(db, query_counter):
    with query_counter() as queries:
        db.scalars(NAMES).all()
        with db.begin_nested():
            db.scalars(NAMES).all()

    assert queries.count == 2


def test_the_clock_stands_and_moves(clock):
    before = time.now()
    assert time.now() == before

    clock.tick(minutes=5)
    assert time.now() == before + dt.timedelta(minutes=5)


def test_the_whole_application_answers_and_signs_in(testapp, login_as, db):
    assert testapp.get("/", status="*").status_int < 500

    user = login_as("administrator")

    assert testapp.get("/", status="*").status_int < 500
    assert db.get(User, user.id) is not None


def test_a_committed_database_is_ones_own(committed_db, db):
    with committed_db.session() as session:
        session.add(User(name="Anna"))
    with committed_db.session() as session:
        assert session.scalars(NAMES).all() == ["Anna"]

    assert db.scalars(NAMES).all() == []
    assert db.scalars(sa.select(Notification.id)).all() == []


def test_app_request_works_in_the_session_of_the_test(app_request, db):
    assert app_request.db is db
    assert app_request.registry["crm.plugins"]
