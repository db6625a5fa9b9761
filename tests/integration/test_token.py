# SPDX-License-Identifier: MIT
"""Tokens: given anew, rotated, revoked - and never lost."""

import os
import stat
import time

import pytest

from harness import RpcError

URL = "http://localhost:9/a2a"


def names(daemon):
    """What there is of tokens on disk."""
    return sorted(path.name for path in daemon.state.glob("tokens/*"))


def refused(daemon, method, **params):
    with pytest.raises(RpcError) as caught:
        daemon.call(method, workspace="scout", **params)
    return caught.value


# ---- given anew ----

@pytest.mark.smoke
def test_another_one_is_proven_stored_and_used(platform, daemon, scout):
    other = platform.mint(scout)
    assert daemon.call("token.set", workspace="scout", token=other) == {"prefix": other[:8]}
    assert daemon.kept_token(scout) == other
    assert stat.S_IMODE(daemon.token_path(scout).stat().st_mode) == 0o600
    platform.revoke(scout, scout.token)
    assert daemon.refresh("scout")["state"] == "online"
    daemon.restart()
    assert daemon.wait_state("scout", "online")["token"]["prefix"] == other[:8]


def test_one_that_does_not_work_changes_nothing(platform, daemon, scout):
    error = refused(daemon, "token.set", token="x" * 43)
    assert error.kind == "unauthorized"
    assert daemon.refresh("scout")["token"]["prefix"] == scout.token[:8]
    assert names(daemon) == []


def test_one_of_another_workspace_changes_nothing(platform, daemon, scout):
    other = platform.create("other")
    assert refused(daemon, "token.set", token=other.token).kind == "unauthorized"
    assert daemon.refresh("scout")["state"] == "online"


@pytest.mark.dev_platform
def test_one_that_cannot_be_proven_changes_nothing(platform, daemon, scout):
    other = platform.mint(scout)
    with platform.dev.down():
        error = refused(daemon, "token.set", token=other)
    assert (error.kind, error.data["retryable"]) == ("unavailable", True)
    assert names(daemon) == []
    assert daemon.refresh("scout")["token"]["prefix"] == scout.token[:8]


# ---- rotated ----

def test_rotation_revokes_the_old_one(platform, daemon, scout):
    prefix = daemon.call("token.rotate", workspace="scout")["prefix"]
    token = daemon.kept_token(scout)
    assert token[:8] == prefix == daemon.status("scout")["token"]["prefix"]
    assert platform.accepts(scout, token) and not platform.accepts(scout, scout.token)
    assert [row["prefix"] for row in platform.tokens(scout)] == [prefix]
    assert daemon.refresh("scout")["state"] == "online"
    assert names(daemon) == [daemon.token_path(scout).name]


@pytest.mark.dev_platform
@pytest.mark.parametrize("stage", [
    {"endpoint": "tokens", "method": "POST"},
    {"endpoint": "state"},
    {"endpoint": "tokens", "method": "GET"},
    {"endpoint": "tokens", "method": "DELETE"},
], ids=["minting", "proving", "listing", "revoking"])
def test_killed_during_a_rotation_it_has_a_token_that_works(platform, daemon, scout, stage):
    since = platform.dev.mark()
    hang = platform.dev.fault(workspace=scout, hang=True, **stage)
    daemon.client.send("token.rotate", workspace="scout")
    platform.dev.wait_held(scout, since=since, **stage)
    daemon.kill()
    hang.remove()

    daemon.start()
    prefix = daemon.wait_state("scout", "online")["token"]["prefix"]
    changed = stage.get("method") in ("GET", "DELETE")
    assert (prefix == scout.token[:8]) is not changed
    kept = [daemon.token_path(scout).name] if changed else []
    assert names(daemon) == kept, "what was not proven is dropped"
    daemon.call("token.rotate", workspace="scout")
    assert platform.accepts(scout, daemon.kept_token(scout))


@pytest.mark.dev_platform
@pytest.mark.parametrize("fault, kind", [
    ({"endpoint": "tokens", "method": "POST", "status": 500}, "unavailable"),
    ({"endpoint": "tokens", "method": "POST", "drop": "reply"}, "unavailable"),
    ({"endpoint": "tokens", "method": "POST", "json": {"auth_token": "two words"}},
     "platform_error"),
    ({"endpoint": "state", "status": 503}, "unavailable"),
], ids=["mint-500", "mint-lost", "mint-nonsense", "prove-503"])
def test_a_rotation_that_fails_keeps_the_old_one(platform, daemon, scout, fault, kind):
    platform.dev.fault(workspace=scout, times=1, **fault)
    assert refused(daemon, "token.rotate").kind == kind
    assert names(daemon) == []
    assert daemon.refresh("scout")["token"]["prefix"] == scout.token[:8]
    assert platform.accepts(scout, scout.token)


@pytest.mark.dev_platform
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_old_one_that_cannot_be_revoked_is_told(platform, daemon, scout, method):
    platform.dev.fault("tokens", scout, method=method, status=500, times=1)
    prefix = daemon.call("token.rotate", workspace="scout")["prefix"]
    daemon.wait_log(f"the old token \\({scout.token[:8]}...\\) was not revoked")
    assert platform.accepts(scout, daemon.kept_token(scout))
    assert daemon.kept_token(scout)[:8] == prefix


def test_a_full_house_mints_none(platform, daemon, scout):
    """50 live tokens: a 429 that names no time, and that no waiting ends."""
    while platform.call("POST", f"/workspaces/{scout.id}/tokens",
                        token=platform.admin_token).status < 300:
        pass
    assert refused(daemon, "token.rotate").kind == "rate_limited"
    assert daemon.refresh("scout")["token"]["prefix"] == scout.token[:8]


@pytest.mark.dev_platform
def test_one_change_at_a_time(platform, daemon, scout):
    since = platform.dev.mark()
    hang = platform.dev.fault("tokens", scout, hang=True)
    number = daemon.client.send("token.rotate", workspace="scout")
    platform.dev.wait_held(scout, since=since, endpoint="tokens")
    with daemon.connect() as other, pytest.raises(RpcError) as caught:
        other.call("token.rotate", workspace="scout")
    assert caught.value.kind == "conflict"
    hang.remove()
    assert daemon.client.answer(number)["prefix"] == daemon.kept_token(scout)[:8]


# ---- revoked ----

@pytest.mark.smoke
def test_revoked_it_says_what_to_do(platform, daemon, scout):
    events = daemon.events("workspace.state")
    platform.revoke_all(scout)
    error = refused(daemon, "workspace.refresh")
    assert error.kind == "unauthorized" and "have an operator mint one" in error.text
    assert events.next()["data"]["state"] == "auth_lost"
    status = daemon.status("scout")
    assert "mint one" in status["last_error"] and "token set" in status["last_error"]
    assert status["token"] == {"present": True, "prefix": scout.token[:8]}, "it may work again"
    assert 120 < daemon.next_attempt_in("scout") < 600

    token = platform.mint(scout)
    assert daemon.call("token.set", workspace="scout", token=token) == {"prefix": token[:8]}
    events.until_state("scout", "online")


def test_the_file_is_read_again_when_its_token_is_refused(platform, daemon, scout):
    events = daemon.events("workspace.state")
    token = platform.mint(scout)
    daemon.put_token("scout", token)
    platform.revoke(scout, scout.token)
    status = daemon.refresh("scout")
    assert (status["state"], status["token"]["prefix"]) == ("online", token[:8])
    assert "trying the one from the file" in daemon.log
    assert events.pending() == [], "it was never lost"


@pytest.mark.dev_platform
def test_a_late_refusal_of_the_old_one_says_nothing_of_the_new(platform, daemon, scout):
    """A heartbeat and a poll are refused at once: the first made us change the token."""
    events = daemon.events("workspace.state")
    for _ in range(10):
        token = platform.mint(scout)
        daemon.put_token("scout", token)
        since = platform.dev.mark()
        # Held, refused, let go: both answers leave together.
        beat, poll = (platform.dev.fault(endpoint, scout, hang=True)
                      for endpoint in ("heartbeat", "state"))
        number = daemon.client.send("workspace.refresh")
        for endpoint in ("heartbeat", "state"):
            platform.dev.wait_held(scout, since=since, endpoint=endpoint)
        platform.revoke_all(scout, but=token)
        beat.remove()
        poll.remove()
        assert daemon.client.answer(number)["token"]["prefix"] == token[:8]
    assert events.pending() == []


def test_a_file_that_comes_later_is_read_at_the_next_try(platform, daemon):
    scout = platform.create()
    daemon.add(scout, token_file=daemon.etc / "scout.token")
    daemon.start()
    daemon.wait_state("scout", "auth_lost")
    daemon.put_token("scout", scout.token)
    assert daemon.refresh("scout")["state"] == "online"


def test_a_reload_looks_for_a_token_too(platform, daemon, scout):
    platform.revoke_all(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "auth_lost")
    daemon.put_token("scout", platform.mint(scout))
    daemon.call("daemon.reload")
    daemon.wait_state("scout", "online")


# ---- files ----

@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused_at_the_start(platform, daemon, mode):
    scout = platform.create()
    daemon.add(scout)
    daemon.put_token("scout", scout.token, mode)
    daemon.start(ready=False)
    assert daemon.wait_exit() == 78
    assert f"is open to others (mode {mode:03o})" in daemon.log and "chmod 600" in daemon.log


def test_a_file_that_others_may_read_is_no_way_back(platform, daemon, scout):
    token = platform.mint(scout)
    daemon.put_token("scout", token, 0o644)
    platform.revoke(scout, scout.token)
    daemon.retry("scout")
    daemon.wait_state("scout", "auth_lost")
    daemon.wait_log(r"scout\.token.*open to others")
    (daemon.etc / "scout.token").chmod(0o600)
    daemon.retry("scout")
    daemon.wait_state("scout", "online")


def test_a_link_is_no_file(platform, daemon):
    scout = platform.create()
    daemon.put_token("elsewhere", scout.token)
    os.symlink("elsewhere.token", daemon.etc / "scout.token")
    daemon.add(scout, token_file=daemon.etc / "scout.token")
    daemon.start(ready=False)
    assert daemon.wait_exit() == 78
    assert "is no regular file" in daemon.log


@pytest.mark.dev_platform
def test_a_token_that_the_disk_does_not_take_is_kept_in_memory(platform, daemon):
    """It is the only copy: it is used, said loudly, and stored when that works again."""
    scout = platform.create(token=False)
    hang = platform.dev.fault("register", scout, hang=True)
    daemon.add(scout, reported_url=URL)
    daemon.start()
    platform.dev.wait_held(scout, endpoint="register")
    obstacle = daemon.state / "tokens"
    obstacle.rmdir()
    obstacle.write_text("")
    obstacle.chmod(0o600)
    hang.remove()
    daemon.wait_state("scout", "online")
    [warning] = daemon.call("daemon.status")["warnings"]
    assert (warning["code"], warning["severity"]) == ("token_not_saved", "critical")
    assert "in memory only" in warning["text"]

    obstacle.unlink()
    daemon.refresh("scout")
    assert daemon.call("daemon.status")["warnings"] == []
    assert platform.accepts(scout, daemon.kept_token(scout))
    daemon.restart()
    daemon.wait_state("scout", "online")


def test_a_state_directory_in_disorder_is_told(platform, daemon):
    scout = platform.create(token=False)
    daemon.add(scout, reported_url=URL)
    daemon.state.mkdir(mode=0o700)
    obstacle = daemon.write("obstacle", "", 0o600).rename(daemon.state / "tokens")
    daemon.start()
    assert "tokens" in daemon.wait_state("scout", "auth_lost")["last_error"]
    obstacle.unlink()
    assert daemon.refresh("scout")["state"] == "online"


def test_half_written_files_of_a_crash_are_cleared_away(platform, daemon, scout):
    daemon.call("token.rotate", workspace="scout")
    daemon.kill()
    unproven = daemon.state / "tokens" / (daemon.token_path(scout).name + ".unproven")
    unproven.write_text("half")
    unproven.chmod(0o600)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert names(daemon) == [daemon.token_path(scout).name]


@pytest.mark.dev_platform
def test_killed_again_and_again_it_still_has_a_token(platform, daemon, scout):
    """Wherever the blow falls: between mint and switch, or while files are written."""
    for attempt in range(12):
        daemon.client.send("token.rotate", workspace="scout")
        deadline = time.monotonic() + attempt * 0.002
        while time.monotonic() < deadline:
            pass
        daemon.kill()
        daemon.start()
        daemon.wait_state("scout", "online")
    token = daemon.kept_token(scout) or scout.token
    assert platform.accepts(scout, token)
    assert all(".unproven" not in name for name in names(daemon))


def test_a_join_does_not_replace_one_that_works(platform, daemon):
    """What comes with a join has not worked yet; what an earlier one left has."""
    scout = platform.create()
    daemon.start()

    def join(token):
        daemon.call("workspace.join", platform_url=platform.url, workspace_id=scout.id,
                    name="scout", token=token)
        return daemon.wait_state("scout", "online")

    join(scout.token)
    daemon.call("workspace.leave", workspace="scout")
    join("x" * 43)
    assert daemon.kept_token(scout) == scout.token
    daemon.call("workspace.leave", workspace="scout")

    token = platform.mint(scout)
    platform.revoke(scout, scout.token)
    join(token)
    assert daemon.kept_token(scout) == token
