# SPDX-License-Identifier: MIT
"""A user's own daemon, under the user's own manager."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from service import SOCKET_UNIT, UNIT, Client, as_user, run

USER = "tester"


class UserService:
    """The same units, in another manager."""

    def __init__(self):
        run("useradd", "--create-home", USER)
        self.entry = pwd.getpwnam(USER)
        self.home, self.runtime = Path(self.entry.pw_dir), Path(f"/run/user/{self.entry.pw_uid}")
        self.socket = self.runtime / "molecule.sock"
        self.manager = f"user@{self.entry.pw_uid}.service"
        run("systemctl", "start", self.manager)

    def run(self, *command, **more):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home),
               "XDG_RUNTIME_DIR": str(self.runtime)}
        return as_user(USER, *command, env=env, **more)

    def systemctl(self, *arguments, **more):
        return self.run("systemctl", "--user", "--no-pager", *arguments, **more)

    def show(self, name, unit=UNIT):
        return self.systemctl("show", "--value", f"--property={name}", unit).stdout.strip()

    def write(self, name, text):
        path = self.home / ".config" / "molecule" / name
        for folder in path.parent.parent, path.parent:
            self.run("mkdir", "-p", folder)
        self.run("tee", path, input=text)
        path.chmod(0o600)
        return path

    def discard(self):
        run("systemctl", "stop", self.manager)
        run("userdel", "--remove", USER)


@pytest.fixture
def mine(platform):
    service = UserService()
    yield service
    service.discard()


def wait_online(mine, name):
    with Client(mine.socket) as client:
        events = client.subscribe("workspace.state", workspace=name)
        if events.snapshot["workspaces"][0]["state"] != "online":
            events.until_state(name, "online")
        return client.call("workspace.status", workspace=name)


def test_enable_now_is_all_it_takes_here_too(mine):
    mine.systemctl("enable", "--now", UNIT)
    for unit in UNIT, SOCKET_UNIT:
        assert mine.systemctl("is-enabled", unit).stdout.strip() == "enabled"
        assert mine.systemctl("is-active", unit).stdout.strip() == "active"
    assert Path(f"/proc/{mine.show('MainPID')}").owner() == USER
    assert "join one" in mine.show("StatusText")
    assert mine.run("molecule-agentctl", "status", "--user").stdout.startswith("daemon: running")


def test_its_files_and_socket_are_the_users(mine, platform):
    scout = platform.create()
    token = mine.write("scout.token", scout.token)
    mine.write("workspaces.d/scout.conf", f"[workspace]\nplatform_url = {platform.url}\n"
               f"workspace_id = {scout.id}\ntoken_file = {token}\n")
    mine.systemctl("start", UNIT)
    assert wait_online(mine, "scout")["id"] == scout.id
    found = mine.socket.stat()
    assert (found.st_uid, stat.filemode(found.st_mode)) == (mine.entry.pw_uid, "srw-------")
    state = mine.home / ".local" / "state" / "molecule"
    assert state.owner() == USER and stat.filemode(state.stat().st_mode) == "drwx------"


def test_the_first_call_starts_it_and_a_restart_keeps_its_socket(mine):
    mine.systemctl("start", SOCKET_UNIT)
    assert mine.show("MainPID") == "0"
    assert mine.run("molecule-agentctl", "status", "--user").stdout.startswith("daemon: running")
    pid, inode = mine.show("MainPID"), mine.socket.stat().st_ino
    mine.systemctl("restart", UNIT)
    assert mine.show("MainPID") not in ("0", pid)
    assert mine.socket.stat().st_ino == inode


def test_it_is_reloaded_and_refuses_what_is_wrong(mine, platform):
    scout = platform.create()
    mine.systemctl("start", UNIT)
    pid = mine.show("MainPID")
    mine.write("workspaces.d/scout.conf", f"[workspace]\nplatform_url = {platform.url}\n"
               f"workspace_id = {scout.id}\n")
    mine.systemctl("reload", UNIT)
    with Client(mine.socket) as client:
        assert len(client.call("workspace.list")["workspaces"]) == 1
    mine.write("workspaces.d/scout.conf", "banana\n")
    assert mine.systemctl("reload", UNIT, check=False).returncode != 0
    assert (mine.show("ActiveState"), mine.show("MainPID")) == ("active", pid)
