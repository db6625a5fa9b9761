# SPDX-License-Identifier: MIT
"""Every JSON text of json_cases.py, on its own and within a request, on the real socket."""

import json

import pytest

import json_cases
from harness import Daemon
from wire import Wire, info

INVALID, PARSE = json_cases.INVALID, json_cases.PARSE


@pytest.fixture(scope="module")
def served():
    daemon = Daemon()
    daemon.start()
    yield daemon
    daemon.finish()


@pytest.fixture
def wire(served):
    with Wire(served.socket) as wire:
        yield wire


def codes(messages):
    """Of all errors, those of a batch on their own."""
    flat = [one for message in messages for one in (message if isinstance(message, list) else [message])]
    assert all(message["id"] is None for message in flat), flat
    return [message["error"]["code"] for message in flat]


def within(text):
    return b'{"jsonrpc":"2.0","id":"it","method":"daemon.info","params":{"x":' + text + b"}}"


def usual(text):
    """How a JSON text that is no request is answered: a batch entry by entry."""
    value = json.loads(text)
    return [INVALID] * len(value) if isinstance(value, list) and value else [INVALID]


@pytest.mark.parametrize("text, good", [case[1:] for case in json_cases.VALUES],
                         ids=[case[0] for case in json_cases.VALUES])
def test_a_value(wire, text, good):
    wire.send(within(text) + b"\n")
    if good:
        assert wire.until("it") == []
    # What a broken text leaves open takes the beginning of the next line with it; each of its
    # own lines is looked at anew.
    bad = [PARSE] * (1 + text.count(b"\n"))
    wire.send(info("a") + b"\n" + info("b") + b"\n" + info("c") + b"\n")
    messages = [message for message in wire.until("c") if message.get("id") not in ("a", "b")]
    assert codes(messages) == ([] if good else bad)

    wire.send(text + b"\n" + info("d") + b"\n" + info("e") + b"\n" + info("f") + b"\n")
    messages = [message for message in wire.until("f")
                if not isinstance(message, dict) or message.get("id") not in ("d", "e")]
    assert codes(messages) == (usual(text) if good else bad)


@pytest.mark.parametrize("text, expected", [case[1:] for case in json_cases.ALONE],
                         ids=[case[0] for case in json_cases.ALONE])
def test_bytes_of_their_own(wire, text, expected):
    wire.send(text + b"\n")
    assert codes(wire.sync()) == expected
