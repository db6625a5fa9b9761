# SPDX-License-Identifier: MIT
"""libmolecule-agent, as another language sees it. Run by test_client.py, in a process of its own."""

import ctypes
import json
import re
import subprocess

import pytest

from ctlfixtures import SOURCE, build_dir
from fakedaemon import PATIENCE, SILENCE, Error, Raw, dump

pytest_plugins = "ctlfixtures"


class AgentError(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("http_status", ctypes.c_int32),
                ("retry_after_ms", ctypes.c_int64), ("retryable", ctypes.c_int32),
                ("reserved", ctypes.c_int32 * 5), ("kind", ctypes.c_char * 32),
                ("message", ctypes.c_char * 512)]


class Library:
    def __init__(self, path):
        self.lib = ctypes.CDLL(str(build_dir() / "src/client/libmolecule-agent.so.0"))
        self.lib.mol_agent_free.argtypes = [ctypes.c_void_p]
        self.lib.mol_agent_free.restype = None
        self.agent, self.err = ctypes.c_void_p(), AgentError()
        assert self.lib.mol_agent_open(path.encode(), ctypes.byref(self.agent), None) == 0

    def take(self, function, *args):
        text = ctypes.c_void_p()
        r = function(self.agent, *args, ctypes.byref(text), ctypes.byref(self.err))
        if r < 0:
            return r
        value = json.loads(ctypes.string_at(text))
        self.lib.mol_agent_free(text)
        return value

    def call(self, method, params=None, timeout_ms=-1):
        return self.take(self.lib.mol_agent_call, method.encode(),
                         None if params is None else params.encode(), timeout_ms)

    def next_event(self, timeout_ms=PATIENCE * 1000):
        return self.take(self.lib.mol_agent_next_event, timeout_ms)

    def close(self):
        self.lib.mol_agent_close(self.agent)


@pytest.fixture
def library(fake):
    handle = Library(fake.path)
    yield handle
    handle.close()


def test_library_calls_and_reports_errors(fake, library):
    fake.answers["echo"] = lambda params: params
    fake.answers["fail"] = Error(-32012, "peer_error", "the peer said ü" + "ü" * 400,
                                 retryable=True, retry_after_ms=1500, http_status=503)
    assert library.call("echo", '{"a":1}') == {"a": 1}
    assert library.call("fail") < 0
    err = library.err
    assert (err.code, err.kind, err.retryable, err.retry_after_ms, err.http_status) == \
        (-32012, b"peer_error", 1, 1500, 503)
    assert err.message.decode().startswith("the peer said ü")  # cut between two characters
    assert library.call("echo", "7") < 0 and library.err.kind == b"invalid_params"
    assert library.call("echo", "{") < 0 and library.err.kind == b"invalid_params"
    assert library.call("echo", "[2]") == [2]


def test_library_keeps_events_that_come_during_a_call(fake, library):
    fake.answers["events.subscribe"] = {"subscription": "1", "snapshot": {}}
    library.call("events.subscribe")

    def noisy(params):
        for seq in range(3):
            fake.push(type="x", seq=seq)
        return {}
    fake.answers["noisy"] = noisy
    assert library.call("noisy") == {}
    assert [library.next_event(0)["seq"] for _ in range(3)] == [0, 1, 2]
    assert library.next_event(0) < 0 and library.err.kind == b"timeout"
    fake.push(type="x", seq=9)
    assert library.next_event()["seq"] == 9


def test_library_tells_once_that_events_were_lost(fake, library):
    fake.answers["events.subscribe"] = {"subscription": "1", "snapshot": {}}
    library.call("events.subscribe")

    def noisy(params):
        for seq in range(6):
            fake.push(type="x", seq=seq, data="x" * 1000000)
        return {}
    fake.answers["noisy"] = noisy
    assert library.call("noisy") == {}
    assert [library.next_event(0).get("seq") for _ in range(5)] == [0, 1, 2, 3, None]
    assert library.next_event(0) < 0


def test_library_drops_an_answer_that_comes_too_late(fake, library):
    fake.answers["slow"] = SILENCE
    fake.answers["fast"] = lambda params: Raw(
        dump({"jsonrpc": "2.0", "id": 1, "result": "late"}) +
        b'{"jsonrpc":"2.0","id":$ID,"result":"fast"}\n')
    assert library.call("slow", timeout_ms=50) < 0 and library.err.kind == b"unknown_outcome"
    assert library.call("fast") == "fast"


def test_library_hands_out_events_before_it_tells_of_the_loss(fake, library):
    fake.answers["events.subscribe"] = {"subscription": "1", "snapshot": {}}
    library.call("events.subscribe")
    fake.push(type="x", seq=1)
    fake.stop()
    assert library.next_event()["seq"] == 1
    assert library.next_event() < 0 and library.err.kind == b"unavailable"
    assert library.call("x") < 0 and library.err.kind == b"unavailable"


def test_library_sends_more_than_a_socket_holds_while_the_daemon_answers(fake, library):
    fake.answers["echo"] = lambda params: params
    text = "x" * 3000000
    assert library.call("echo", json.dumps([text])) == [text]


def test_library_exports_its_api_and_nothing_else():
    path = build_dir() / "src/client/libmolecule-agent.so.0"
    out = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True,
                         check=True).stdout
    names = {line.split()[-1].split("@")[0] for line in out.splitlines()} - {"MOLECULE_AGENT_0"}
    header = (SOURCE / "include/molecule/agent.h").read_text()
    assert names == set(re.findall(r"MOL_AGENT_PUBLIC \S+ \*?(mol_agent_\w+)\(", header))
