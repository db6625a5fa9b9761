# SPDX-License-Identifier: MIT
"""Calls to peers: a thousand of them that nobody answers, and names that change their mind."""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import socket
import threading
import time

import pytest

from harness import Peer, RpcError
from network import Answer
from test_network import begin, home, network
from wire import rss_kib

__all__ = ["begin", "home", "network"]

QUIET = {"state_poll_interval": "1h", "secrets_refresh_interval": "0"}
NEAR = "127.0.0.0/8 ::1"


class Patience:
    """An agent that hears everybody at once, and answers them all when it is told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._heard: dict[socket.socket, bytes] = {}
        self._due: list[tuple[socket.socket, bytes]] = []
        self._grown = threading.Condition()
        self._open = self._over = False
        self.n_heard = 0
        self.url = f"http://localhost:{self._listener.getsockname()[1]}/a2a"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self, count: int, seconds: float) -> None:
        with self._grown:
            assert self._grown.wait_for(lambda: self.n_heard >= count, seconds), \
                f"{self.n_heard} of {count} calls have come"

    def open(self) -> None:
        self._open = True

    def stop(self) -> None:
        self._over = True
        self._thread.join()
        for connection in self._heard:
            connection.close()
        self._listener.close()

    def _run(self) -> None:
        while not self._over:
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    with contextlib.suppress(BlockingIOError):
                        connection, _ = self._listener.accept()
                        self._heard[connection] = b""
                        self._selector.register(connection, selectors.EVENT_READ)
                else:
                    self._read(key.fileobj)
            while self._open and self._due:
                self._answer(*self._due.pop())

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            del self._heard[connection]
            connection.close()
            return
        self._heard[connection] += data
        head, end, body = self._heard[connection].partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if end and len(body) >= length:
            self._heard[connection] = b""
            self._due.append((connection, body))
            with self._grown:
                self.n_heard += 1
                self._grown.notify_all()

    def _answer(self, connection: socket.socket, body: bytes) -> None:
        request = json.loads(body)
        text = request["params"]["message"]["parts"][0]["text"]
        data = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": {
            "kind": "message", "role": "agent", "messageId": "m",
            "parts": [{"kind": "text", "text": f"echo: {text}"}]}}).encode()
        with contextlib.suppress(OSError):
            connection.setblocking(True)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(data) + data)


@pytest.fixture
def many_files():
    """Two for each connection that both ends of are ours."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


IN_FLIGHT, WAITING, REFUSED = 1000, 100, 60
A_CONNECTION = 116      # calls; the daemon reads no more than 128 of one before it answers
SLOW_S = 25.0           # how long the peer takes
BEAT_S = 5.0


def beats(platform, scout, since):
    return [row["time"] for row in platform.dev.requests(scout, endpoint="heartbeat", since=since)]


@pytest.mark.plain
@pytest.mark.dev_platform
@pytest.mark.parametrize("route", ["direct", "proxy"])
def test_a_thousand_calls_to_a_slow_peer_disturb_nobody(start_platform, daemon, many_files, route):
    """What waits beyond that is counted, and what comes beyond that is told so at once."""
    platform = start_platform()
    scout, bob = platform.create("scout"), platform.create("bob")
    platform.set_secret(scout, "KEY", "the-value-of-the-key")
    patience = Patience()
    platform.dev.change(bob, url=patience.url)
    daemon.configure(daemon={"log_level": "warning"},
                     # One peer may have half.
                     calls={"max_calls": 2 * IN_FLIGHT, "max_waiting": 2 * WAITING})
    daemon.add(scout, heartbeat_interval=f"{BEAT_S:.0f}s", peer_networks=NEAR, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert daemon.call("secrets.get", keys=["KEY"])["values"]
    daemon.call("peers.list")
    memory, since, began = rss_kib(daemon.pid), platform.dev.mark(), time.monotonic()

    total = IN_FLIGHT + WAITING + REFUSED
    clients = [daemon.connect(timeout=120) for _ in range(total // A_CONNECTION)]
    numbers = [[client.send("a2a.send", to="bob", text=f"ping {n}", route=route,
                            timeout_ms=120_000)
                for n in range(A_CONNECTION)] for client in clients]
    patience.wait(IN_FLIGHT, 60)

    worst = 0.0
    while time.monotonic() - began < SLOW_S:
        asked = time.monotonic()
        assert daemon.call("secrets.get", keys=["KEY"])["values"]["KEY"]
        worst = max(worst, time.monotonic() - asked)
    assert patience.n_heard == IN_FLIGHT
    assert rss_kib(daemon.pid) - memory < 64 << 10
    assert worst < 3    # the bench says more

    patience.open()
    answers, refusals = [], []
    for client, mine in zip(clients, numbers):
        for n, number in enumerate(mine):
            try:
                answers.append(client.answer(number)["text"] == f"echo: ping {n}")
            except RpcError as error:
                refusals.append(error.kind)
    assert len(answers) == IN_FLIGHT + WAITING and all(answers)
    assert refusals == ["overloaded"] * REFUSED

    beat = daemon.status("scout")["heartbeat"]
    assert beat["failed"] == 0 and beat["sent"] >= int(SLOW_S / BEAT_S)
    if route == "direct":       # else it is the platform that has too much to do
        times = beats(platform, scout, since)
        assert all(later - sooner < 1.5 * BEAT_S for sooner, later in zip(times, times[1:]))
    assert daemon.call("a2a.send", to="bob", text="again")["text"] == "echo: again"
    print(f"worst secrets.get {worst * 1000:.1f} ms, RSS + {rss_kib(daemon.pid) - memory} KiB")
    patience.stop()


class Fickle(dict):
    """Names that resolve to something else each time: the addresses in turn."""

    def __init__(self, name, *answers):
        super().__init__()
        self.name, self.answers = name, list(answers)

    def get(self, name, default=None):
        if name != self.name:
            return super().get(name, default)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def inside(network):
    with Peer() as peer:
        yield peer


@pytest.mark.fast
@pytest.mark.dev_platform
@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("addresses", [
    [("127.0.0.1",)], [("::1",)], [("0.0.0.0",)], [("::ffff:127.0.0.1",)],
    [("198.18.0.9",), ("127.0.0.1",)],                      # one when it is checked, then another
    [("8.8.8.8",), ("8.8.8.8",), ("127.0.0.1",)],
    [("8.8.8.8", "127.0.0.1")], [("127.0.0.1", "8.8.8.8")],     # both at once
    [("169.254.169.254",)],
])
def test_a_name_that_leads_inside_is_not_followed(network, home, daemon, begin, inside, addresses):
    """What is dialled is what was judged, whatever the name says the next time."""
    network.names = Fickle("bob.test", *(Answer(entry, ttl=0) for entry in addresses))
    network.names["platform.test"] = Answer(("127.0.0.1",))
    begin()
    daemon.wait_state("scout", "online")
    bob = home.create("bob")
    home.dev.change(bob, url=f"http://bob.test:{inside.port}/a2a")
    for _ in range(4):
        with pytest.raises(RpcError) as caught:
            daemon.call("a2a.send", to=bob.id, text="ping", route="direct", timeout_ms=4000)
        assert caught.value.kind in ("unavailable", "timeout")
    assert "bob.test" in network.asked
    assert inside.n_connections == 0 and inside.requests == []


@pytest.mark.fast
@pytest.mark.dev_platform
@pytest.mark.usefixtures("as_root")
def test_a_kept_connection_is_judged_for_whoever_uses_it(network, home, daemon, begin, inside):
    """One workspace may call there, and does; that opens no way for the other."""
    network.names["platform.test"] = Answer(("127.0.0.1",))
    network.names["bob.test"] = Answer(("127.0.0.1",))
    other = home.create("other")
    daemon.add(other, peer_networks=NEAR, heartbeat_interval="10min", **QUIET)
    begin()
    daemon.wait_state("scout", "online")
    daemon.wait_state("other", "online")
    bob = home.create("bob")
    home.dev.change(bob, url=f"http://bob.test:{inside.port}/a2a")
    assert daemon.call("a2a.send", workspace="other", to=bob.id, text="ping")["route"] == "direct"
    with pytest.raises(RpcError) as caught:
        daemon.call("a2a.send", workspace="scout", to=bob.id, text="ping", route="direct")
    assert caught.value.kind == "unavailable"
    assert len(inside.requests) == 1
