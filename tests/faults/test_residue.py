# SPDX-License-Identifier: MIT
"""Tokens and secrets in the daemon's memory: only where they belong, and not for longer."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import memscan
from harness import RpcError

pytestmark = [pytest.mark.dev_platform, pytest.mark.usefixtures("as_root")]

OLD, NEW = "canary-of-the-old-days-0123456789", "canary-of-the-new-days-9876543210"
URL = "http://localhost:9/a2a"


@pytest.fixture(params=[False, True], ids=["http", "https"])
def home(request, platform, start_platform):
    return start_platform(tls=True) if request.param else platform


@pytest.fixture
def scout(home, daemon):
    scout = home.create("scout")
    home.set_secret(scout, "KEY", OLD)
    daemon.platforms.add(home)
    daemon.configure(daemon={"log_level": "debug"},
                     defaults={"ca_file": home.ca_file} if home.ca_file else {})
    daemon.start()
    return scout


def join(home, daemon, scout):
    with daemon.connect() as client:
        client.call("workspace.join", platform_url=home.url, workspace_id=scout.id, name="scout",
                    token=scout.token)


def use(daemon):
    """As clients do that come and go, in one line, many, and a batch."""
    for _ in range(4):
        with daemon.connect() as client:
            assert client.call("secrets.refresh", workspace="scout")
            client.call("secrets.get", workspace="scout")
            client.call("secrets.get", workspace="scout", keys=["KEY"], max_age_ms=0)
            client.batch([("secrets.get", {"workspace": "scout"}), ("daemon.info", {})])
            client.call("workspace.refresh", workspace="scout")
            client.call("peers.list", workspace="scout", refresh=True)


def settle(daemon):
    """Whatever was said has been read, and connections have been closed."""
    with daemon.connect() as client:
        client.call("daemon.status")
    daemon.call("daemon.info")


def copies(daemon, *words):
    settle(daemon)
    return memscan.find(daemon.pid, *words)


def outside(found):
    return [str(copy) for copy in found if not copy.in_arena]


@pytest.mark.plain
def test_the_one_copy_is_in_memory_for_secrets(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    found = copies(daemon, scout.token, OLD)
    assert {copy.word for copy in found} == {scout.token, OLD}
    assert not outside(found)


@pytest.mark.plain
@pytest.mark.fast
def test_nothing_is_left_of_a_workspace_that_has_left(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    daemon.call("workspace.leave", workspace="scout", forget=True)
    assert [str(copy) for copy in copies(daemon, scout.token, OLD)] == []


@pytest.mark.plain
def test_nothing_is_left_of_an_old_token(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    with daemon.connect() as client:
        client.call("token.rotate", workspace="scout")
    use(daemon)
    assert [str(copy) for copy in copies(daemon, scout.token)] == []
    token = daemon.kept_token(scout)
    assert copies(daemon, token) and not outside(copies(daemon, token))


@pytest.mark.plain
def test_nothing_is_left_of_a_token_that_was_refused(home, daemon, scout):
    join(home, daemon, scout)
    wrong = "canary-of-a-token-that-was-never-minted"
    with daemon.connect() as client, pytest.raises(RpcError):
        client.call("token.set", workspace="scout", token=wrong)
    assert [str(copy) for copy in copies(daemon, wrong)] == []


@pytest.mark.plain
def test_nothing_is_left_of_a_secret_that_has_changed(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    home.set_secret(scout, "KEY", NEW)
    use(daemon)
    found = copies(daemon, OLD, NEW)
    assert {copy.word for copy in found} == {NEW}
    assert not outside(found)


@pytest.mark.plain
def test_nothing_is_left_of_a_workspace_that_was_deleted(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    home.delete(scout)
    with pytest.raises(RpcError):
        daemon.refresh("scout")
    daemon.wait_state("scout", "removed")
    assert [str(copy) for copy in copies(daemon, OLD)] == []


@pytest.mark.plain
def test_nothing_is_left_of_a_token_that_a_register_brought(home, daemon):
    scout = home.create("scout", token=False)
    daemon.platforms.add(home)
    daemon.configure(defaults={"ca_file": home.ca_file} if home.ca_file else {})
    daemon.start()
    with daemon.connect() as client:
        client.call("workspace.join", platform_url=home.url, workspace_id=scout.id, name="scout",
                    reported_url=URL)
    token = daemon.kept_token(scout)
    assert copies(daemon, token) and not outside(copies(daemon, token))
    daemon.call("workspace.leave", workspace="scout", forget=True)
    assert [str(copy) for copy in copies(daemon, token)] == []


# ---- what others can see of it ----

@pytest.mark.plain
@pytest.mark.fast
def test_leaves_no_core(home, daemon, scout):
    """Whatever the limits say that it was started with."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    daemon.stop()
    daemon.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    join(home, daemon, scout)
    assert "Max core file size        0                    0" in Path(
        f"/proc/{daemon.pid}/limits").read_text()
    ended = os.pidfd_open(daemon.pid)
    daemon.signal(signal.SIGABRT)
    info = os.waitid(os.P_PIDFD, ended, os.WEXITED | os.WNOWAIT)
    os.close(ended)
    assert info.si_code == os.CLD_KILLED, "CLD_DUMPED: there is a core"
    assert daemon.wait_exit() == -signal.SIGABRT
    assert not list(daemon.dir.glob("core*"))


@pytest.mark.fast
def test_secrets_are_locked(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    status = dict(line.split(":\t", 1) for line in
                  Path(f"/proc/{daemon.pid}/status").read_text().splitlines() if ":\t" in line)
    assert int(status["VmLck"].split()[0]) > 0
    arena = [region for region in memscan.regions(daemon.pid) if region.is_arena]
    assert arena and all("lo" in region.flags for region in arena)
    assert daemon.call("daemon.status")["warnings"] == []


# Opens the program while it may, so that its folder need not be open to the user.
BECOME = """
import os, sys
program = os.open(sys.argv[2], os.O_PATH | os.O_CLOEXEC)
user = int(sys.argv[1])
os.setgroups([])
os.setgid(user)
os.setuid(user)
os.execve(program, sys.argv[2:], os.environ)
"""
PEEP = """
import os, sys
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
for name in ("mem", "environ", "maps"):
    try:
        open(f"/proc/{sys.argv[2]}/{name}", "rb").read(1)
        print(name)
    except PermissionError:
        pass
"""


@pytest.mark.fast
def test_other_processes_of_its_user_cannot_look_in(daemon):
    user = "65534"
    for path in (daemon.dir, *daemon.dir.rglob("*")):
        os.chown(path, int(user), int(user))
    daemon.start(ready=False, before=[sys.executable, "-c", BECOME, user])
    daemon.wait_log("is ready")
    found = subprocess.run([sys.executable, "-c", PEEP, user, str(daemon.pid)], check=True,
                           capture_output=True, text=True, timeout=20).stdout
    assert found == "", f"it can be looked at by {found}"
    assert os.stat(f"/proc/{daemon.pid}/mem").st_uid == 0, "it is not root's, so it is dumpable"
