# SPDX-License-Identifier: MIT
"""Names that do not resolve, and packets that do not arrive.

The daemon and its platform are in a network namespace of their own, with a resolver
that says what it is told.
"""

from __future__ import annotations

import shutil
import time
import urllib.parse

import pytest

from harness import Platform, RpcError
from network import NXDOMAIN, SERVFAIL, Answer, Network, run

pytestmark = [pytest.mark.dev_platform, pytest.mark.usefixtures("as_root")]

NAME = "platform.test"
DEADLINE_S = 10.0   # of a request


@pytest.fixture
def network(platform):
    # The platform of all tests must be in the usual network: so it is asked for first.
    for program in ("ip", "unshare", "nft"):
        if not shutil.which(program):
            pytest.skip(f"there is no {program}")
    try:
        network = Network()
        network.__enter__()
    except OSError as why:
        pytest.skip(f"there cannot be a network namespace here: {why}")
    yield network
    network.__exit__()


@pytest.fixture
def home(network):
    platform = Platform.start()
    yield platform
    platform.stop()


@pytest.fixture
def begin(network, home, daemon):
    """Starts a daemon that knows the platform by its name."""

    def start(options="timeout:1 attempts:2", **settings):
        scout = home.create("scout")
        port = urllib.parse.urlsplit(home.url).port
        daemon.add(scout, platform_url=f"http://{NAME}:{port}", allow_http=True, **{
            "heartbeat_interval": "10min", "state_poll_interval": "1h",
            "secrets_refresh_interval": "0", **settings})
        daemon.start(before=network.resolve(daemon.dir, options))
        return scout

    return start


def answers_at_once(daemon):
    """Whatever else it waits for."""
    began = time.monotonic()
    with daemon.connect() as client:
        assert client.call("daemon.info")["version"]
    # A turn is to take 50 ms at most; the machine may be busy, too.
    assert time.monotonic() - began < 1


@pytest.mark.fast
@pytest.mark.parametrize("error", [NXDOMAIN, SERVFAIL], ids=["NXDOMAIN", "SERVFAIL"])
def test_a_name_that_is_not_there(network, daemon, begin, error):
    network.names[NAME] = Answer(error=error)
    begin()
    daemon.wait_log("try_failed|cannot resolve|resolve")
    status = daemon.wait_state("scout", "joining", "unreachable")
    assert NAME in (status["last_error"] or NAME)
    answers_at_once(daemon)
    network.names[NAME] = Answer(("127.0.0.1",))
    daemon.wait_state("scout", "online")


@pytest.mark.waits
def test_a_resolver_that_says_nothing(network, daemon, begin):
    network.names[NAME] = Answer(never=True)
    begin(options="timeout:30 attempts:1")
    for _ in range(20):
        answers_at_once(daemon)
    status = daemon.wait_state("scout", "unreachable", timeout=90)
    assert NAME in status["last_error"]
    answers_at_once(daemon)


def test_stops_at_once_while_a_name_is_looked_up(network, daemon, begin):
    network.names[NAME] = Answer(never=True)
    begin(options="timeout:30 attempts:1")
    daemon.wait_log("joining|ready")
    while NAME not in network.asked:
        answers_at_once(daemon)
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 3


@pytest.mark.waits
def test_a_resolver_that_takes_its_time(network, daemon, begin):
    """Slower than a deadline: it comes to nothing, and the next try has the answer at hand or not."""
    network.names[NAME] = Answer(("127.0.0.1",), seconds=20)
    begin(options="timeout:30 attempts:1")
    until = time.monotonic() + 12
    while time.monotonic() < until:
        answers_at_once(daemon)
    network.names[NAME] = Answer(("127.0.0.1",))
    daemon.wait_state("scout", "online", timeout=60)


def test_many_addresses_of_which_one_is_alive(network, daemon, begin):
    network.names[NAME] = Answer(tuple(f"127.0.1.{i}" for i in range(1, 51)) + ("127.0.0.1",))
    begin()
    daemon.wait_state("scout", "online")


def test_a_black_hole_in_ipv6(network, daemon, begin):
    run("ip", "-6", "address", "add", "fd00::1/64", "dev", "lo", "nodad")
    network.drop("ip6 daddr fd00::1")
    network.names[NAME] = Answer(("fd00::1", "127.0.0.1"))
    begin()
    began = time.monotonic()
    daemon.wait_state("scout", "online")
    assert time.monotonic() - began < 5


@pytest.mark.waits
def test_a_platform_that_moves(network, home, daemon, begin):
    """The old address is dead: the new one is used as soon as the name may be asked for again."""
    port = urllib.parse.urlsplit(home.url).port
    old = network.forward("127.0.0.2", ("127.0.0.1", port))
    network.names[NAME] = Answer(("127.0.0.2",))
    begin(heartbeat_interval="2s")
    daemon.wait_state("scout", "online")
    assert old.accepted

    old.stop()
    new = network.forward("127.0.0.3", ("127.0.0.1", port))
    network.names[NAME] = Answer(("127.0.0.3",))
    events = daemon.events("workspace.state")
    daemon.wait_state("scout", "online", "unreachable")
    # Names are remembered for 60 s, and by then it may be a minute to the next try.
    limit = time.monotonic() + 150
    while not new.accepted:
        assert time.monotonic() < limit, "it stays with an address that is dead"
        try:
            events.next(timeout=1)
        except TimeoutError:
            pass
    daemon.wait_state("scout", "online", timeout=60)


# ---- half-open connections ----

def lost(daemon, number, began):
    """The call ends when its time is over, not earlier and not much later."""
    with pytest.raises(RpcError) as caught:
        daemon.client.answer(number, timeout=30)
    took = time.monotonic() - began
    assert caught.value.kind == "unavailable", repr(caught.value)
    assert DEADLINE_S * 0.9 < took < DEADLINE_S * 1.1, took


@pytest.mark.waits
@pytest.mark.parametrize("when", ["before the request", "before the reply", "amid the reply"])
def test_half_open(network, home, daemon, begin, when):
    network.names[NAME] = Answer(("127.0.0.1",))
    scout = begin()
    home.set_secret(scout, "KEY", "x" * 20000)
    daemon.wait_state("scout", "online")
    daemon.call("secrets.refresh", workspace="scout")
    port = urllib.parse.urlsplit(home.url).port
    since = home.dev.mark()

    if when == "before the reply":
        home.dev.fault("secrets", scout, hang=True)
    elif when == "amid the reply":
        home.dev.fault("secrets", scout, slow={"bytes": 100, "every_ms": 100, "part": "body"})
    else:
        network.drop(f"tcp dport {port}")
    began = time.monotonic()
    number = daemon.client.send("secrets.refresh", workspace="scout")
    if when == "before the reply":
        home.dev.wait_held(scout, since=since, endpoint="secrets")
    elif when == "amid the reply":
        # On its way; a few calls later some of it has arrived, and all of it takes 20 s.
        home.dev.wait(scout, since=since, endpoint="secrets")
        for _ in range(20):
            answers_at_once(daemon)
    if when != "before the request":
        network.drop(f"tcp dport {port}")
        network.drop(f"tcp sport {port}")
    for _ in range(20):
        answers_at_once(daemon)
    lost(daemon, number, began)

    network.heal()
    home.dev.clear_faults()
    # Not on the connection that is gone, which would take the same time again.
    began = time.monotonic()
    daemon.call("secrets.refresh", workspace="scout")
    assert time.monotonic() - began < 3
