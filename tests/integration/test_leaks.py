# SPDX-License-Identifier: MIT
"""Tokens and secrets are where they belong, and nowhere else."""

import json
import os
import pathlib
import pwd
import re
import signal
import subprocess

import pytest

from harness import RpcError, build_dir
from wire import Wire, info, request

NOBODY = pwd.getpwnam("nobody")
SECRET = "canary-secret-6f1d2c9b8a"
WRONG = "canary-wrong-token-3e5a7c9d1f"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as somebody else")


@pytest.fixture
def words(platform, daemon):
    """A daemon that is online and has handed out a secret; the words that must not turn up."""
    scout = platform.create("scout")
    platform.set_secret(scout, "CANARY", SECRET)
    daemon.add(scout)
    daemon.canaries |= {SECRET, WRONG}
    daemon.start()
    daemon.wait_state("scout", "online")
    assert daemon.call("secrets.get")["values"] == {"CANARY": SECRET}
    return [scout.token, SECRET, WRONG]


def check(text, words, where):
    text = text if isinstance(text, str) else json.dumps(text)
    for word in words:
        assert word not in text, f"{where} has {word[:12]}... in it"


def is_sanitized():
    text = (build_dir() / "src/molecule-agentd").read_bytes()
    return b"__asan_init" in text


def refusal(call, *arguments, **params):
    with pytest.raises(RpcError) as caught:
        call(*arguments, **params)
    return caught.value.text + json.dumps(caught.value.data)


def test_what_it_says_about_itself_has_none(daemon, words):
    with Wire(daemon.socket) as wire:
        for method in ("daemon.info", "daemon.status", "daemon.metrics", "rpc.discover", "workspace.list",
                       "workspace.status", "secrets.list", "secrets.refresh", "peers.list",
                       "events.subscribe", "workspace.refresh", "daemon.reload"):
            wire.send(request(method, method))
            message = wire.message()
            assert message["id"] == method and "result" in message
            check(message, words, method)


def test_events_have_none(platform, daemon, words):
    events = daemon.connect().subscribe()
    check(events.snapshot, words, "the snapshot")
    fresh = SECRET + "-fresh"
    daemon.canaries.add(fresh)
    platform.set_secret(platform.created[0], "CANARY", fresh)
    daemon.call("secrets.refresh")
    check(events.until_type("secrets.changed"), words, "secrets.changed")


def test_refusals_have_none(platform, daemon, words):
    scout = platform.created[0]
    check(refusal(daemon.call, "token.set", token=WRONG), words, "token.set")
    check(refusal(daemon.call, "token.set", token=WRONG + " "), words, "token.set")
    check(refusal(daemon.call, "token.set", token=[WRONG]), words, "token.set")
    check(refusal(daemon.call, "workspace.join", platform_url=platform.url, workspace_id=scout.id,
                  token=WRONG), words, "workspace.join")
    check(refusal(daemon.call, "workspace.join", platform_url=platform.url, workspace_id=scout.id,
                  token=scout.token, name="no name"), words, "workspace.join")
    check(refusal(daemon.call, "workspace.join", platform_url="nope", workspace_id="x", token=WRONG,
                  name="x"), words, "workspace.join")
    with Wire(daemon.socket) as wire:
        for broken in (f'{{"jsonrpc":"2.0","id":1,"method":"token.set","params":{{"token":"{WRONG}"',
                       f'"{WRONG}" {{"{WRONG}":', f'{{"jsonrpc":"2.0","id":"x","method":1,"x":"{WRONG}"}}',
                       f'{{"jsonrpc":"2.0","params":{{"token":"{WRONG}"}}}}'):
            wire.send(broken.encode() + b"\x01\n")
        for message in wire.sync():
            check(message, words, "a refusal")


@pytest.mark.dev_platform
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500])
def test_a_platform_that_repeats_a_token_is_not_quoted(platform, daemon, words, status):
    """Servers put what they were sent into their errors."""
    echo = f"no such token: {words[0]}"
    platform.dev.fault("heartbeat", status=status, json={"error": echo, "message": echo, "status": echo})
    platform.dev.fault("state", status=status, json={"error": echo, "message": echo, "status": echo})
    platform.dev.fault("secrets", status=status, json={"error": echo + SECRET})
    for method in ("workspace.refresh", "secrets.refresh", "peers.list"):
        with Wire(daemon.socket) as wire:
            wire.send(request(1, method))
            check(wire.message(), words[:1], method)
    check(daemon.status("scout"), words[:1], "workspace.status")
    check(daemon.call("daemon.status"), words[:1], "daemon.status")


def test_the_state_directory_has_the_token_file_only(platform, daemon):
    scout = platform.create("scout")
    platform.set_secret(scout, "CANARY", SECRET)
    daemon.start()
    daemon.call("workspace.join", platform_url=platform.url, workspace_id=scout.id, token=scout.token,
                name="scout")
    daemon.wait_state("scout", "online")
    daemon.call("secrets.get")
    daemon.kill()
    holding = [path for path in daemon.state.rglob("*") if path.is_file()
               and any(word.encode() in path.read_bytes() for word in (scout.token, SECRET))]
    assert holding == [daemon.token_path(scout)]
    assert daemon.token_path(scout).read_text().strip() == scout.token
    assert daemon.token_path(scout).stat().st_mode & 0o777 == 0o600


def test_forgetting_a_workspace_takes_its_token_off_the_disk(platform, daemon):
    scout = platform.create("scout")
    daemon.start()
    daemon.call("workspace.join", platform_url=platform.url, workspace_id=scout.id, token=scout.token,
                name="scout")
    daemon.wait_state("scout", "online")
    daemon.call("workspace.leave", forget=True)
    assert [path for path in daemon.state.rglob("*") if path.is_file() and path.name != "lock"] == []


def test_the_process_shows_none(daemon, words):
    for name in ("cmdline", "environ", "comm", "maps"):
        try:
            text = pathlib.Path(f"/proc/{daemon.pid}/{name}").read_bytes().decode("utf-8", "replace")
        except PermissionError:
            # Not even root may look, if it is one without the capability.
            continue
        check(text, words, name)


def test_leaves_no_core(daemon, words):
    limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
    assert re.search(r"^Max core file size\s+0\s+0\s", limits, re.M), limits


def test_secrets_are_not_swapped(daemon, words):
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    locked = int(re.search(r"^VmLck:\s+(\d+) kB", status, re.M)[1])
    warnings = [warning["code"] for warning in daemon.call("daemon.status")["warnings"]]
    assert (locked > 0) != ("memory_not_locked" in warnings)


@pytest.fixture
def as_nobody(platform, daemon):
    """The daemon as an ordinary user, as it is meant to run."""
    program = build_dir() / "src/molecule-agentd"
    if subprocess.run(["test", "-x", program], user=NOBODY.pw_uid, group=NOBODY.pw_gid).returncode:
        pytest.skip(f"other users cannot run {program}")
    scout = platform.create("scout")
    daemon.add(scout)
    for path in [daemon.dir, *daemon.dir.rglob("*")]:
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    # The harness makes its socket as root.
    daemon.start(ready=False, user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[])
    os.chown(daemon.dir / "notify", NOBODY.pw_uid, NOBODY.pw_gid)
    daemon.wait_log("is ready")
    daemon.wait_state("scout", "online")
    return scout


@as_root
def test_nobody_may_look_into_the_process(daemon, as_nobody):
    # What cannot be dumped belongs to root, whoever runs it.
    assert os.stat(f"/proc/{daemon.pid}/status").st_uid == 0
    for name in ("environ", "mem", "maps", "fd/0"):
        done = subprocess.run(["head", "-c", "1", f"/proc/{daemon.pid}/{name}"], capture_output=True,
                              user=NOBODY.pw_uid, group=NOBODY.pw_gid, text=True)
        assert done.returncode != 0 and "Permission denied" in done.stderr, name


@as_root
def test_an_ordinary_user_can_run_it(platform, daemon, as_nobody):
    assert platform.status(as_nobody) == "online"
    assert daemon.state.stat().st_uid == NOBODY.pw_uid
    # Root and the user may do everything.
    assert daemon.call("daemon.reload")["unchanged"]
    daemon.stop()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT], ids=lambda number: number.name)
def test_a_crash_writes_no_core_file(daemon, words, number):
    if is_sanitized():
        pytest.skip("a sanitizer takes the signal")
    daemon.signal(number)
    assert daemon.wait_exit() == -number
    assert not list(daemon.dir.glob("core*"))


def copies(pid, word):
    """How often a word is in the memory of a process; None when one may not look."""
    found = 0
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                span, mode = line.split()[:2]
                begin, end = (int(part, 16) for part in span.split("-"))
                if "rw" not in mode or "[v" in line:
                    continue
                try:
                    memory.seek(begin)
                    found += memory.read(end - begin).count(word.encode())
                except OSError:
                    continue
    except PermissionError:
        return None
    return found


def test_what_was_forgotten_is_not_in_memory(platform, daemon, words):
    """Neither in a buffer nor in what has been freed."""
    if is_sanitized():
        pytest.skip("a sanitizer has terabytes of memory to look through")
    client = daemon.connect()
    for _ in range(5):
        assert client.call("secrets.get")["values"]["CANARY"] == SECRET
        assert client.call("secrets.refresh")
    client.close()
    known = copies(daemon.pid, SECRET)
    if known is None:
        pytest.skip("the memory of a process cannot be read here")
    assert known > 0
    (daemon.workspaces / "scout.conf").unlink()
    daemon.call("daemon.reload")
    with Wire(daemon.socket) as wire:
        wire.send(info())
        assert wire.message()["id"] == 1
    assert copies(daemon.pid, SECRET) == 0
    assert copies(daemon.pid, platform.created[0].token) == 0
