# SPDX-License-Identifier: MIT
"""A daemon process in a directory of its own, and everything it is not allowed to do."""

from __future__ import annotations

import datetime
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .client import PATIENCE_S, Client, Events, RpcError
from .platform import Platform, Workspace

SANITIZERS = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|"
                        r"ThreadSanitizer|runtime error:|==\d+==ERROR")

# For a workspace that says nothing unless it is told to, once it is online.
QUIET = {"heartbeat_interval": "10min", "state_poll_interval": "1h",
         "secrets_refresh_interval": "0"}


class Failure(AssertionError):
    """What went wrong, with the daemon's log below it."""


def build_dir() -> Path:
    """The meson build directory under test."""
    path = os.environ.get("MOLECULE_BUILD_DIR", "")
    if not path:
        raise Failure("MOLECULE_BUILD_DIR must name the meson build directory to be tested")
    return Path(path).absolute()


class Daemon:
    """Write what it is to do, start it, talk to it; finish() looks at what is left.

        dir/etc/agentd.conf, dir/etc/workspaces.d/NAME.conf     configure(), add()
        dir/state, dir/agentd.sock, dir/home                    HOME is dir/home

    call(), status(), wait_state() use one connection, made when it is needed;
    connect() makes further ones. log is what it has said on stderr since the
    directory was made; messages what it has told the service manager.
    """

    def __init__(self) -> None:
        # Not pytest's: the path of a socket has at most 107 bytes.
        self.dir = Path(tempfile.mkdtemp(prefix="molecule-"))
        self.etc, self.home = self.dir / "etc", self.dir / "home"
        self.state, self.socket = self.dir / "state", self.dir / "agentd.sock"
        self.workspaces = self.etc / "workspaces.d"
        self.workspaces.mkdir(parents=True)
        self.home.mkdir()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8",
                    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:handle_abort=1",
                    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
                    "MOLECULE_UNPACK": str(build_dir() / "src" / "helper" / "molecule-unpack"),
                    "MOLECULE_SETUP": str(build_dir() / "src" / "helper" / "molecule-setup")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.process: subprocess.Popen[bytes] | None = None
        self.platforms: set[Platform] = set()
        self.canaries: set[str] = set()     # further words that must not turn up in the log
        self.messages: list[str] = []
        self._log = bytearray()
        self._grown = threading.Condition()
        self._reader: threading.Thread | None = None
        self._notify: socket.socket | None = None
        self._client: Client | None = None
        self._clients: list[Client] = []
        self.configure()

    # ---- configuration ----

    def configure(self, **sections: dict[str, Any]) -> None:
        """agentd.conf anew: configure(daemon={"log_level": "info"}, rpc={…}, defaults={…})."""
        settings: dict[str, dict[str, Any]] = {"daemon": {
            "log_level": "debug", "state_dir": self.state, "socket": self.socket,
            **sections.pop("daemon", {})}, **sections}
        self.write("agentd.conf", "".join(_section(f"[{name}]", values)
                                          for name, values in settings.items()))

    def add(self, workspace: Workspace, token: str | None = None, **settings: Any) -> None:
        """A file for a workspace. token: of the workspace if not given; "": none.

        The token goes to a token_file, unless settings say where it is. None takes a
        setting out; true is written as yes.
        """
        name = settings.pop("name", workspace.name)
        platform = workspace.platform
        self.platforms.add(platform)
        values: dict[str, Any] = {"platform_url": platform.url, "workspace_id": workspace.id,
                                  "ca_file": platform.ca_file,
                                  "org_id": platform.headers.get("X-Molecule-Org-Id"),
                                  "origin": platform.headers.get("Origin"), **settings}
        text = workspace.token if token is None else token
        if text and "token_file" not in settings and "token_credential" not in settings:
            values["token_file"] = self.put_token(name, text)
        self.write(f"workspaces.d/{name}.conf", _section("[workspace]", values))

    def put_token(self, name: str, token: str, mode: int = 0o600) -> Path:
        """The operator's token file of a workspace, dir/etc/NAME.token."""
        return self.write(f"{name}.token", token + "\n", mode)

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file below dir/etc, replaced as a whole."""
        path = self.etc / name
        fresh = path.with_name(path.name + "~")
        fresh.write_text(text)
        fresh.chmod(mode)
        fresh.rename(path)
        return path

    # ---- the process ----

    def start(self, *arguments: str, ready: bool = True, env: dict[str, str] | None = None,
              before: Sequence[str | Path] = (), **more: Any) -> None:
        """Until READY=1, unless ready is false. env comes on top of what it usually gets.

        before: a command that becomes the one behind it, as setpriv does.
        """
        assert self.process is None, "it runs already"
        program = build_dir() / "src" / "molecule-agentd"
        if not os.access(program, os.X_OK):
            raise Failure(f"there is no {program}: build it first (ninja -C {build_dir()})")
        self._open_notify()
        self.messages.clear()
        self.process = subprocess.Popen(
            [*before, program, "--config", self.etc / "agentd.conf", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**self.env, "NOTIFY_SOCKET": str(self.dir / "notify"), **(env or {})},
            cwd=self.dir, **more)
        self._reader = threading.Thread(target=self._read_log, args=(self.process.stderr,),
                                        daemon=True)
        self._reader.start()
        if ready:
            self.wait_message("READY=1")

    @property
    def pid(self) -> int:
        assert self.process, "it does not run"
        return self.process.pid

    def stop(self, status: int = 0, number: int = signal.SIGTERM) -> None:
        """Ends it and checks the exit status."""
        self.signal(number)
        assert self.wait_exit() == status, self.failure(f"it should have ended with {status}")

    def kill(self, children: bool = False) -> None:
        """kill -9. children: some of them live on, and have its log open."""
        self.signal(signal.SIGKILL)
        self.wait_exit(children=children)

    def restart(self) -> None:
        self.stop()
        self.start()

    def signal(self, number: int) -> None:
        assert self.process, "it does not run"
        self.process.send_signal(number)

    def wait_exit(self, timeout: float = PATIENCE_S, children: bool = False) -> int:
        """Until it ends by itself: the exit status."""
        assert self.process and self._reader, "it does not run"
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.failure(f"it still runs after {timeout} s") from None
        self.disconnect()
        self.process = None
        if children:
            return status
        self._reader.join(timeout)
        if self._reader.is_alive():
            raise self.failure(f"it has ended, but what it has started has its log open"
                               f" {timeout} s later")
        return status

    def _open_notify(self) -> None:
        if self._notify:
            self._notify.close()
        path = self.dir / "notify"
        path.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(path))

    def wait_message(self, text: str, timeout: float = PATIENCE_S) -> str:
        """Until it tells the service manager something that contains text; all of it is kept."""
        assert self.process and self._notify, "it does not run"
        limit = time.monotonic() + timeout
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while True:
                left = limit - time.monotonic()
                ready = select.select([self._notify, pidfd], [], [], max(left, 0))[0]
                if self._notify in ready:
                    self.messages.append(self._notify.recv(65536).decode())
                    if text in self.messages[-1]:
                        return self.messages[-1]
                elif ready:
                    status = self.wait_exit()
                    raise self.failure(f"it has ended with status {status} before {text}")
                else:
                    raise self.failure(f"no {text} within {timeout} s, but {self.messages}")
        finally:
            os.close(pidfd)

    # ---- the log ----

    def _read_log(self, pipe: Any) -> None:
        for line in pipe:
            with self._grown:
                self._log += line
                self._grown.notify_all()
        pipe.close()

    @property
    def log(self) -> str:
        with self._grown:
            return self._log.decode("utf-8", "backslashreplace")

    def wait_log(self, pattern: str, timeout: float = PATIENCE_S, since: int = 0) -> str:
        """Until a line of the log fits the regular expression; since: an earlier len(log)."""
        found: list[re.Match[str]] = []

        def has_come() -> bool:
            text = self._log.decode("utf-8", "backslashreplace")
            found.extend(re.finditer(pattern, text[since:], re.MULTILINE))
            return bool(found)

        with self._grown:
            if self._grown.wait_for(has_come, timeout):
                return found[0].group(0)
        raise self.failure(f"no line of the log fits {pattern!r}")

    def failure(self, what: str) -> Failure:
        return Failure(f"{what}\n--- the daemon's log ---\n{self.log}---")

    # ---- the socket ----

    def connect(self, timeout: float = PATIENCE_S) -> Client:
        """A connection of its own, closed at the latest when the daemon ends."""
        client = Client(self.socket, timeout)
        self._clients.append(client)
        return client

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = self.connect()
        return self._client

    def disconnect(self) -> None:
        """Closes all connections, which cancels what they have called."""
        self._client = None
        while self._clients:
            self._clients.pop().close()

    def call(self, method: str, **params: Any) -> Any:
        return self.client.call(method, **params)

    def status(self, workspace: str) -> dict[str, Any]:
        return self.call("workspace.status", workspace=workspace)

    def refresh(self, workspace: str) -> dict[str, Any]:
        """A heartbeat and a state poll now, and the status after that."""
        return self.call("workspace.refresh", workspace=workspace)

    def next_attempt_in(self, workspace: str) -> float:
        """Seconds until the platform is tried again."""
        when = datetime.datetime.fromisoformat(self.status(workspace)["next_attempt_at"])
        return (when - datetime.datetime.now(datetime.timezone.utc)).total_seconds()

    def retry(self, workspace: str) -> dict[str, Any]:
        """Like refresh(), but it may well fail: the status after that."""
        try:
            return self.refresh(workspace)
        except RpcError:
            return self.status(workspace)

    def events(self, *types: str, workspace: str = "") -> Events:
        """A subscription on a connection of its own."""
        return self.connect().subscribe(*types, workspace=workspace)

    def wait_state(self, workspace: str, *states: str,
                   timeout: float = PATIENCE_S) -> dict[str, Any]:
        """Until the workspace is in one of these states; its status."""
        with Client(self.socket, timeout) as client:
            events = client.subscribe("workspace.state", workspace=workspace)
            now = events.snapshot["workspaces"][0]["state"]
            try:
                if now not in states:
                    events.until_state(workspace, *states, timeout=timeout)
            except TimeoutError:
                raise self.failure(f"{workspace} is {now}, then {_states(events.seen)}, "
                                   f"never {' or '.join(states)}") from None
            return client.call("workspace.status", workspace=workspace)

    # ---- what it leaves on disk ----

    def token_path(self, workspace: Workspace) -> Path:
        """Where the daemon keeps the token that it was given or has got."""
        place = workspace.platform.url.split("://", 1)[1].replace("/", "_")
        return self.state / "tokens" / f"{workspace.id.lower()}@{place}"

    def kept_token(self, workspace: Workspace) -> str:
        """What is in that file; "" if it is not there."""
        path = self.token_path(workspace)
        token = path.read_text().rstrip("\n") if path.exists() else ""
        if token:
            self.canaries.add(token)
        return token

    def place(self, workspace: Workspace) -> Path:
        """Where the plugins of a workspace are."""
        host = workspace.platform.url.split("://", 1)[1].replace("/", "_").replace(":", "_")
        return self.state / "workspaces" / f"{workspace.id.lower()}@{host}" / "plugins"

    def check_state_dir(self) -> None:
        """Nobody else may look in; plugins are for whoever may pass through."""
        plugins = self.state / "workspaces"
        for path in plugins.rglob("*") if plugins.exists() else []:
            mode = path.lstat().st_mode
            assert stat.S_ISLNK(mode) or not mode & 0o022, f"{path}: {stat.S_IMODE(mode):03o}"
        for path in [self.state, *self.state.rglob("*")] if self.state.exists() else []:
            if plugins in [path, *path.parents]:
                continue
            mode = path.lstat().st_mode
            wanted = 0o700 if stat.S_ISDIR(mode) else 0o600
            assert stat.S_IMODE(mode) == wanted, f"{path} has mode {stat.S_IMODE(mode):03o}"

    # ---- the end ----

    def finish(self) -> None:
        """Stops it if it runs, and looks whether it has behaved."""
        try:
            if self.process:
                self.stop()
            if SANITIZERS.search(self.log):
                raise self.failure("a sanitizer has found something")
            self.check_state_dir()
            self._check_canaries()
        finally:
            self.discard()

    def _check_canaries(self) -> None:
        log = self.log + "\n".join(self.messages)
        words = self.canaries.union(*(platform.canaries for platform in self.platforms))
        for path in self.state.glob("tokens/*"):
            words.add(path.read_text().strip())
        for word in words:
            if word and word in log:
                raise self.failure(f"the log has a token or a secret in it: {word[:4]}...")

    def discard(self) -> None:
        """Whatever it does: away with it."""
        if self.process:
            self.kill()
        if self._notify:
            self._notify.close()
        shutil.rmtree(self.dir)


def _section(title: str, values: dict[str, Any]) -> str:
    lines = [title]
    for key, value in values.items():
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if value is not None:
            lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n\n"


def _states(events: list[dict[str, Any]]) -> str:
    return ", ".join(event["data"]["state"] for event in events) or "nothing else"
