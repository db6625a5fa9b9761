# SPDX-License-Identifier: MIT
"""A wall clock that jumps, and a process that was stopped for a while: what is due stays due."""

from __future__ import annotations

import calendar
import signal
import time
from pathlib import Path

import pytest

from harness import RpcError

pytestmark = [pytest.mark.dev_platform, pytest.mark.plain]

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
JUMPS = {"two hours ahead": "+2h", "two hours back": "-2h", "to 1970": "@1970-01-02 00:00:00",
         "beyond 2038": "@2040-06-01 12:00:00"}


class Clock:
    """What time the daemon takes it to be. Its monotonic clock is the true one."""

    def __init__(self, daemon):
        self.file = daemon.dir / "now"
        self.set("+0")
        self.env = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(self.file),
                    "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "TZ": "UTC"}

    def set(self, text):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text + "\n")
        fresh.rename(self.file)


@pytest.fixture
def clock(daemon):
    if not LIBRARIES:
        pytest.skip("there is no libfaketime")
    return Clock(daemon)


@pytest.fixture
def begin(platform, daemon):
    def start(env=None, **settings):
        scout = platform.create("scout")
        platform.set_secret(scout, "KEY", "canary of the clock")
        daemon.add(scout, **{"heartbeat_interval": "1s", "state_poll_interval": "2s",
                             "secrets_refresh_interval": "0", **settings})
        daemon.start(env=env)
        daemon.wait_state("scout", "online")
        daemon.call("secrets.refresh", workspace="scout")
        return scout

    return start


def gaps(rows):
    times = [row["time"] for row in rows]
    return [after - before for before, after in zip(times, times[1:])]


@pytest.mark.waits
@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_intervals_are_kept_when_the_clock_jumps(platform, daemon, clock, begin, jump):
    scout = begin(clock.env)
    events = daemon.events("workspace.state")
    since = platform.dev.mark()
    platform.dev.wait(scout, since=since, endpoint="heartbeat", count=2)
    clock.set(jump)
    rows = platform.dev.wait(scout, since=since, endpoint="heartbeat", count=6)
    assert all(0.6 < gap < 1.6 for gap in gaps(rows)), gaps(rows)
    assert len(platform.dev.requests(scout, since=since, endpoint="state")) <= 4
    assert platform.dev.requests(scout, since=since, endpoint="register") == []
    assert events.pending() == []
    # It did jump: what is shown is what the wall says.
    stamp = daemon.call("secrets.refresh", workspace="scout")["fetched_at"]
    shown = calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))
    assert abs(shown - time.time()) > 3600, stamp
    assert daemon.status("scout")["token"]["present"]


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_old_secrets_get_neither_older_nor_younger(platform, daemon, clock, begin, jump):
    scout = begin(clock.env, secrets_max_stale="1h")
    platform.dev.fault("secrets", scout, status=503)
    clock.set(jump)
    with pytest.raises(RpcError):
        daemon.call("secrets.refresh", workspace="scout")
    served = daemon.call("secrets.get", workspace="scout")
    assert served["values"] == {"KEY": "canary of the clock"} and served["stale"] is True


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_secrets_that_are_too_old_stay_so(platform, daemon, clock, begin, jump):
    scout = begin(clock.env, secrets_max_stale="1s")
    platform.dev.fault("secrets", scout, status=503)
    limit = time.monotonic() + 20
    while serves(daemon):
        assert time.monotonic() < limit
    clock.set(jump)
    assert not serves(daemon)


def serves(daemon):
    try:
        daemon.call("secrets.get", workspace="scout", max_age_ms=0)
        return True
    except RpcError as error:
        assert error.kind in ("unavailable", "rate_limited", "platform_error"), repr(error)
        return False


@pytest.mark.waits
@pytest.mark.parametrize("seconds", [6, 90])
def test_stopped_for_a_while_it_catches_up_once(platform, daemon, clock, begin, seconds):
    """As a laptop that sleeps: the wall clock went on, and the platform's patience with it."""
    scout = begin(clock.env)
    mark = platform.dev.mark()
    platform.dev.wait(scout, since=mark, endpoint="heartbeat", count=2)
    daemon.signal(signal.SIGSTOP)
    since = platform.dev.mark()
    platform.dev.none_within(seconds, scout, since=since + 1)
    clock.set(f"+{seconds}")
    since = platform.dev.mark()
    daemon.signal(signal.SIGCONT)
    rows = platform.dev.wait(scout, since=since, endpoint="heartbeat", count=4)
    assert rows[3]["time"] - rows[0]["time"] > 1.5, "the beats it has missed are not made up for"
    assert daemon.status("scout")["state"] == "online"
    assert daemon.call("secrets.get", workspace="scout")["values"]
