# SPDX-License-Identifier: MIT
"""Calls that wait: out of order, cancelled, left behind, too many, too long."""

import json

import pytest

from harness import RpcError
from wire import Wire, descriptors, info, notification, request, rss_kib, wait_until

pytestmark = pytest.mark.dev_platform


@pytest.fixture
def scout(platform, daemon):
    """A workspace that is online, and whose secrets are known."""
    scout = platform.create("scout")
    platform.set_secret(scout, "COLOUR", "greenish-blue")
    daemon.add(scout)
    yield scout


def start(daemon, scout, **sections):
    daemon.configure(**sections)
    daemon.start()
    daemon.wait_state(scout.name, "online")
    assert daemon.call("secrets.get")["values"]["COLOUR"] == "greenish-blue"


def slow(ident):
    """Waits for the platform."""
    return request(ident, "secrets.refresh")


def waiting(daemon):
    """How many calls wait, as the daemon counts."""
    return metric(daemon, "molecule_rpc_calls_waiting")


def metric(daemon, name):
    for line in daemon.call("daemon.metrics")["text"].splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


def wait_alone(daemon, accepted):
    """Until so many connections have come, and all but ours have gone."""
    wait_until(lambda: metric(daemon, "molecule_rpc_connections_accepted_total") >= accepted
               and metric(daemon, "molecule_rpc_connections") == 1, "all other connections end")


def wait_held(fault):
    """Until the platform holds a request."""
    wait_until(lambda: fault.hits, "a request that is held")


def test_a_fast_call_overtakes_a_slow_one(platform, daemon, scout):
    start(daemon, scout)
    fault = platform.dev.fault("secrets", scout, hang=True)
    with Wire(daemon.socket) as wire:
        wire.send(slow("slow"), info("fast"))
        assert wire.message()["id"] == "fast"
        wait_held(fault)
        fault.remove()
        message = wire.message()
        assert message["id"] == "slow" and "result" in message


def test_a_slow_call_holds_up_only_its_batch(platform, daemon, scout):
    start(daemon, scout)
    fault = platform.dev.fault("secrets", scout, hang=True)
    with Wire(daemon.socket) as wire:
        wire.send(b"[" + slow("slow") + b"," + info("fast") + b"]", info("after"))
        assert wire.message()["id"] == "after"
        wait_held(fault)
        fault.remove()
        answers = wire.message()
        assert {answer["id"] for answer in answers} == {"slow", "fast"}
        assert all("result" in answer for answer in answers)


def test_many_callers_share_one_request(platform, daemon, scout):
    start(daemon, scout)
    fault = platform.dev.fault("secrets", scout, hang=True)
    before = platform.dev.mark()
    with Wire(daemon.socket) as one, Wire(daemon.socket) as two:
        one.send(slow(1), slow(2))
        two.send(slow(3))
        wait_until(lambda: waiting(daemon) == 3, "three calls wait")
        wait_held(fault)
        fault.remove()
        assert {one.message()["id"], one.message()["id"]} == {1, 2}
        assert two.message()["id"] == 3
    assert len(platform.dev.requests(scout, endpoint="secrets", since=before)) == 1


# ---- cancelling ----

@pytest.mark.parametrize("ident", ['7', '"seven"', '7.0', r'"\u0037"', 'null'])
def test_a_call_can_be_cancelled(platform, daemon, scout, ident):
    start(daemon, scout)
    platform.dev.fault("secrets", scout, hang=True)
    with Wire(daemon.socket) as wire:
        wire.send(b'{"jsonrpc":"2.0","id":%s,"method":"secrets.refresh"}' % ident.encode(), slow("other"),
                  b'{"jsonrpc":"2.0","method":"rpc.cancel","params":{"id":%s}}\n' % ident.encode())
        line = wire.line()
        assert line.startswith(b'{"jsonrpc":"2.0","id":%s,"error":' % ident.encode())
        assert json.loads(line)["error"]["data"]["kind"] == "cancelled"
        assert wire.sync() == []
        assert waiting(daemon) == 1


def test_whoever_asks_hears_whether_there_was_such_a_call(platform, daemon, scout):
    start(daemon, scout)
    platform.dev.fault("secrets", scout, hang=True)
    with Wire(daemon.socket) as mine, Wire(daemon.socket) as other:
        mine.send(slow(1))
        # Another connection's call is not to be seen from here, and 1.0 is not 1.
        other.send(request("a", "rpc.cancel", {"id": 1}))
        mine.send(b'{"jsonrpc":"2.0","id":"b","method":"rpc.cancel","params":{"id":1.0}}')
        for wire, ident in ((other, "a"), (mine, "b")):
            assert wire.message() == {"jsonrpc": "2.0", "id": ident, "result": {"cancelled": False}}
        mine.send(request("c", "rpc.cancel", [1]))
        messages = {message["id"]: message for message in (mine.message(), mine.message())}
        assert messages["c"]["result"] == {"cancelled": True}
        assert messages[1]["error"]["code"] == -32016


def test_an_entry_of_a_batch_can_be_cancelled(platform, daemon, scout):
    start(daemon, scout)
    platform.dev.fault("secrets", scout, hang=True)
    with Wire(daemon.socket) as wire:
        wire.send(b"[" + slow(1) + b"," + info(2) + b"]", notification("rpc.cancel", {"id": 1}))
        answers = {answer["id"]: answer for answer in wire.message()}
        assert answers[1]["error"]["data"]["kind"] == "cancelled" and "result" in answers[2]


# ---- closing ----

def test_a_half_closed_connection_is_still_answered(platform, daemon, scout):
    start(daemon, scout)
    fault = platform.dev.fault("secrets", scout, hang=True)
    with Wire(daemon.socket) as wire:
        wire.send(slow("slow"), info("fast"), info("cut")[:-1])
        wire.half_close()
        assert wire.message()["id"] == "fast"
        wait_held(fault)
        fault.remove()
        assert [json.loads(line)["id"] for line in wire.rest().splitlines()] == ["slow"]


def test_closing_cancels_what_waits(platform, daemon, scout):
    start(daemon, scout)
    fault = platform.dev.fault("secrets", scout, hang=True)
    for _ in range(20):
        with Wire(daemon.socket) as wire:
            wire.send(slow(1), b"[" + slow(2) + b"," + info(3) + b"]", info(4))
            assert wire.message()["id"] == 4
    wait_alone(daemon, 21)
    assert waiting(daemon) == 0
    fault.remove()


def test_a_peer_that_hangs_up_hurts_nobody(daemon, scout):
    start(daemon, scout)
    before = descriptors(daemon.pid)
    accepted = metric(daemon, "molecule_rpc_connections_accepted_total")
    for cut in range(0, 60, 3):
        with Wire(daemon.socket) as wire:
            wire.send(info(1) * 3 + request(2, "rpc.discover")[:cut])
    wait_alone(daemon, accepted + 20)
    assert descriptors(daemon.pid) == before


# ---- more than is good ----

def test_stops_reading_while_too_many_calls_wait_and_drops_none(platform, daemon, scout):
    start(daemon, scout, rpc={"max_calls_in_flight": 4})
    fault = platform.dev.fault("secrets", scout, hang=True)
    with Wire(daemon.socket) as wire:
        wire.send(*(slow(i) for i in range(4)))
        wait_until(lambda: waiting(daemon) == 4, "four calls wait")
        # Were it read, all of this would go; as it is not, the socket is soon full.
        calls = b"".join(info(i) for i in range(100, 60000))
        sent = wire.fill(calls)
        assert sent < len(calls)
        assert waiting(daemon) == 4
        wait_held(fault)
        fault.remove()
        assert {wire.message()["id"] for _ in range(4)} == {0, 1, 2, 3}
        whole = calls[:sent].count(b'"daemon.info"}')
        for i in range(100, 100 + whole):
            assert wire.message()["id"] == i


def test_stops_reading_while_answers_wait_and_drops_none(daemon, scout):
    start(daemon, scout)
    call = request(1, "rpc.discover") + b"\n"
    with Wire(daemon.socket) as wire:
        wire.send(call)
        answer = len(wire.line())
        before = rss_kib(daemon.pid)
        # As many as would make 64 MiB of answers.
        sent = wire.fill(call * ((64 << 20) // answer))
        assert sent < len(call) * ((64 << 20) // answer)
        assert daemon.call("daemon.info")
        assert rss_kib(daemon.pid) - before < 16 * 1024
        for _ in range(sent // len(call)):
            assert len(wire.line()) == answer


def test_closes_a_connection_that_does_not_read_its_answers(platform, daemon, scout):
    # What waits cannot be refused, so it may all come at once.
    platform.set_secret(scout, "LARGE", "l" * 60000)
    start(daemon, scout, rpc={"max_output_bytes": "64K"})
    fault = platform.dev.fault("secrets", scout, hang=True)
    with Wire(daemon.socket) as wire, Wire(daemon.socket) as reader:
        for i in range(40):
            wire.send(request(i, "secrets.get", {"max_age_ms": 0}))
        reader.send(request(1, "secrets.get", {"max_age_ms": 0}))
        wait_until(lambda: waiting(daemon) == 41, "all calls wait")
        wait_held(fault)
        fault.remove()
        daemon.wait_log(r"closed a connection of uid \d+ \(pid \d+\): it does not read")
        assert len(reader.message()["result"]["values"]["LARGE"]) == 60000
        assert wire.rest().count(b'"LARGE"') < 40


def test_an_answer_beyond_the_limit_is_an_error_not_an_end(platform, daemon, scout):
    start(daemon, scout, rpc={"max_output_bytes": "64K"})
    platform.set_secret(scout, "LARGE", "l" * 70000)
    assert daemon.call("secrets.refresh")["changed"] == ["LARGE"]
    with pytest.raises(RpcError) as caught:
        daemon.call("secrets.get")
    assert caught.value.kind == "too_large" and "max_output_bytes" in caught.value.text
    assert daemon.call("secrets.get", keys=["COLOUR"])["values"] == {"COLOUR": "greenish-blue"}
