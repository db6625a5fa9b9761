# SPDX-License-Identifier: MIT
"""Reading the configuration again: all of it or nothing."""

import signal

import pytest

from harness import Closed, RpcError


def names(daemon):
    return [row["name"] for row in daemon.call("workspace.list")["workspaces"]]


def hang_up(daemon):
    """SIGHUP; until it says that it is ready again."""
    daemon.messages.clear()
    daemon.signal(signal.SIGHUP)
    daemon.wait_message("RELOADING=1")
    daemon.wait_message("READY=1")


@pytest.fixture
def two(platform, daemon):
    """A daemon with two workspaces, and a third that is not configured yet."""
    workspaces = [platform.create(name) for name in ("alpha", "beta", "gamma")]
    for workspace in workspaces[:2]:
        daemon.add(workspace)
    daemon.start()
    for workspace in workspaces[:2]:
        daemon.wait_state(workspace.name, "online")
    return workspaces


@pytest.mark.smoke
def test_joins_what_is_new_and_leaves_what_is_gone(platform, daemon, two):
    alpha, beta, gamma = two
    before = daemon.status("alpha")
    daemon.add(gamma)
    (daemon.workspaces / "beta.conf").unlink()
    hang_up(daemon)
    assert names(daemon) == ["alpha", "gamma"]
    daemon.wait_state("gamma", "online")
    after = daemon.status("alpha")
    assert after["since"] == before["since"]
    assert after["uptime_ms"] >= before["uptime_ms"]


def test_says_what_has_changed(daemon, two):
    assert daemon.call("daemon.reload") == {"changed": [], "unchanged": True}
    daemon.add(two[2])
    daemon.configure(daemon={"log_level": "info"}, rpc={"max_connections": 7})
    assert daemon.call("daemon.reload") == {
        "changed": ["daemon.log_level", "rpc.max_connections", "gamma"], "unchanged": False}
    assert daemon.call("daemon.reload")["unchanged"]


def test_a_reload_is_told_to_subscribers(daemon, two):
    events = daemon.client.subscribe("workspace.state")
    (daemon.workspaces / "beta.conf").unlink()
    daemon.add(two[2])
    daemon.call("daemon.reload")
    assert events.until_state("beta", "leaving")["data"]["before"] == "online"
    assert events.until_state("gamma", "online")["data"]["before"] == "joining"
    assert [event["workspace"] for event in events.seen] == ["beta", "gamma"]


@pytest.mark.dev_platform
def test_a_new_interval_needs_no_new_join(platform, daemon, two):
    alpha = two[0]
    before, mark = daemon.status("alpha"), platform.dev.mark()
    daemon.add(alpha, heartbeat_interval="1s", state_poll_interval="1s")
    assert daemon.call("daemon.reload")["changed"] == ["alpha"]
    platform.dev.wait(alpha, endpoint="heartbeat", since=mark, count=3)
    after = daemon.status("alpha")
    assert after["since"] == before["since"] and after["state"] == "online"
    assert after["heartbeat"]["interval_ms"] == 1000
    assert platform.dev.requests(alpha, endpoint="register", since=mark) == []


@pytest.mark.dev_platform
def test_a_workspace_that_became_another_is_joined_anew(platform, daemon, two):
    alpha, _, gamma = two
    daemon.add(gamma, name="alpha")
    assert daemon.call("daemon.reload")["changed"] == ["alpha"]
    assert daemon.wait_state("alpha", "online")["id"] == gamma.id
    platform.dev.wait(gamma, endpoint="heartbeat")


WRONG = [
    ("agentd.conf", "[daemon]\nlog_levle = info\n", 2, "log_level"),
    ("agentd.conf", "[daemon]\nlog_level = loud\n", 2, "log_level"),
    ("agentd.conf", "[daemonic]\n", 1, "daemonic"),
    ("agentd.conf", "# fine\n[rpc]\nmax_connections = many\n", 3, "max_connections"),
    ("workspaces.d/beta.conf", "[workspace]\nplatform_url = nope\n", 2, "platform_url"),
    ("workspaces.d/gamma.conf", "[workspace]\n\ntoken = abc\n", 3, "token"),
    ("agentd.conf.d/10-more.conf", "[defaults]\nheartbeat_interval = 1h\n", 2, "heartbeat_interval"),
]


@pytest.mark.parametrize("name, text, line, said", WRONG, ids=[row[0] + ":" + row[3] for row in WRONG])
def test_a_wrong_file_changes_nothing_and_is_named(daemon, two, name, text, line, said):
    daemon.add(two[2], name="delta")
    (daemon.etc / name).parent.mkdir(exist_ok=True)
    place = f"{daemon.write(name, text)}:{line}: "
    with pytest.raises(RpcError) as caught:
        daemon.call("daemon.reload")
    assert caught.value.text.startswith(place) and said in caught.value.text
    assert names(daemon) == ["alpha", "beta"]

    since = len(daemon.log)
    hang_up(daemon)
    daemon.wait_log(r"nothing has changed: .*" + name.replace(".", r"\.") + f":{line}: ", since=since)
    assert names(daemon) == ["alpha", "beta"]
    assert daemon.status("beta")["state"] == "online"


def test_a_file_that_is_gone_changes_nothing(daemon, two):
    (daemon.etc / "agentd.conf").unlink()
    with pytest.raises(RpcError, match="agentd.conf"):
        daemon.call("daemon.reload")
    assert names(daemon) == ["alpha", "beta"]


def test_what_needs_a_restart_is_said(daemon, two):
    daemon.configure(daemon={"socket": daemon.dir / "other.sock"})
    assert daemon.call("daemon.reload")["changed"] == ["daemon.socket"]
    daemon.wait_log(r"daemon\.socket .*next restart")
    assert daemon.connect().call("daemon.info")
    assert not (daemon.dir / "other.sock").exists()


def test_limits_hold_at_once(daemon, two):
    daemon.configure(rpc={"max_request_bytes": "4K"})
    daemon.call("daemon.reload")
    with pytest.raises(RpcError) as caught:
        client = daemon.connect()
        client.write(b'["' + b"x" * 5000 + b'"]\n')
        raise RpcError(client.read()["error"])
    assert caught.value.kind == "too_large"


def test_what_was_joined_at_run_time_stays(platform, daemon, two):
    gamma = two[2]
    daemon.call("workspace.join", platform_url=platform.url, workspace_id=gamma.id,
                token=gamma.token, name="gamma")
    assert daemon.call("daemon.reload")["changed"] == []
    assert names(daemon) == ["alpha", "beta", "gamma"]
    daemon.restart()
    assert daemon.wait_state("gamma", "online")["id"] == gamma.id


@pytest.mark.dev_platform
def test_a_call_of_a_workspace_that_leaves_is_answered(platform, daemon, two):
    daemon.call("secrets.get", workspace="beta")
    fault = platform.dev.fault("secrets", two[1], hang=True)
    client = daemon.connect()
    number = client.send("secrets.refresh", workspace="beta")
    client.call("daemon.info")
    (daemon.workspaces / "beta.conf").unlink()
    daemon.call("daemon.reload")
    with pytest.raises(RpcError) as caught:
        client.answer(number)
    assert caught.value.kind in ("not_found", "unavailable"), caught.value
    fault.remove()
    assert names(daemon) == ["alpha"]


def test_the_environment_outlives_a_reload(daemon):
    daemon.configure(daemon={"log_level": "warning"})
    daemon.start(env={"MOLECULE_LOG_LEVEL": "debug", "MOLECULE_SOCKET": str(daemon.dir / "env.sock")})
    daemon.socket = daemon.dir / "env.sock"
    daemon.configure(daemon={"log_level": "error"})
    assert daemon.call("daemon.reload")["unchanged"]


def test_reloading_while_it_stops_does_no_harm(daemon, two):
    client = daemon.connect()
    client.call("daemon.info")
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        daemon.signal(number)
    with pytest.raises(Closed):
        client.read()
    assert daemon.wait_exit() == 0
