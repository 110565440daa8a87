"""The embedded PostgreSQL starts anywhere, keeps its hands off what is around it, and comes back after a crash."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from crm_core.embedded import EmbeddedPostgres
from crm_core.embedded import postgres as postgres_module


def test_it_knows_cyrillic_letters(server: EmbeddedPostgres) -> None:
    engine = sa.create_engine(server.url)

    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE EXTENSION pg_trgm")
        trigrams, lowered, zone = connection.exec_driver_sql(
            "SELECT cardinality(show_trgm('Иванов')), lower('ЁЖ'), current_setting('timezone')"
        ).one()
        connection.rollback()
    engine.dispose()

    assert (trigrams, lowered, zone) == (7, "ёж", "UTC")


def test_it_listens_on_no_port_and_its_folders_are_closed(server: EmbeddedPostgres) -> None:
    process = psutil.Process(int((server.cluster / "postmaster.pid").read_text().split()[0]))

    assert [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []
    for folder in (server.home, server.cluster, server.socket_dir):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    if os.geteuid() == 0:
        assert process.uids().real != 0


def test_permissions_around_stay_as_they_were(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    data = closed / ("long" * 25)
    data.mkdir(parents=True)
    closed.chmod(0o700)
    data.chmod(0o750)
    parents = [*data.parents, data]
    before = [(p, p.stat().st_mode, p.stat().st_uid) for p in parents]
    server = EmbeddedPostgres(data, scratch=True)

    server.start()
    try:
        assert server.running
        assert len(os.fsencode(server.socket_dir)) <= 90
        assert [(p, p.stat().st_mode, p.stat().st_uid) for p in parents] == before
        sockets, home = server.socket_dir, server.home
    finally:
        server.stop()

    assert not sockets.exists()
    assert not home.exists()
    assert not (data / "postgres").exists()


def test_who_comes_second_finds_it_running_and_does_not_stop_it(server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(server.data_dir)

    second.start()
    second.stop()

    assert server.running
    assert second.url == server.url


def test_a_database_is_copied_from_a_template(server: EmbeddedPostgres) -> None:
    template = sa.create_engine(server.create_database("template_of_test"))
    with template.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept AS SELECT 1 AS one")
    template.dispose()

    copy = sa.create_engine(server.create_database("copy_of_test", "template_of_test"))
    with copy.connect() as connection:
        assert connection.exec_driver_sql("SELECT one FROM kept").scalar_one() == 1
    copy.dispose()
    server.drop_database("copy_of_test")
    server.drop_database("template_of_test")


def test_it_comes_back_after_a_kill_with_a_number_that_is_taken_by_now(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data")
    server.start()
    try:
        assert server.process is not None
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        notes = server.cluster / "postmaster.pid"
        notes.write_text(notes.read_text().replace(str(server.process.pid), str(os.getpid()), 1))

        server.start()

        assert server.running
    finally:
        server.stop()
        server.destroy()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from crm_core.embedded import EmbeddedPostgres as E;"
        "s = E(Path(sys.argv[1])); s.start(); print(s.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())

    parent.kill()
    parent.communicate()

    until = time.monotonic() + 10
    while psutil.pid_exists(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(child)
    EmbeddedPostgres(tmp_path).destroy()


def test_a_lost_cluster_is_told_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "postgres").symlink_to(tmp_path / "gone")

    with pytest.raises(postgres_module.EmbeddedError, match="which is gone"):
        EmbeddedPostgres(tmp_path).start()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    one = EmbeddedPostgres(tmp_path_factory.mktemp("cluster"), scratch=True)
    one.start()
    yield one
    one.stop()
