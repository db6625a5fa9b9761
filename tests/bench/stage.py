# SPDX-License-Identifier: MIT
"""Who takes part in a measurement: servers in a directory of their own, each on its CPU."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import shipped

PATIENCE_S = 60
#: All that is compared shares CPU 0; what only has to be there is on the other one.
HERE, THERE = 0, 1

WORKSPACE_ID = "7aa1b9f4-33d3-4a10-a0a8-3a1b2f0c0001"

#: As long as such things are, and recognisably none.
SECRETS = {name: f"{name.lower()}-0123456789abcdef0123456789" for name in (
    "ANTHROPIC_API_KEY", "DATABASE_URL", "GITHUB_TOKEN", "OPENAI_API_KEY", "SLACK_BOT_TOKEN")}
ONE_SECRET = "OPENAI_API_KEY"

NGINX = """
daemon off;
user root;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/nginx.err error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location = /registry/heartbeat {{ return 200 '{{"status":"ok"}}'; }}
        location = /registry/register {{ return 200 '{{"status":"registered"}}'; }}
        location ~ ^/workspaces/([^/]+)/state$ {{
            return 200 '{{"workspace_id":"$1","status":"online","paused":false,"deleted":false}}';
        }}
        location ~ ^/workspaces/[^/]+/secrets/values$ {{ alias {dir}/secrets.json; }}
        location ~ ^/workspaces/[^/]+/plugins/([^/]+)/download$ {{
            default_type application/gzip;
            alias {dir}/$1.tar.gz;
        }}
        location ~ ^/registry/[^/]+/peers$ {{ alias {dir}/peers.json; }}
        location ~ ^/workspaces/[^/]+/delegate$ {{
            return 200 '{{"delegation_id":"$request_id","status":"completed","idempotent_hit":true}}';
        }}
        location ~ ^/workspaces/[^/]+/activity$ {{ return 200 '[]'; }}
        location = /a2a {{ return 200 '{answer}'; }}
        location / {{ return 404 '{{"error":"not here"}}'; }}
    }}
}}
"""


#: What a peer at nginx answers to any message.
PONG = json.dumps({"jsonrpc": "2.0", "id": "0", "result": {
    "kind": "message", "role": "agent", "messageId": "0", "parts": [{"kind": "text", "text": "pong"}]}})


class Missing(Exception):
    """A contender is not installed."""


def peers(count: int) -> list[dict[str, Any]]:
    """As the platform lists them: 330 bytes each."""
    return [{"id": f"00000000-0000-4000-8000-{n:012d}", "name": f"Peer number {n}",
             "role": "A colleague that answers questions", "tier": 2, "status": "online",
             "url": f"http://10.0.0.{n}:8000", "parent_id": WORKSPACE_ID, "active_tasks": n % 3,
             "agent_card": {"name": f"peer-{n}", "skills": [{"id": "answer", "name": "Answer"}]}}
            for n in range(1, count + 1)]


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        raise Missing(name)
    return found


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """For what only polling can tell, and what is not measured."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not in {PATIENCE_S} s")
        time.sleep(0.02)


def connects(family: int, address: Any) -> bool:
    with contextlib.suppress(OSError), socket.socket(family) as client:
        client.connect(address)
        return True
    return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Process:
    """What /proc knows of one."""

    def __init__(self, pid: int):
        self.pid = pid

    def cpu_s(self) -> float:
        return time.clock_gettime(self._clock())

    def _clock(self) -> int:
        """As clock_getcpuclockid(3) has it, which Python knows for threads only."""
        return (~self.pid << 3) | 2

    def _field(self, file: str, name: str) -> float:
        text = Path(f"/proc/{self.pid}/{file}").read_text()
        return sum(int(kib) for kib in re.findall(rf"^{name}:\s+(\d+) kB", text, re.M)) / 1024

    def rss_mib(self) -> float:
        return self._field("status", "VmRSS")

    def pss_mib(self) -> float:
        return self._field("smaps_rollup", "Pss")

    def private_mib(self) -> float:
        return self._field("smaps_rollup", "Private_(?:Clean|Dirty)")


class Daemon(Process):
    """Ours, with a connection to ask it things by."""

    def __init__(self, pid: int, path: Path, platform_url: str):
        super().__init__(pid)
        self.path, self.platform_url = path, platform_url
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")

    def exchange(self, method: str, **params: Any) -> bytes:
        """An answer as it comes, newline and all."""
        self.socket.sendall(request(method, **params))
        return self.lines.readline()

    def call(self, method: str, **params: Any) -> Any:
        answer = json.loads(self.exchange(method, **params))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]


def request(method: str, **params: Any) -> bytes:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, **({"params": params} if params else {})}
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Stage:
    """Everything that was started ends with it."""

    def __init__(self, build: Path):
        self.build = build
        self.more_peers: tuple[str, ...] = ()    # where further peers are; the first is nginx
        self.exits = contextlib.ExitStack()
        self.dir = Path(self.exits.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *why: object) -> None:
        self.exits.close()

    def start(self, *command: str | Path, cpu: int, **more: Any) -> subprocess.Popen[bytes]:
        more.setdefault("stdout", subprocess.DEVNULL)
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                   preexec_fn=pin(cpu), **more)
        self.exits.callback(end, process)
        return process

    def run(self, *command: str | Path) -> str:
        """What a program says that runs to its end, on the CPU of the contenders."""
        return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True, text=True,
                              preexec_fn=pin(HERE), timeout=PATIENCE_S).stdout

    def ours(self, name: str) -> Path:
        where = {"molecule-agentd": "src", "molecule-agentctl": "src/ctl", "molecule-unpack": "src/helper"}
        return self.build / where.get(name, "tests/bench") / name

    def file(self, name: str, content: bytes | str) -> Path:
        path = self.dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    # ---- servers ----

    def platform(self, cpu: int = THERE) -> str:
        """nginx, which answers the same to everybody."""
        port = free_port()
        self.file("secrets.json", json.dumps(SECRETS))
        url = f"http://127.0.0.1:{port}"
        listed = peers(50)
        for peer, place in zip(listed, (f"{url}/a2a", *self.more_peers)):
            peer["url"] = place
        self.file("peers.json", json.dumps(listed))
        config = self.file("nginx.conf", NGINX.format(dir=self.dir, port=port, answer=PONG))
        self.start(program("nginx"), "-e", self.dir / "nginx.err", "-p", self.dir, "-c", config, cpu=cpu)
        wait_until(lambda: connects(socket.AF_INET, ("127.0.0.1", port)), "nginx")
        return url

    def configure(self, url: str, names: Sequence[str] = ("bench",)) -> Path:
        (self.dir / "workspaces.d").mkdir(exist_ok=True)
        self.file("token", "token-of-the-bench").chmod(0o600)
        for i, name in enumerate(names):
            self.file(f"workspaces.d/{name}.conf", f"[workspace]\nworkspace_id = {WORKSPACE_ID[:-4]}{i + 1:04x}\n"
                                                   f"token_file = {self.dir}/token\n")
        return self.file("agentd.conf",
                         f"[daemon]\nlog_level = warning\nstate_dir = {self.dir}/state\n"
                         f"socket = {self.dir}/agentd.sock\nsocket_group = {shipped.SOCKET_GROUP}\n"
                         f"[defaults]\nplatform_url = {url}\npeer_networks = 127.0.0.0/8\n")

    def daemon(self, platform_cpu: int = THERE, names: Sequence[str] = ("bench",)) -> Daemon:
        """Ours, with these workspaces; online, with everything fetched."""
        url = self.platform(platform_cpu)
        config = self.configure(url, names)
        process = self.start(self.ours("molecule-agentd"), "--config", config, cpu=HERE,
                             env=shipped.environment(MOLECULE_UNPACK=str(self.ours("molecule-unpack"))))
        path = self.dir / "agentd.sock"
        wait_until(lambda: connects(socket.AF_UNIX, str(path)), "the daemon's socket")
        daemon = Daemon(process.pid, path, url)
        for name in names:
            wait_until(lambda: daemon.call("workspace.status", workspace=name)["state"] == "online", "online")
            assert len(daemon.call("secrets.get", workspace=name)["values"]) == len(SECRETS)
            assert len(daemon.call("peers.list", workspace=name)["peers"]) == 50
        return daemon

    def redis(self) -> Path:
        path = self.dir / "redis.sock"
        self.start(program("redis-server"), "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
                   "--dir", self.dir, cpu=HERE)
        wait_until(lambda: connects(socket.AF_UNIX, str(path)), "redis")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(resp("SET", ONE_SECRET, SECRETS[ONE_SECRET]))
            assert client.recv(100) == b"+OK\r\n"
        return path

    def echo(self, answer: bytes, many: bool) -> Path:
        name = f"echo-{len(answer)}-{'many' if many else 'one'}"
        path = self.dir / name
        if not path.exists():
            self.start(self.ours("bench-echo"), "-e" if many else "-1", path,
                       self.file(f"{name}.answer", answer), cpu=HERE)
            wait_until(path.exists, "the echo")
        return path

    def dbus(self, answer: str, clients: int, seconds: float) -> Callable[[], dict[str, float]]:
        """A private bus with a service on it; what is returned calls that."""
        program("dbus-broker")
        path = self.dir / "dbus.sock"
        servers = [Process(self.start(self.ours("bench-dbus"), "broker", path, cpu=HERE).pid)]
        wait_until(lambda: connects(socket.AF_UNIX, str(path)), "dbus-broker")
        servers.append(Process(self.start(self.ours("bench-dbus"), "serve", path, answer, cpu=HERE).pid))

        def measure() -> dict[str, float]:
            before = sum(server.cpu_s() for server in servers)
            called = self.start(self.ours("bench-dbus"), "call", path, str(clients), str(int(seconds * 1000)),
                                cpu=HERE, stdout=subprocess.PIPE)
            sample = outcome(called, "the calls over D-Bus", seconds)
            spent = sum(server.cpu_s() for server in servers) - before
            return {**sample, "cpu_us": spent / sample["n"] * 1e6}

        wait_until(lambda: self._answers(path), "the service on the bus")
        return measure

    def _answers(self, path: Path) -> bool:
        called = self.start(self.ours("bench-dbus"), "call", path, "1", "1", cpu=HERE, stderr=subprocess.DEVNULL)
        return called.wait(PATIENCE_S) == 0

    # ---- clients ----

    def load(self, path: Path, *what: Path, clients: int = 1, pipeline: int = 1, seconds: float,
             newlines: int = 1, cpu: int = HERE) -> dict[str, float]:
        loader = self.start_load(path, *what, clients=clients, pipeline=pipeline, seconds=seconds,
                                 newlines=newlines, cpu=cpu)
        return outcome(loader, f"the load on {path.name}", seconds)

    def start_load(self, path: Path, *what: Path, clients: int = 1, pipeline: int = 1,
                   seconds: float, newlines: int = 1, cpu: int = HERE) -> subprocess.Popen[bytes]:
        return self.start(self.ours("bench-load"), "-c", str(clients), "-p", str(pipeline), "-t",
                          str(int(seconds * 1000)), "-n", str(newlines), path, *what, cpu=cpu,
                          stdout=subprocess.PIPE)


def outcome(process: subprocess.Popen[bytes], what: str, seconds: float) -> dict[str, float]:
    """What a program of the bench has printed."""
    out, _ = process.communicate(timeout=seconds + PATIENCE_S)
    if process.returncode:
        raise RuntimeError(f"{what}: status {process.returncode}")
    result: dict[str, float] = json.loads(out)
    return result


def resp(*words: str) -> bytes:
    """A command as redis reads it."""
    return b"".join([f"*{len(words)}\r\n".encode(),
                     *(f"${len(word)}\r\n{word}\r\n".encode() for word in words)])


def pin(cpu: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {cpu % (os.cpu_count() or 1)})


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
    if process.poll() is None:
        process.kill()
        process.wait()


@contextlib.contextmanager
def notify_socket(path: Path) -> Iterator[Callable[[], str]]:
    """Where a daemon says READY=1; yields what reads one message."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))

        def message() -> str:
            ready, _, _ = select.select([listener], [], [], PATIENCE_S)
            if not ready:
                raise TimeoutError("the daemon says nothing")
            return listener.recv(4096).decode()

        yield message
