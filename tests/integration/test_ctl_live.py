# SPDX-License-Identifier: MIT
"""molecule-agentctl and the daemon: what a person does, from creation to goodbye."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from ctlfixtures import Ctl, line_of
from fakedaemon import PATIENCE
from wire import wait_answer


@pytest.fixture
def ctl(daemon):
    runner = Ctl(str(daemon.socket), daemon.home)
    yield runner
    for child in runner.running:
        if child.poll() is None:
            child.kill()
        child.communicate()


@pytest.fixture
def joined(platform, daemon, ctl):
    """A workspace that is online, joined by its file."""
    scout = platform.create("scout")
    platform.set_secret(scout, "API_KEY", "value of the key, 'quoted' and $HOME")
    daemon.add(scout)
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout


def created(platform, name):
    """The platform's whole reply to the creation of a workspace, as the operator has it."""
    reply = platform.admin("POST", "/workspaces", {"name": name, "runtime": "external", "external": True})
    if "connection" not in reply or not reply["connection"].get("auth_token"):
        pytest.skip("this platform gives no token when it creates a workspace")
    platform.canaries.add(reply["connection"]["auth_token"])
    platform.created.append(type("Created", (), {"id": reply["id"]})())
    # The address it gives may be the one of its public name.
    reply["connection"]["platform_url"] = platform.url
    return reply


@pytest.mark.smoke
def test_joins_with_the_platforms_reply_and_leaves_without_a_trace(platform, daemon, ctl):
    reply = created(platform, "laptop")
    daemon.start()
    assert ctl("join", "--name", "laptop", stdin=json.dumps(reply)).startswith("laptop: online")
    assert json.loads(ctl("status", "--json"))["workspaces"][0]["id"] == reply["id"]
    daemon.restart()
    daemon.wait_state("laptop", "online")
    ctl("leave", "--forget")
    assert ctl("workspaces", "--json") == '{"workspaces":[]}\n'
    assert [path.name for path in daemon.state.rglob("*") if path.is_file()] == ["lock"]


def test_joins_with_an_environment_block(platform, daemon, ctl):
    scout = platform.create("scout")
    daemon.start()
    block = (f'export MOLECULE_WORKSPACE_ID="{scout.id}"\nMOLECULE_PLATFORM_URL={platform.url}\n'
             f"export MOLECULE_WORKSPACE_TOKEN='{scout.token}'\n")
    assert ctl("join", "--name", "scout", stdin=block).startswith("scout: online")
    assert ctl("join", "--name", "scout", stdin=block, status=73, said="is here already") == ""


def test_a_join_with_a_wrong_token_says_so(platform, daemon, ctl):
    scout = platform.create("scout")
    daemon.start()
    out = ctl("join", "--name", "scout", "--url", platform.url, "--workspace-id", scout.id, stdin="x" * 43,
              status=77)
    assert out.startswith("scout: auth_lost") and "token" in out
    assert daemon.status("scout")["state"] == "auth_lost"
    # And then with the right one.
    ctl("token", "set", stdin=scout.token)
    daemon.wait_state("scout", "online")


def test_shows_how_everything_is(platform, daemon, ctl, joined):
    platform.set_secret(joined, "OTHER", "other-value")
    table = ctl("status")
    assert "scout" in table and "online" in table and joined.token[:8] in table
    assert joined.token not in table
    assert joined.id in ctl("status", "-w", "scout")
    assert ctl("workspaces").split() == ["NAME", "STATE", "ID", "scout", "online", joined.id]
    metrics = ctl("metrics")
    assert 'molecule_workspace_state{workspace="scout",state="online"} 1' in metrics
    assert metrics.endswith("# EOF\n")


def test_hands_out_secrets(platform, daemon, ctl, joined):
    value = "value of the key, 'quoted' and $HOME"
    assert ctl("secrets", "get", "API_KEY") == value
    assert ctl("secrets", "list") == "API_KEY\n"
    done = subprocess.run(["sh", "-c", 'eval "$1"; printf %s "$API_KEY"', "sh",
                           ctl("secrets", "get", "--format", "env")], capture_output=True, text=True, check=True)
    assert done.stdout == value
    assert ctl("secrets", "get", "API_KEY", "NOPE", status=66, said="NOPE") == ""
    platform.set_secret(joined, "FRESH", "fresh-value")
    assert "FRESH" in ctl("secrets", "refresh")
    assert json.loads(ctl("secrets", "get", "--format", "json"))["FRESH"] == "fresh-value"


@pytest.mark.dev_platform
def test_secrets_that_are_old_are_said_to_be(start_platform, daemon, ctl):
    platform = start_platform()
    scout = platform.create("scout")
    platform.set_secret(scout, "API_KEY", "value-of-the-key")
    daemon.add(scout)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert ctl("secrets", "get", "API_KEY") == "value-of-the-key"
    with platform.dev.down():
        out = ctl("secrets", "get", "--max-age", "0", "API_KEY", said="the platform is out of reach")
        assert out == "value-of-the-key"


def test_lists_peers(platform, daemon, ctl, joined):
    other = platform.create("other", parent_id=joined.id)
    rows = json.loads(ctl("peers", "--refresh", "--json"))["peers"]
    assert [(row["name"], row["id"]) for row in rows] == [("other", other.id)]
    assert "other" in ctl("peers") and "other" not in ctl("peers", "nomatch")


def test_follows_events(platform, daemon, ctl, joined):
    child = ctl.start("events", "--follow", "--json", "--type", "workspace.state")
    assert json.loads(line_of(child.stdout))["snapshot"]["workspaces"][0]["state"] == "online"
    platform.pause(joined)
    daemon.refresh("scout")
    event = json.loads(line_of(child.stdout))
    assert event["data"]["state"] == "paused" and event["workspace"] == "scout"
    # The daemon may come and go.
    daemon.restart()
    snapshot = json.loads(line_of(child.stdout))
    assert snapshot["snapshot"]["workspaces"][0]["name"] == "scout"


def test_follows_events_for_people(platform, daemon, ctl, joined):
    child = ctl.start("events", "--follow", "--type", "workspace.state")
    while "scout" not in line_of(child.stdout):
        pass
    platform.pause(joined)
    daemon.refresh("scout")
    assert "paused" in line_of(child.stdout)
    ctl("secrets", "refresh", status=10, said="paused")
    assert ctl("refresh").startswith("scout: paused")


def test_rotates_the_token(platform, daemon, ctl, joined):
    before = joined.token
    said = ctl("token", "rotate")
    kept = daemon.kept_token(joined) or (daemon.etc / "scout.token").read_text().strip()
    daemon.canaries.add(kept)
    platform.canaries.add(kept)
    assert kept != before and kept[:8] in said and kept not in said
    assert platform.accepts(joined, kept) and not platform.accepts(joined, before)


def test_reloads(platform, daemon, ctl, joined):
    before = ctl("reload")
    daemon.add(platform.create("more"))
    after = ctl("reload")
    assert "more" in after and "more" not in before and before.strip()
    path = daemon.write("agentd.conf", "[daemon]\nnope = 1\n")
    ctl("reload", status=70, said=f"{path}:2: ")


def test_reports_for_as_long_as_a_command_runs(platform, daemon, ctl, joined):
    events = daemon.client.subscribe("workspace.report")
    out = ctl("report", "--current-task", "building", "--active-tasks", "2", "--", "sh", "-c", "echo done; exit 3",
              status=3)
    assert out == "done\n"
    assert events.next()["data"]["current_task"] == "building"
    assert not events.next()["data"]["current_task"]
    assert not daemon.status("scout")["report"]["active_tasks"]


def test_calls_any_method(platform, daemon, ctl, joined):
    assert json.loads(ctl("call", "daemon.info"))["pid"] == daemon.pid
    assert json.loads(ctl("call", "workspace.status", '["scout"]'))["id"] == joined.id
    assert json.loads(ctl("call", "secrets.get", "-", stdin='{"keys":["API_KEY"]}'))["missing"] == []
    ctl("call", "no.such", status=64, said="there is no method")
    ctl("call", "secrets.get", '{"keys":1}', status=64, said="keys must be an array of strings")


def test_says_when_nobody_is_there(daemon, ctl):
    ctl("status", status=69, said=str(daemon.socket))
    daemon.start()
    daemon.kill()
    ctl("status", status=69, said=str(daemon.socket))


def test_finds_the_daemon_of_its_user(daemon, ctl):
    runtime = daemon.dir / "runtime"
    runtime.mkdir(mode=0o700)
    env = {"XDG_RUNTIME_DIR": str(runtime), "XDG_CONFIG_HOME": str(daemon.home), "XDG_STATE_HOME": str(daemon.home)}
    program = os.path.join(os.environ["MOLECULE_BUILD_DIR"], "src/molecule-agentd")
    process = subprocess.Popen([program, "--user"], env={**daemon.env, **env}, stderr=subprocess.DEVNULL)
    try:
        wait_answer(runtime / "molecule.sock")
        assert json.loads(ctl("--user", "call", "daemon.info", env=env))["pid"] == process.pid
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.dev_platform
def test_installs_a_plugin_goes_back_and_removes_it(platform, daemon, ctl, joined):
    platform.publish("demo", {"rules/one.md": "be kind"}, version="1")
    child = ctl.start("plugin", "install", "demo")
    out, said = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0 and out.startswith("demo 1: installed, 2 files, ")
    # It may be too quick for each phase to be seen.
    assert all(line.startswith("demo: ") for line in said.splitlines()), said
    path = Path(re.search("path: (.*)", out)[1])
    assert (path / "rules/one.md").read_text() == "be kind"
    assert ctl("plugin", "verify", "demo") == "demo: as installed\n"

    platform.publish("demo", {"rules/one.md": "be quick"}, version="2")
    ctl("plugin", "install", "demo", "--quiet")
    assert (path / "rules/one.md").read_text() == "be quick"
    assert re.search(r"demo +2 +.* 1 +local://demo", ctl("plugin", "list"))
    (path / "rules/one.md").write_text("be loud")
    assert re.search(r"demo +changed +rules/one.md", ctl("plugin", "verify", status=65))

    assert ctl("plugin", "rollback", "demo").startswith("demo 1: is back\n")
    assert (path / "rules/one.md").read_text() == "be kind"
    ctl("plugin", "install", "demo", "--sha256", "0" * 64, "-q", status=65, said="SHA-256")
    assert ctl("plugin", "remove", "demo") == "demo: removed\n"
    assert not path.exists()
    ctl("plugin", "remove", "demo", status=66, said="demo")


@pytest.mark.dev_platform
def test_a_setup_that_fails_is_not_overlooked(platform, daemon, ctl, joined):
    platform.publish("demo", {"setup.sh": "echo no network; exit 3\n"})
    out = ctl("plugin", "install", "demo", "--run-setup", "-q",
              said="warning: setup.sh ended with status 3; it said last: no network")
    log = Path(re.search("setup.sh: failed; what it said: (.*)", out)[1])
    assert log.read_text() == "no network\n"
    ctl("plugin", "install", "demo", "--require-setup", "-q", status=76, said="no network")
