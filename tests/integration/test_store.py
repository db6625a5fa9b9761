# SPDX-License-Identifier: MIT
"""The database in the state directory: one of an earlier life, or what else is in its place."""

import os
import sqlite3
import stat

import pytest


@pytest.fixture
def database(daemon):
    """A whole one, as an earlier life leaves it."""
    daemon.state.mkdir(mode=0o700)
    path = daemon.state / "agentd.db"
    path.touch(0o600)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (word TEXT)")
        connection.execute("INSERT INTO mine VALUES ('precious')")
    connection.close()
    return path


def warning(daemon, code):
    """Until it stands; what it says."""
    daemon.wait_log("store|damaged|cannot")
    found = {row["code"]: row for row in daemon.call("daemon.status")["warnings"]}
    assert found[code]["severity"] == "critical"
    return found[code]["text"]


def is_healthy(daemon):
    codes = {row["code"] for row in daemon.call("daemon.status")["warnings"]}
    return not codes & {"store_unavailable", "store_damaged"}


def test_there_is_none_until_something_is_to_be_kept(platform, daemon):
    daemon.add(platform.create("scout"))
    daemon.start()
    daemon.wait_state("scout", "online")
    assert not list(daemon.state.glob("agentd.db*"))
    assert is_healthy(daemon)


def test_one_that_is_damaged_is_set_aside(daemon, database):
    whole = database.read_bytes()
    damaged = os.urandom(100) + whole[100:]
    database.write_bytes(damaged)
    daemon.start()
    said = warning(daemon, "store_damaged")
    [aside] = daemon.state.glob("agentd.db.corrupt-*")
    assert aside.name in said
    assert aside.read_bytes() == damaged
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    daemon.restart()
    # The new one is well.
    assert is_healthy(daemon)
    assert aside.read_bytes() == damaged


def test_one_of_a_newer_daemon_is_left_alone(daemon, database):
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 1000")
    connection.close()
    daemon.start()
    assert "a newer molecule-agentd has written it" in warning(daemon, "store_unavailable")
    daemon.stop()
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT word FROM mine").fetchall() == [("precious",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (1000,)
    connection.close()


def test_one_that_others_can_read_is_not_used(daemon, database):
    database.chmod(0o644)
    daemon.start()
    assert "open to others" in warning(daemon, "store_unavailable")
    database.chmod(0o600)


def test_a_link_is_not_followed(daemon, database):
    elsewhere = database.rename(daemon.dir / "elsewhere")
    before = elsewhere.read_bytes()
    database.symlink_to(elsewhere)
    daemon.start()
    assert "symbolic link" in warning(daemon, "store_unavailable")
    daemon.stop()
    assert elsewhere.read_bytes() == before
    database.unlink()


def test_a_single_round_leaves_it_alone(platform, daemon, database):
    before = database.read_bytes()
    daemon.add(platform.create("scout"))
    daemon.start("--once", ready=False)
    assert daemon.wait_exit() == 0
    assert database.read_bytes() == before


def test_what_it_has_to_do_is_counted(daemon):
    daemon.start()
    text = daemon.call("daemon.metrics")["text"]
    assert "\nmolecule_store_queued 0\n" in text
    assert '\nmolecule_store_commits_total{result="failed"} 0\n' in text
