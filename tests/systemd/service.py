# SPDX-License-Identifier: MIT
"""The installed service, and the journal, as whoever administers the host sees them."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from harness import Client, Closed, Platform, Workspace  # noqa: E402

UNIT, SOCKET_UNIT = "molecule-agentd.service", "molecule-agentd.socket"
SOCKET, SECOND_SOCKET = Path("/run/molecule.sock"), Path("/run/molecule/agentd.sock")
ETC, STATE = Path("/etc/molecule"), Path("/var/lib/molecule")
PATIENCE_S = 20.0   # for what must come
COMMAND_S = 60.0    # for a command to end

Entry = dict[str, Any]

# What PID 1 logs, see systemd.journal-fields(7) and sd-messages.h.
UNIT_STARTED = "39f53479d3a045ac8e11786248231fbf"
UNIT_STOPPED = "9d1aaa27d60140bd96365438aad20286"
UNIT_FAILED = "d9b373ed55a64feb8242e02dbe79a49c"


def run(*command: str | Path, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command's outcome; anything but success fails the test unless check is false."""
    done = subprocess.run(command, capture_output=True, text=True,
                          **{"timeout": COMMAND_S, **more})
    assert not check or done.returncode == 0, \
        f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


class Journal:
    """Entries as journalctl has them, from the moment on that the object was made."""

    def __init__(self) -> None:
        text = run("journalctl", "--sync").stdout + \
            run("journalctl", "-q", "-n", "1", "--show-cursor").stdout
        self.cursor = re.search(r"^-- cursor: (.+)$", text, re.MULTILINE)[1]

    def _command(self) -> list[str]:
        # Not with matches: behind a cursor, journalctl 252 leaves out the first that fits.
        return ["journalctl", "-q", "-o", "json", "--all", f"--after-cursor={self.cursor}"]

    def entries(self, **fields: str) -> list[Entry]:
        """Those so far that have these fields."""
        run("journalctl", "--sync")
        found = map(json.loads, run(*self._command()).stdout.splitlines())
        return [entry for entry in found if fields.items() <= entry.items()]

    def text(self) -> str:
        return "\n".join(str(entry.get("MESSAGE")) for entry in self.entries())

    def wait(self, that: Callable[[Entry], bool] = lambda entry: True, /, **fields: str) -> Entry:
        """The first entry with these fields that fits, whether it is there or still to come."""
        limit = time.monotonic() + PATIENCE_S
        follower = subprocess.Popen([*self._command(), "--follow", "--no-tail"],
                                    stdout=subprocess.PIPE)
        buffer = b""
        try:
            while True:
                left = max(limit - time.monotonic(), 0)
                if not select.select([follower.stdout], [], [], left)[0]:
                    raise AssertionError(f"no entry with {fields} in\n{self.text()}")
                buffer += os.read(follower.stdout.fileno(), 65536)
                *lines, buffer = buffer.split(b"\n")
                for entry in map(json.loads, lines):
                    if fields.items() <= entry.items() and that(entry):
                        return entry
        finally:
            follower.kill()
            follower.wait()
            follower.stdout.close()

    def wait_unit(self, message_id: str, unit: str = UNIT) -> Entry:
        """Until PID 1 says so of the unit."""
        return self.wait(_PID="1", UNIT=unit, MESSAGE_ID=message_id)


class Service:
    """The service, and the files that it reads.

        service.add(scout)                  # workspaces.d/scout.conf and its token
        service.drop_in("WatchdogSec=1s")   # lines of [Service]
        service.start()                     # until READY=1
    """

    def __init__(self) -> None:
        self.journal = Journal()
        self.clients: list[Client] = []

    # ---- configuration ----

    def write(self, name: str, text: str, mode: int = 0o644, owner: str = "root") -> Path:
        """A file below /etc/molecule."""
        path = ETC / name
        path.write_text(text)
        path.chmod(mode)
        shutil.chown(path, owner)
        return path

    def add(self, workspace: Workspace, **settings: Any) -> None:
        """As README.md says, unless settings do otherwise; None takes one out."""
        name = workspace.name
        values = {"platform_url": workspace.platform.url, "workspace_id": workspace.id, **settings}
        if "token_file" not in settings and "token_credential" not in settings:
            values["token_file"] = self.write(f"{name}.token", workspace.token + "\n", 0o600,
                                              "molecule")
        self.write(f"workspaces.d/{name}.conf", "[workspace]\n" + "".join(
            f"{key} = {value}\n" for key, value in values.items() if value is not None))

    def drop_in(self, *lines: str, unit: str = UNIT, section: str = "Service") -> None:
        folder = Path("/run/systemd/system") / f"{unit}.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "story.conf").write_text("\n".join([f"[{section}]", *lines, ""]))
        run("systemctl", "daemon-reload")

    # ---- what an administrator does ----

    def systemctl(self, verb: str, *arguments: str,
                  check: bool = True) -> subprocess.CompletedProcess[str]:
        return run("systemctl", "--no-pager", verb, *(arguments or [UNIT]), check=check)

    def start(self) -> None:
        self.systemctl("start")

    def show(self, name: str, unit: str = UNIT) -> str:
        return self.systemctl("show", "--value", f"--property={name}", unit).stdout.strip()

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    @property
    def state(self) -> str:
        """Such as "active (running)"."""
        return f"{self.show('ActiveState')} ({self.show('SubState')})"

    # ---- what a client does ----

    def connect(self, path: Path = SOCKET) -> Client:
        self.clients.append(Client(path))
        return self.clients[-1]

    def call(self, method: str, **params: Any) -> Any:
        with Client(SOCKET) as client:
            return client.call(method, **params)

    def wait_state(self, workspace: str, *states: str) -> dict[str, Any]:
        """Until the workspace is in one of these states; its status."""
        with Client(SOCKET) as client:
            events = client.subscribe("workspace.state", workspace=workspace)
            if events.snapshot["workspaces"][0]["state"] not in states:
                events.until_state(workspace, *states)
            return client.call("workspace.status", workspace=workspace)

    # ---- the end ----

    def discard(self) -> None:
        """As if it had just been installed: stopped, not enabled, without any file."""
        for client in self.clients:
            client.close()
        self.systemctl("stop", UNIT, SOCKET_UNIT, check=False)
        self.systemctl("disable", UNIT, check=False)
        for path in Path("/run/systemd/system").glob("molecule-agentd.*.d"):
            shutil.rmtree(path)
        run("systemctl", "daemon-reload")
        self.systemctl("reset-failed", UNIT, SOCKET_UNIT, check=False)
        for path in [*ETC.glob("workspaces.d/*.conf"), *ETC.glob("agentd.conf.d/*"),
                     *ETC.glob("*.token")]:
            path.unlink()
        for path in STATE, Path("/var/lib/private/molecule"):
            if path.is_symlink():
                path.unlink()
            shutil.rmtree(path, ignore_errors=True)


def as_user(user: str, *command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command as someone with the groups that the system knows."""
    return run("setpriv", "--reuid", user, "--regid", user, "--init-groups", *command, **more)


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


__all__ = ["Client", "Closed", "ETC", "Entry", "Journal", "PATIENCE_S", "Platform",
           "SECOND_SOCKET", "SOCKET", "SOCKET_UNIT", "STATE", "Service", "UNIT", "UNIT_FAILED",
           "UNIT_STARTED", "UNIT_STOPPED", "Workspace", "as_user", "is_listening", "run"]
