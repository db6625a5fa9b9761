# SPDX-License-Identifier: MIT
"""What the stories of molecule-agentctl share: a stand-in for the daemon, a way to run the command.

Imported as a plugin and as a module: PYTEST_DONT_REWRITE
"""

import os
import pathlib
import pty
import select
import subprocess

import pytest

from fakedaemon import PATIENCE, FakeDaemon

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "s3cretTokenOfTwentyChars"
ID = "5f0c2a51-7a0e-4f3e-9d6b-1a2b3c4d5e6f"


def build_dir():
    path = os.environ.get("MOLECULE_BUILD_DIR")
    if not path:
        pytest.fail("MOLECULE_BUILD_DIR must name the meson build directory")
    return pathlib.Path(path)


@pytest.fixture
def fake(tmp_path):
    fake = FakeDaemon(tmp_path / "sock").start()
    yield fake
    if fake.thread.is_alive():
        fake.stop()


class Ctl:
    """Runs the command, with an environment that has nothing of ours in it."""

    def __init__(self, path, home):
        self.program = str(build_dir() / "src/ctl/molecule-agentctl")
        self.env = {"PATH": os.environ["PATH"], "MOLECULE_SOCKET": path, "HOME": str(home),
                    "LC_ALL": "C", "TZ": "UTC", "TERM": "xterm"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.running = []

    def __call__(self, *args, stdin="", status=0, said=None, env=None):
        """Output; checks the exit status and, when said is given, what was said about it."""
        done = subprocess.run([self.program, *args], input=stdin, capture_output=True, text=True,
                              env={**self.env, **(env or {})}, timeout=PATIENCE)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        if said is not None:
            assert said in done.stderr, done.stderr
        elif status == 0:
            assert done.stderr == "", done.stderr
        return done.stdout

    def start(self, *args, **more):
        child = subprocess.Popen([self.program, *args], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=self.env, **more)
        self.running.append(child)
        return child


@pytest.fixture
def run(fake, tmp_path):
    runner = Ctl(fake.path, tmp_path)
    yield runner
    for child in runner.running:
        if child.poll() is None:
            child.kill()
        child.communicate()


def line_of(stream):
    ready, _, _ = select.select([stream], [], [], PATIENCE)
    assert ready, "no line came"
    return stream.readline()


def talk(run, *args, answers=()):
    """Runs it on a terminal; answers are (what to wait for, what to type). Output and status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(run.program, [run.program, *args], run.env)
    seen, answers = b"", list(answers)
    while True:
        if answers and answers[0][0] in seen:
            os.write(fd, answers.pop(0)[1])
        ready, _, _ = select.select([fd], [], [], PATIENCE)
        assert ready, seen
        try:
            data = os.read(fd, 4096)
        except OSError:  # how a terminal says that nobody is left on it
            data = b""
        if not data:
            break
        seen += data
    os.close(fd)
    return seen.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


KINDS = {
    "parse_error": (-32700, 65), "invalid_request": (-32600, 65), "method_not_found": (-32601, 64),
    "invalid_params": (-32602, 64), "internal": (-32603, 70), "platform_error": (-32000, 76),
    "unauthorized": (-32001, 77), "forbidden": (-32002, 77), "not_found": (-32003, 66),
    "unavailable": (-32004, 69), "paused": (-32005, 10), "removed": (-32006, 11),
    "timeout": (-32007, 75), "rate_limited": (-32008, 75), "conflict": (-32009, 73),
    "too_large": (-32010, 65), "unknown_outcome": (-32011, 12), "peer_error": (-32012, 76),
    "not_permitted": (-32013, 77), "budget_exceeded": (-32014, 75), "integrity": (-32015, 65),
    "cancelled": (-32016, 75), "overloaded": (-32017, 75),
}


REPLY = {"id": ID, "name": "laptop", "status": "awaiting_agent", "external": True,
         "connection": {"workspace_id": ID, "platform_url": "https://molecule.example",
                        "auth_token": TOKEN, "registry_endpoint": "https://molecule.example/r"}}
PARAMS = {"platform_url": "https://molecule.example", "workspace_id": ID, "token": TOKEN}
BLOCK = f"""\
# connect your agent
export MOLECULE_WORKSPACE_ID="{ID}"   # its id
export MOLECULE_PLATFORM_URL='https://molecule.example'
MOLECULE_WORKSPACE_TOKEN={TOKEN}
"""
