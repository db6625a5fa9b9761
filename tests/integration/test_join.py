# SPDX-License-Identifier: MIT
"""How a workspace gets onto the platform."""

import json
import stat

import pytest

from harness import RpcError

# A name that every platform takes for an address, and that nobody has to answer.
URL = "http://localhost:9/a2a"
CARD = {"name": "scout", "description": "looks “around”", "skills": [{"id": "look"}]}


def join(daemon, workspace, **params):
    return daemon.call("workspace.join", platform_url=workspace.platform.url,
                       workspace_id=workspace.id, name=workspace.name, **params)


# ---- where the token comes from ----

@pytest.mark.smoke
def test_with_the_token_of_a_file(platform, daemon):
    scout = platform.create()
    daemon.add(scout)
    daemon.start()
    status = daemon.wait_state("scout", "online")
    assert status["id"] == scout.id and status["platform_url"] == platform.url
    assert status["token"] == {"present": True, "prefix": scout.token[:8]}
    assert status["platform_status"] == "online" and status["last_error"] is None
    assert platform.status(scout) == "online"


def test_with_a_credential_of_systemd(platform, daemon):
    scout = platform.create()
    daemon.put_token("secret", scout.token)
    daemon.add(scout, token_credential="secret.token")
    daemon.start(env={"CREDENTIALS_DIRECTORY": str(daemon.etc)})
    assert daemon.wait_state("scout", "online")["token"]["prefix"] == scout.token[:8]
    assert daemon.kept_token(scout) == "", "a credential needs no second copy"


def test_a_credential_that_was_not_loaded_is_named(platform, daemon):
    scout = platform.create()
    daemon.add(scout, token_credential="secret.token")
    daemon.start()
    status = daemon.wait_state("scout", "auth_lost")
    assert "secret.token" in status["last_error"] and "LoadCredential" in status["last_error"]


def test_with_the_token_that_the_sdk_left(platform, daemon):
    scout = platform.create()
    left = daemon.home / ".molecule" / scout.id / ".auth_token"
    left.parent.mkdir(parents=True)
    left.write_text(scout.token)
    left.chmod(0o600)
    daemon.add(scout, token="")
    daemon.start()
    assert daemon.wait_state("scout", "online")["token"]["prefix"] == scout.token[:8]
    assert left.read_text() == scout.token


def test_a_token_that_came_with_the_join_is_kept(platform, daemon):
    scout = platform.create()
    daemon.start()
    assert join(daemon, scout, token=scout.token)["state"] == "online"
    assert daemon.kept_token(scout) == scout.token
    daemon.restart()
    assert daemon.wait_state("scout", "online")["token"]["prefix"] == scout.token[:8]


def test_an_id_in_upper_case_is_the_same_id(platform, start_daemon):
    """The platform takes it for another one, and refuses the token."""
    scout = platform.create()
    loud = platform.create("loud")
    by_file, by_call = start_daemon(), start_daemon()
    by_file.add(scout, workspace_id=scout.id.upper())
    by_file.start()
    assert by_file.wait_state("scout", "online")["id"] == scout.id
    by_call.start()
    status = by_call.call("workspace.join", platform_url=platform.url, name="loud",
                          workspace_id=loud.id.upper(), token=loud.token)
    assert (status["state"], status["id"]) == ("online", loud.id)


@pytest.mark.parametrize("text", ["ROTATE_TO_REVEAL_TOKEN", "<ROTATE_TO_REVEAL_TOKEN>",
                                  "two words", "ex", "line\none-more"])
def test_what_is_no_token_is_not_sent(platform, daemon, text):
    scout = platform.create()
    daemon.start()
    with pytest.raises(RpcError) as refused:
        join(daemon, scout, token=text)
    assert refused.value.kind == "invalid_params" and "token" in refused.value.text
    assert daemon.call("workspace.list")["workspaces"] == []
    daemon.stop()

    daemon.add(scout, token=text)
    daemon.start()
    assert "holds no token" in daemon.wait_state("scout", "auth_lost")["last_error"] or (
        "more than one line" in daemon.status("scout")["last_error"])
    if platform.standin:
        assert platform.dev.requests(scout, endpoint="state") == []


# ---- without one ----

def test_registers_once_and_keeps_what_it_gets(platform, daemon):
    scout = platform.create(token=False)
    daemon.add(scout, reported_url=URL)
    daemon.start()
    status = daemon.wait_state("scout", "online")
    token = daemon.kept_token(scout)
    assert status["token"] == {"present": True, "prefix": token[:8]}
    assert platform.accepts(scout, token)
    assert stat.S_IMODE(daemon.token_path(scout).stat().st_mode) == 0o600
    assert platform.show(scout)["url"] == URL

    daemon.restart()
    assert daemon.wait_state("scout", "online")["token"]["prefix"] == token[:8]
    assert daemon.kept_token(scout) == token


def test_registers_an_id_that_is_new_to_the_platform(platform, daemon):
    scout = platform.unborn()
    daemon.start()
    assert join(daemon, scout, reported_url=URL)["state"] == "online"
    assert platform.accepts(scout, daemon.kept_token(scout))


@pytest.mark.dev_platform
@pytest.mark.parametrize("endpoint", ["state", "heartbeat"])
def test_a_token_is_on_disk_before_it_is_used(platform, daemon, endpoint):
    """The daemon is killed while the platform has not answered anything after the register."""
    scout = platform.create(token=False)
    hang = platform.dev.fault(endpoint, scout, hang=True)
    daemon.add(scout, reported_url=URL, heartbeat_interval="1s")
    daemon.start()
    if endpoint == "heartbeat":
        platform.dev.wait(scout, endpoint="state")
    platform.dev.wait_held(scout, endpoint=endpoint)
    token = daemon.kept_token(scout)
    assert token and stat.S_IMODE(daemon.token_path(scout).stat().st_mode) == 0o600
    daemon.kill()
    hang.remove()

    daemon.start()
    assert daemon.wait_state("scout", "online")["token"]["prefix"] == token[:8]
    assert daemon.kept_token(scout) == token
    # It has an inbound URL to tell of, and says who it is when it does.
    first, *later = platform.dev.requests(scout, endpoint="register")
    assert "Authorization" not in dict(first["headers"])
    assert all(dict(row["headers"])["Authorization"] == f"Bearer {token}" for row in later)


@pytest.mark.dev_platform
def test_a_restart_does_not_register_what_has_nothing_to_register(start_platform, daemon):
    platform = start_platform(generation="2026-08")
    scout = platform.create(token=False)
    daemon.add(scout)
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.dev.wait(scout, endpoint="register", status=200)
    since = platform.dev.mark()
    daemon.restart()
    daemon.wait_state("scout", "online")
    assert platform.dev.requests(scout, since=since, endpoint="register") == []


@pytest.mark.dev_platform
def test_without_token_and_url_it_says_what_is_missing(platform, daemon):
    """2026-04 registers nobody without an inbound URL."""
    scout = platform.create(token=False)
    daemon.add(scout)
    daemon.start()
    error = daemon.wait_state("scout", "auth_lost")["last_error"]
    assert "without an inbound URL" in error and "token set" in error
    urls = [json.loads(row["body"]).get("url") for row in
            platform.dev.requests(scout, endpoint="register")]
    assert urls == ["remote://no-inbound", None]


def test_a_token_that_is_elsewhere_leaves_two_ways_out(platform, daemon):
    scout = platform.create()
    daemon.add(scout, token="", reported_url=URL)
    daemon.start()
    status = daemon.wait_state("scout", "auth_lost")
    assert "mint another" in status["last_error"] and "all its tokens revoked" in (
        status["last_error"])
    with pytest.raises(RpcError) as refused:
        daemon.call("peers.list", workspace="scout")
    assert refused.value.kind == "unauthorized"
    [warning] = daemon.call("daemon.status")["warnings"]
    assert (warning["code"], warning["severity"]) == ("auth_lost", "critical")

    assert daemon.call("token.set", workspace="scout", token=scout.token) == {
        "prefix": scout.token[:8]}
    daemon.wait_state("scout", "online")
    assert daemon.call("daemon.status")["warnings"] == []


def test_it_registers_when_all_tokens_have_been_revoked(platform, daemon):
    scout = platform.create()
    daemon.add(scout, token="", reported_url=URL)
    daemon.start()
    daemon.wait_state("scout", "auth_lost")
    platform.revoke_all(scout)
    assert daemon.refresh("scout")["state"] == "online"
    assert platform.accepts(scout, daemon.kept_token(scout))


@pytest.mark.dev_platform
def test_a_lost_reply_to_the_first_register_is_not_hammered_at(platform, daemon):
    """The token in it is lost, too: only a person can help, and takes minutes to do so."""
    scout = platform.create(token=False)
    platform.dev.fault("register", scout, drop="reply", times=1)
    daemon.add(scout, reported_url=URL)
    daemon.start()
    status = daemon.wait_state("scout", "auth_lost")
    assert "mint another" in status["last_error"] and "revoked" in status["last_error"]
    assert daemon.kept_token(scout) == ""

    since = platform.dev.mark()
    wait = daemon.next_attempt_in("scout")
    assert 120 < wait < 600, "minutes, not seconds"
    platform.dev.none_within(1.5, scout, since=since)
    daemon.stop()


@pytest.mark.dev_platform
def test_a_paused_workspace_is_not_registered_back_to_life(platform, daemon):
    """On 2026-04 a register ends the pause, which is not for us to end."""
    scout = platform.create(token=False)
    platform.pause(scout)
    daemon.add(scout, reported_url=URL)
    daemon.start()
    assert "is paused" in daemon.wait_state("scout", "auth_lost")["last_error"]
    assert platform.status(scout) == "paused"
    assert platform.dev.requests(scout, endpoint="register") == []


# ---- what is said on the way ----

def test_shows_its_card_without_registering(platform, daemon):
    scout = platform.create()
    card = daemon.write("scout.json", json.dumps(CARD))
    daemon.add(scout, agent_card=card)
    daemon.start()
    daemon.wait_state("scout", "online")
    shown = platform.show(scout)
    assert (shown["agent_card"], shown["url"]) == (CARD, "")
    if platform.standin:
        assert platform.dev.requests(scout, endpoint="register") == []


def test_registers_its_url_and_card(platform, daemon):
    scout = platform.create()
    daemon.add(scout, reported_url=URL, agent_card=daemon.write("scout.json", json.dumps(CARD)))
    daemon.start()
    assert daemon.wait_state("scout", "online")["features"]["registered_by"] == "url"
    shown = platform.show(scout)
    assert (shown["agent_card"], shown["url"]) == (CARD, URL)


@pytest.mark.dev_platform
def test_with_a_token_a_heartbeat_is_enough(platform, daemon):
    scout = platform.create()
    daemon.add(scout)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert [row["endpoint"] for row in platform.dev.wait(scout, count=3)][:3] == [
        "state", "heartbeat", "state"]
    beat = platform.dev.requests(scout, endpoint="heartbeat")[0]
    assert dict(beat["headers"])["Authorization"] == f"Bearer {scout.token}"
    assert "Origin" not in dict(beat["headers"])
    body = json.loads(beat["body"])
    assert body["workspace_id"] == scout.id and body["runtime_state"] == ""
    assert isinstance(body["uptime_seconds"], int) and isinstance(body["active_tasks"], int)


def test_a_url_that_is_refused_leaves_the_heartbeat(platform, daemon):
    scout = platform.create()
    daemon.add(scout, reported_url="http://127.0.0.1:9/")
    daemon.start()
    daemon.wait_state("scout", "online")
    if platform.standin:
        daemon.wait_log("the platform refuses reported_url")
        assert platform.show(scout)["url"] == ""


def test_the_card_can_be_replaced(platform, daemon):
    scout = platform.create()
    daemon.start()
    join(daemon, scout, token=scout.token, agent_card=CARD)
    daemon.wait_state("scout", "online")
    assert daemon.call("workspace.update_card", workspace="scout",
                       agent_card={"name": "other", "n": 1.50}) == {"updated": True}
    assert platform.show(scout)["agent_card"] == {"name": "other", "n": 1.5}

    daemon.restart()
    daemon.wait_state("scout", "online")
    assert platform.show(scout)["agent_card"] == {"name": "other", "n": 1.5}


# ---- joining and leaving at run time ----

def test_a_workspace_is_joined_once(platform, daemon):
    scout = platform.create()
    daemon.start()
    join(daemon, scout, token=scout.token)
    for again in ({"name": "scout"}, {"name": "other"}):
        with pytest.raises(RpcError) as refused:
            daemon.call("workspace.join", platform_url=platform.url, workspace_id=scout.id, **again)
        assert refused.value.kind == "conflict"
    [row] = daemon.call("workspace.list")["workspaces"]
    assert row == {"id": scout.id, "name": "scout", "state": "online"}


def test_one_that_has_left_comes_back_with_its_token(platform, daemon):
    scout = platform.create()
    daemon.start()
    join(daemon, scout, token=scout.token)
    assert daemon.call("workspace.leave", workspace="scout") == {"left": True}
    daemon.restart()
    assert daemon.call("workspace.list")["workspaces"] == []
    assert daemon.kept_token(scout) == scout.token
    assert join(daemon, scout)["state"] == "online"


def test_one_that_is_forgotten_leaves_nothing(platform, daemon):
    scout = platform.create()
    daemon.start()
    join(daemon, scout, token=scout.token, agent_card=CARD)
    daemon.call("workspace.leave", workspace="scout", forget=True)
    left = [path.name for path in daemon.state.rglob("*") if path.is_file()]
    assert left == ["lock"]


@pytest.mark.dev_platform
def test_a_reload_in_the_middle_does_not_stop_it(platform, daemon):
    """Another heartbeat interval, while the joining sequence waits for its own heartbeat."""
    scout = platform.create()
    daemon.add(scout)
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.set_secret(scout, "KEY", "canary-in-the-middle")
    since = platform.dev.mark()
    hang = platform.dev.fault("heartbeat", scout, hang=True)
    daemon.call("token.set", workspace="scout", token=platform.mint(scout))
    platform.dev.wait_held(scout, since=since, endpoint="heartbeat")
    held = platform.dev.fault("secrets", scout, hang=True)
    number = daemon.client.send("secrets.refresh", workspace="scout")
    platform.dev.wait_held(scout, since=since, endpoint="secrets")

    daemon.add(scout, heartbeat_interval="7s", secrets_refresh_interval="3min")
    daemon.connect().call("daemon.reload")
    hang.remove()
    held.remove()
    assert daemon.client.answer(number)["keys"] == ["KEY"], "nor what a client waits for"
    status = daemon.refresh("scout")
    assert (status["state"], status["heartbeat"]["interval_ms"]) == ("online", 7000)
