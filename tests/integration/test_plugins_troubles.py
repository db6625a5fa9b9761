# SPDX-License-Identifier: MIT
"""Plugins when something goes wrong, or everything happens at once: nothing changes by halves."""

import hashlib
import json
import os
import resource
import signal
from pathlib import Path

import pytest

from harness import QUIET, RpcError, build_dir
from harness.unpacker import wait_for
from plugintools import born, content, helpers, install, listed, refused, tree_of, versions

pytestmark = pytest.mark.dev_platform


# ---- one after the other, and giving up ----

def test_installations_of_one_plugin_follow_one_another(platform, daemon, scout):
    platform.publish("demo", version="1")
    platform.publish("other")
    hang = platform.dev.fault("download", scout, path="*/demo/*", hang=True, times=1)
    first = daemon.client.send("plugins.install", name="demo")
    platform.dev.wait_held(scout, endpoint="download")
    second = daemon.client.send("plugins.install", name="demo")
    removal = daemon.client.send("plugins.remove", name="demo")
    # Somebody else's plugin does not wait.
    assert install(daemon, "other")["name"] == "other"
    assert len(platform.dev.requests(scout, endpoint="download")) == 2
    assert not daemon.client.is_answered(second)
    hang.remove()
    daemon.client.answer(first)
    daemon.client.answer(second)
    assert daemon.client.answer(removal) == {"removed": True}
    assert set(listed(daemon)) == {"other"}


def test_too_many_at_a_time(platform, daemon, scout):
    platform.publish("demo")
    hang = platform.dev.fault("download", scout, hang=True)
    numbers = [daemon.client.send("plugins.install", name="demo") for _ in range(64)]
    platform.dev.wait_held(scout, endpoint="download")
    error = refused(daemon, "plugins.install", name="demo")
    assert error.kind == "overloaded" and error.data["retryable"]
    for number in numbers[1:]:
        daemon.client.notify("rpc.cancel", id=number)
    for number in numbers[1:]:
        with pytest.raises(RpcError) as caught:
            daemon.client.answer(number)
        assert caught.value.kind == "cancelled"
    hang.remove()
    assert daemon.client.answer(numbers[0])["name"] == "demo"


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_who_leaves_gives_it_up(platform, daemon, scout, how):
    platform.publish("demo", {"a": "1"})
    install(daemon)
    before = content(tree_of(daemon, scout))
    platform.publish("demo", {"a": "2"}, version="2")
    events = daemon.events("plugin.progress")
    hang = platform.dev.fault("download", scout, hang=True)
    client = daemon.connect()
    number = client.send("plugins.install", name="demo")
    platform.dev.wait_held(scout, endpoint="download")
    assert len(versions(daemon, scout)) == 2
    if how == "closed":
        client.close()
    else:
        client.notify("rpc.cancel", id=number)
        with pytest.raises(RpcError) as caught:
            client.answer(number)
        assert caught.value.kind == "cancelled"
    events.until(lambda event: event["data"]["phase"] == "failed")
    daemon.wait_log("removed demo/versions/")
    hang.remove()
    assert content(tree_of(daemon, scout)) == before
    assert len(versions(daemon, scout)) == 1
    wait_for(lambda: not helpers(daemon.pid))
    assert install(daemon)["version"] == "2"


# The last is what a forbidden system call earns, and the sanitizers take no interest in it.
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSYS])
def test_a_helper_that_dies_takes_nothing_with_it(platform, daemon, scout, number):
    platform.publish("demo", {"a": "1"})
    install(daemon)
    before = content(tree_of(daemon, scout))
    hang = platform.dev.fault("download", scout, hang=True)
    waiting = daemon.client.send("plugins.install", name="demo")
    platform.dev.wait_held(scout, endpoint="download")
    [helper] = born(daemon.pid)
    os.kill(helper, number)
    with pytest.raises(RpcError) as caught:
        daemon.client.answer(waiting)
    assert caught.value.kind == "internal" and f"signal {int(number)}" in caught.value.text
    hang.remove()
    assert content(tree_of(daemon, scout)) == before
    daemon.wait_log("removed demo/versions/")
    assert len(versions(daemon, scout)) == 1
    assert install(daemon)["name"] == "demo"


def test_a_helper_that_is_not_there(platform, start_daemon):
    daemon, scout = start_daemon(), platform.create("scout")
    daemon.env["MOLECULE_UNPACK"] = "/nowhere/molecule-unpack"
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.publish("demo")
    error = refused(daemon, "plugins.install", name="demo")
    assert error.kind == "internal" and "No such file" in error.text
    assert daemon.call("daemon.info")


# ---- the platform ----

@pytest.mark.parametrize("status, body, kind", [
    (400, {"error": "invalid plugin source"}, "invalid_params"),
    (404, {"error": "failed to fetch plugin from local", "source": "local://demo"}, "not_found"),
    (413, {"error": "staged plugin exceeds size limit", "source": "local://demo"}, "too_large"),
    (422, {"error": "plugin manifest integrity check failed"}, "integrity"),
    (429, {"error": "rate limit exceeded"}, "rate_limited"),
    (500, {"error": "failed to pack plugin"}, "platform_error"),
    (502, {"error": "failed to fetch plugin from github"}, "platform_error"),
    (504, {"error": "failed to fetch plugin from github"}, "platform_error")])
def test_what_the_platform_says_is_told(platform, daemon, scout, status, body, kind):
    platform.dev.fault("download", scout, status=status, json=body)
    error = refused(daemon, "plugins.install", name="demo")
    assert (error.kind, error.data["http_status"]) == (kind, status), repr(error)
    assert listed(daemon) == {}


@pytest.mark.parametrize("rule", [{"drop": "body"}, {"length_off": 100}, {"cut": 40},
                                  {"bad_chunk": True}, {"drop": "reply"}],
                         ids=lambda rule: next(iter(rule)))
def test_a_download_that_is_cut_off(platform, daemon, scout, rule):
    platform.publish("demo", {"a": os.urandom(50000)})
    install(daemon)
    before = content(tree_of(daemon, scout))
    platform.dev.fault("download", scout, **rule)
    assert refused(daemon, "plugins.install", name="demo").kind in ("unavailable", "integrity")
    assert content(tree_of(daemon, scout)) == before
    daemon.wait_log("removed demo/versions/")
    assert len(versions(daemon, scout)) == 1


def test_a_source_is_handed_on(platform, daemon, scout):
    platform.publish("demo")
    assert install(daemon, source="local://demo")["source"] == "local://demo"
    error = refused(daemon, "plugins.install", name="repo", source="github://owner/repo")
    assert error.data["http_status"] == 422
    error = refused(daemon, "plugins.install", name="demo", source="x?y=1&z#ü")
    asked = platform.dev.requests(scout, endpoint="download")[-1]["target"]
    assert asked.endswith("/download?source=x%3Fy%3D1%26z%23%C3%BC"), asked


def test_a_paused_workspace_installs_nothing_and_has_its_plugins(platform, daemon, scout):
    for version in ("1", "2"):
        platform.publish("demo", version=version)
        install(daemon)
    platform.pause(scout)
    daemon.refresh("scout")
    daemon.wait_state("scout", "paused")
    assert refused(daemon, "plugins.install", name="demo").kind == "paused"
    assert daemon.call("plugins.verify")["ok"]
    assert daemon.call("plugins.rollback", name="demo")["version"] == "1"
    assert listed(daemon)["demo"]["version"] == "1"
    assert daemon.call("plugins.remove", name="demo") == {"removed": True}


def test_plugins_stay_when_the_workspace_was_deleted(platform, daemon, scout):
    platform.publish("demo", {"a": "1"})
    install(daemon)
    platform.delete(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")
    assert set(listed(daemon)) == {"demo"} and daemon.call("plugins.verify")["ok"]
    assert refused(daemon, "plugins.install", name="demo").kind == "removed"


# ---- leaving, stopping, starting ----

def test_forgetting_a_workspace_wipes_its_plugins(platform, start_daemon):
    daemon = start_daemon()
    daemon.start()
    scout = platform.create("scout")
    daemon.platforms.add(platform)
    join = {"platform_url": platform.url, "workspace_id": scout.id, "name": "scout",
            "token": scout.token}
    platform.publish("demo", {"a": "1"})

    daemon.call("workspace.join", **join)
    daemon.wait_state("scout", "online")
    install(daemon)
    daemon.call("workspace.leave", workspace="scout")
    assert (tree_of(daemon, scout) / "a").read_text() == "1"

    daemon.call("workspace.join", **join)
    daemon.wait_state("scout", "online")
    assert set(listed(daemon)) == {"demo"}
    daemon.call("workspace.leave", workspace="scout", forget=True)
    assert not daemon.place(scout).exists()
    daemon.wait_log(r"removed \.trash-")
    assert list((daemon.state / "workspaces").iterdir()) == []

    daemon.call("workspace.join", **join)
    daemon.wait_state("scout", "online")
    assert listed(daemon) == {}


def test_forgetting_is_brought_to_its_end(platform, daemon, scout):
    """Noted on disk, and killed before anything was done about it."""
    platform.publish("demo", {"a": "1"})
    install(daemon)
    key = daemon.token_path(scout).name
    (daemon.etc / "workspaces.d" / "scout.conf").unlink()
    daemon.kill()
    note = daemon.state / "leaving" / key
    note.parent.mkdir(mode=0o700)
    note.touch(mode=0o600)
    daemon.start()
    daemon.wait_log(r"removed \.trash-")
    assert list((daemon.state / "workspaces").iterdir()) == [] and not note.exists()


def test_leaving_while_a_plugin_is_installed(platform, daemon, scout):
    platform.publish("demo", {"a": "1"})
    hang = platform.dev.fault("download", scout, hang=True)
    number = daemon.client.send("plugins.install", name="demo")
    platform.dev.wait_held(scout, endpoint="download")
    daemon.connect().call("workspace.leave", workspace="scout", forget=True)
    with pytest.raises(RpcError) as caught:
        daemon.client.answer(number)
    assert caught.value.kind in ("not_found", "unavailable", "cancelled")
    hang.remove()
    daemon.wait_log(r"removed \.trash-")
    assert not daemon.place(scout).exists()


def test_stopping_while_a_plugin_is_installed(platform, start_daemon):
    daemon, scout = start_daemon(), platform.create("scout")
    daemon.configure(daemon={"stop_timeout": "0"})
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.publish("demo", {"a": "1"})
    install(daemon)
    hang = platform.dev.fault("download", scout, hang=True)
    daemon.client.send("plugins.install", name="demo")
    platform.dev.wait_held(scout, endpoint="download")
    assert len(versions(daemon, scout)) == 2
    daemon.stop()
    hang.remove()
    assert len(versions(daemon, scout)) == 1
    daemon.start()
    assert listed(daemon)["demo"]["version"] == "1.0.0"
    assert daemon.call("plugins.verify")["ok"]


def test_a_start_cleans_up_after_a_killed_daemon(platform, daemon, scout):
    for version in ("1", "2"):
        platform.publish("demo", {"which": version}, version=version)
        install(daemon)
    platform.dev.fault("download", scout, hang=True)
    for name in ("demo", "new"):
        daemon.client.send("plugins.install", name=name)
        platform.dev.wait_held(scout, endpoint="download", path=f"*/{name}/*")
    daemon.kill()
    place = daemon.place(scout)
    (place / ".trash-0123456789abcdef" / "tree").mkdir(parents=True)
    (place / "demo" / "current.new").symlink_to("versions/x")
    (place.parent.parent / ".trash-fedcba9876543210" / "plugins").mkdir(parents=True)
    assert len(versions(daemon, scout)) == 3 and (place / "new").exists()

    platform.dev.clear_faults()
    daemon.start()
    row = listed(daemon)["demo"]
    assert row["version"] == "2" and row["previous"]["version"] == "1"
    assert [path.name for path in place.iterdir()] == ["demo"]
    assert [path.name for path in place.parent.parent.iterdir()] == [place.parent.name]
    assert sorted(path.name for path in (place / "demo").iterdir()) == ["current", "versions"]
    assert len(versions(daemon, scout)) == 2
    assert daemon.call("plugins.verify")["ok"]


def test_a_record_that_cannot_be_read(platform, daemon, scout):
    """It is there, nothing of it is removed, and it can be installed again."""
    for version in ("1", "2"):
        platform.publish("demo", {"which": version}, version=version)
        install(daemon)
    daemon.stop()
    (tree_of(daemon, scout).parent / "record.json").write_text("{")
    daemon.start()
    row = listed(daemon)["demo"]
    assert row["digest"] is None and row["previous"] is None
    assert len(versions(daemon, scout)) == 2
    assert daemon.call("plugins.verify")["ok"]
    daemon.wait_state("scout", "online")
    assert install(daemon)["version"] == "2"
    assert listed(daemon)["demo"]["digest"]


def test_plugins_are_for_everybody_to_read(platform, daemon, scout):
    """Whoever may pass the state directory: that is its mode's business."""
    platform.publish("demo", {"d/a": "1", "run.sh": "#!/bin/sh\n"})
    install(daemon)
    path = tree_of(daemon, scout) / "d" / "a"
    for folder in path.parents:
        if folder == daemon.state:
            break
        assert folder.stat().st_mode & 0o777 == 0o755, folder
    assert path.stat().st_mode & 0o777 == 0o644
    assert (tree_of(daemon, scout) / "run.sh").stat().st_mode & 0o777 == 0o755
    assert daemon.state.stat().st_mode & 0o777 == 0o700


def test_two_workspaces_have_their_own(platform, daemon, scout):
    other = platform.create("other")
    daemon.add(other, **QUIET)
    daemon.call("daemon.reload")
    daemon.wait_state("other", "online")
    platform.publish("demo")
    install(daemon, workspace="scout")
    assert set(listed(daemon, workspace="scout")) == {"demo"}
    assert listed(daemon, workspace="other") == {}
    assert refused(daemon, "plugins.remove", workspace="other", name="demo").kind == "not_found"


def test_a_record_says_what_was_installed(platform, daemon, scout):
    platform.publish("demo", {"a": "1"})
    answer = install(daemon)
    record = json.loads((tree_of(daemon, scout).parent / "record.json").read_text())
    assert record["digest"] == answer["digest"] and record["manifest"] == answer["manifest"]
    files = [["a", hashlib.sha256(b"1").hexdigest()]]
    assert record["manifest"] == hashlib.sha256(json.dumps(files).encode()).hexdigest()
    assert record["source"] == "local://demo" and record["previous"] is None


# ---- when nobody can tell what is there ----

class Held:
    """A helper whose runs wait at a gate: "list", or "activate" of one plugin."""

    def __init__(self, folder):
        self.folder, self.program = folder, folder / "molecule-unpack"
        self.program.write_text(
            f"#!/bin/sh\n"
            f'gate="{folder}/$1"\n'
            f'[ "$1" = activate ] && gate="{folder}/$1-$3"\n'
            f'[ -p "$gate" ] && read word <"$gate"\n'
            f'exec "{build_dir()}/src/helper/molecule-unpack" "$@"\n')
        self.program.chmod(0o755)

    def shut(self, gate):
        os.mkfifo(self.folder / gate)

    def open(self, gate):
        """Waits for somebody to stand there."""
        with open(self.folder / gate, "w", encoding="ascii"):
            (self.folder / gate).unlink()


def test_what_is_there_is_not_read_anew_below_those_who_change_it(platform, start_daemon, tmp_path):
    daemon, scout, held = start_daemon(), platform.create("scout"), Held(tmp_path)
    daemon.env["MOLECULE_UNPACK"] = str(held.program)
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    for version in ("1", "2"):
        for name in ("here", "there"):
            platform.publish(name, version=version)
            install(daemon, name)
    platform.publish("demo")
    hang = platform.dev.fault("download", scout, path="*/demo/*", hang=True)
    demo = daemon.client.send("plugins.install", name="demo")
    platform.dev.wait_held(scout, endpoint="download")
    held.shut("activate-here")
    held.shut("list")
    here = daemon.client.send("plugins.rollback", name="here")
    wait_for(lambda: len(helpers(daemon.pid)) == 2)
    there = daemon.client.send("plugins.rollback", name="there")
    # The switch fails, and so does looking what came of it.
    place = daemon.place(scout)
    (place / "demo").rename(tmp_path / "demo")
    (place / "demo").touch()
    hang.remove()
    with pytest.raises(RpcError):
        daemon.client.answer(demo)
    daemon.call("daemon.info")
    held.open("activate-here")
    assert daemon.client.answer(here)["version"] == "1"
    held.open("list")
    assert daemon.client.answer(there)["version"] == "1"
    (place / "demo").unlink()
    assert {name: (row["version"], row["previous"]["version"])
            for name, row in listed(daemon).items()} == {"here": ("1", "2"), "there": ("1", "2")}


def test_what_cannot_be_looked_at_now_is_no_drift(platform, daemon, scout):
    platform.publish("demo")
    install(daemon)
    assert daemon.call("plugins.verify")["ok"]
    taken = {int(path.name) for path in Path(f"/proc/{daemon.pid}/fd").iterdir()}
    free = min(set(range(len(taken) + 1)) - taken)
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (free, hard))
    error = refused(daemon, "plugins.verify")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in error.text
    assert daemon.call("plugins.verify")["ok"]


def test_what_is_put_where_something_was_removed_goes_too(platform, start_daemon, tmp_path):
    """As by a helper that is killed, and in the middle of a last call."""
    program = f'"{build_dir()}/src/helper/molecule-unpack"'
    wrapper = tmp_path / "molecule-unpack"
    wrapper.write_text(
        f'#!/bin/sh\n[ "$1" = remove ] && [ ! -e {tmp_path}/late ] || exec {program} "$@"\n'
        f'{program} "$@" || exit\n: >{tmp_path}/late\n: >/proc/self/fd/3/late\n')
    wrapper.chmod(0o755)
    daemon, scout = start_daemon(), platform.create("scout")
    daemon.env["MOLECULE_UNPACK"] = str(wrapper)
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    for version in ("1", "2", "3"):
        platform.publish("demo", version=version)
        install(daemon)
    daemon.wait_log("removed demo/versions/")
    assert (tmp_path / "late").exists()
    assert len(versions(daemon, scout)) == 2
