# SPDX-License-Identifier: MIT
"""It is installed, enabled, started and stopped."""

import grp
import stat

import pytest

from service import (ETC, SECOND_SOCKET, SOCKET, SOCKET_UNIT, STATE, UNIT, Client, as_user,
                     is_listening, run)


def test_enable_now_is_all_it_takes(service, platform):
    service.systemctl("enable", "--now", UNIT)
    for unit in UNIT, SOCKET_UNIT:
        assert service.systemctl("is-enabled", unit).stdout.strip() == "enabled"
        assert service.systemctl("is-active", unit).stdout.strip() == "active"
    assert service.call("daemon.status")["state"] == "running"


def test_start_returns_when_it_is_ready_and_says_so(service, platform):
    service.add(platform.create())
    service.start()
    assert service.show("Type") == "notify"
    assert service.show("StatusText"), "READY=1 brings a STATUS with it"


def test_the_status_has_a_phrase_for_each_workspace(service, platform):
    for name in "laptop", "printer":
        service.add(platform.create(name), heartbeat_interval="1s", state_poll_interval="1s")
    service.start()
    states = {"laptop": "online", "printer": "paused"}
    platform.pause(platform.created[1])
    for name, state in states.items():
        service.wait_state(name, state)
    # It is sent after the turn that answers, and is read before what a reload sends.
    service.systemctl("kill", "--signal=HUP", UNIT)
    service.journal.wait(MESSAGE="reloaded; changed: []")
    assert service.show("StatusText") == "laptop online, printer paused"
    said = service.systemctl("status").stdout
    assert 'Status: "laptop online, printer paused"' in said


def test_the_sockets_are_for_root_and_the_group(service, platform):
    service.start()
    group = grp.getgrnam("molecule").gr_gid
    for path in SOCKET, SECOND_SOCKET:
        found = path.lstat()
        assert (found.st_uid, found.st_gid) == (0, group)
        assert stat.filemode(found.st_mode) == "srw-rw----"
        assert (path.parent.stat().st_uid, path.parent.stat().st_mode & 0o022) == (0, 0)


@pytest.fixture
def people():
    run("useradd", "member", "--groups", "molecule")
    run("useradd", "stranger")
    yield
    for name in "member", "stranger":
        run("userdel", name)


def test_members_of_the_group_may_call_and_nobody_else(service, platform, people):
    service.start()
    assert as_user("member", "molecule-agentctl", "status").stdout.startswith("daemon: running")
    for path in SOCKET, SECOND_SOCKET:
        refused = as_user("stranger", "molecule-agentctl", "--socket", path, "status", check=False)
        assert refused.returncode != 0 and "Permission denied" in refused.stderr
    refused = as_user("member", "molecule-agentctl", "reload", check=False)
    assert refused.returncode != 0, "a member may use what is there, and change nothing"


def test_what_it_keeps_is_its_own(service, platform):
    scout = platform.create()
    service.start()
    run("molecule-agentctl", "join", "--name", "scout", "--url", platform.url, "--workspace-id",
        scout.id, input=scout.token)
    service.wait_state("scout", "online")
    files = list(STATE.rglob("*"))
    assert len(files) > 2
    # Members of the group may pass, on their way to plugins, and look at nothing.
    assert STATE.owner() == STATE.group() == "molecule" and STATE.stat().st_mode & 0o777 == 0o710
    for path in files:
        assert path.owner() == "molecule" and not path.stat().st_mode & 0o077, path
    for path in ETC, ETC / "workspaces.d":
        assert path.owner() == "root" and not path.stat().st_mode & 0o022

    service.systemctl("restart")
    assert service.wait_state("scout", "online")["token"]["prefix"] == scout.token[:8]


def test_stop_ends_it_well_and_leaves_the_socket(service, platform):
    service.add(platform.create())
    service.start()
    service.wait_state("scout", "online")
    service.systemctl("stop")
    assert service.state == "inactive (dead)"
    assert service.show("Result") == "success"
    assert service.show("ExecMainStatus") == "0"
    assert service.show("ActiveState", SOCKET_UNIT) == "active"


def test_stopping_the_socket_ends_both(service, platform):
    service.start()
    service.systemctl("stop", SOCKET_UNIT)
    assert service.state == "inactive (dead)"
    assert not SOCKET.exists() and not SECOND_SOCKET.exists()


# ---- from cold ----

@pytest.mark.parametrize("path", [SOCKET, SECOND_SOCKET], ids=str)
def test_the_first_call_of_a_client_starts_it(service, platform, path):
    service.add(platform.create())
    service.start()
    service.systemctl("stop")
    assert service.pid == 0
    with Client(path) as client:
        assert client.call("daemon.info")["pid"] == service.pid != 0
    service.wait_state("scout", "online")


def test_nobody_has_to_start_the_service_once_the_socket_listens(service, platform):
    service.systemctl("start", SOCKET_UNIT)
    assert service.state == "inactive (dead)"
    assert run("molecule-agentctl", "status").stdout.startswith("daemon: running")
    assert service.state == "active (running)"
    assert is_listening(SECOND_SOCKET)
