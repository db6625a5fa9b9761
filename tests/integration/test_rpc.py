# SPDX-License-Identifier: MIT
"""JSON-RPC 2.0 to the letter, on the real socket: framing, envelopes, ids, batches."""

import json

import pytest

from harness import Daemon
from wire import Wire, framed, info, notification, request, rss_kib, with_id

PARSE, INVALID, NO_METHOD, BAD_PARAMS, TOO_LARGE = -32700, -32600, -32601, -32602, -32010
REQUEST_MAX = 1 << 20
VALUES_MAX = 65536
BATCH_MAX = 64


@pytest.fixture(scope="module")
def served():
    """One daemon for all of this page: it has no workspace, and none is needed."""
    daemon = Daemon()
    daemon.start()
    yield daemon
    daemon.finish()


@pytest.fixture
def wire(served):
    with Wire(served.socket) as wire:
        yield wire


def code(message):
    return message["error"]["code"]


def complaint(wire, expected, ident=None):
    """The next message is an error of this code; what it says."""
    message = wire.message()
    assert message["jsonrpc"] == "2.0" and message["id"] == ident, message
    assert code(message) == expected, message
    return message["error"]["message"]


def answered(wire, ident):
    message = wire.message()
    assert message["id"] == ident and message["result"]["name"] == "molecule-agentd", message


# ---- where a message ends ----

@pytest.mark.smoke
def test_answers_a_line(wire):
    wire.send(info() + b"\n")
    answered(wire, 1)


def test_needs_no_newline(wire):
    wire.send(info())
    answered(wire, 1)


def test_takes_several_texts_from_one_write(wire):
    wire.send(info(1) + info(2) + b"\n" + info(3))
    for ident in (1, 2, 3):
        answered(wire, ident)


def test_takes_a_text_in_writes_of_one_byte(wire):
    wire.send(*(bytes([byte]) for byte in info(1) + info("zwei")))
    answered(wire, 1)
    answered(wire, "zwei")


def test_ignores_white_space_between_texts(wire):
    wire.send(b"\r\n\n \t" + info(1) + b"\r\n\r\n   \n" + info(2) + b" \n\t", b"\n", info(3))
    for ident in (1, 2, 3):
        answered(wire, ident)
    assert wire.is_quiet()


def test_takes_a_request_over_many_lines(wire):
    wire.send(json.dumps(json.loads(info("pretty")), indent=4).replace("\n", "\r\n").encode())
    answered(wire, "pretty")


def test_writes_compact_lines_of_utf8_and_nothing_else(wire):
    wire.send(info(1), request(2, "größe"), b"?\n", request(3, "rpc.discover"), b"[1,2]")
    wire.half_close()
    sent = wire.rest()
    assert sent.endswith(b"\n") and b"\n\n" not in sent
    lines = sent.decode("utf-8").splitlines()
    assert len(lines) == 5
    for line in lines:
        value = json.loads(line)
        assert line in (json.dumps(value, separators=(",", ":"), ensure_ascii=False),
                        json.dumps(value, separators=(",", ":"))), line


def test_says_once_that_bytes_are_no_json_and_goes_on_at_the_next_line(wire):
    wire.send(b"hello there " + info(1) + b" [[[ }}}\n" + info(2) + b"\n")
    assert "JSON" in complaint(wire, PARSE)
    answered(wire, 2)
    assert wire.is_quiet()


def test_many_parse_errors_do_not_end_the_connection(wire):
    wire.send(b"}\n" * 1000 + info())
    for _ in range(1000):
        complaint(wire, PARSE)
    answered(wire, 1)


@pytest.mark.parametrize("bad", [
    b"\xef\xbb\xbf", b"'", b"\0", b"\x1b[A", b"\xff\xfe", b"{]", b'{"a":\xc3(}',
    b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","x":"\x01"}',
    b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","x":"\xed\xa0\x80"}',
    b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","x":"\xc0\x80"}',
], ids=repr)
def test_refuses_what_is_no_strict_json(wire, bad):
    wire.send(bad + info("eaten") + b"\n", info("next"))
    complaint(wire, PARSE)
    answered(wire, "next")


def test_an_unfinished_text_at_the_end_is_dropped(wire):
    wire.send(info(1), info(2)[:-1])
    wire.half_close()
    assert [json.loads(line)["id"] for line in wire.rest().splitlines()] == [1]


# ---- limits of a message ----

def padded(size, ident=1):
    head, tail = info(ident)[:-1] + b',"x":"', b'"}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


def test_takes_a_message_of_the_limit(wire):
    wire.send(padded(REQUEST_MAX), b"\n")
    answered(wire, 1)


def test_refuses_a_larger_one_once_and_lives_on(wire):
    wire.send(padded(REQUEST_MAX + 1), b"\n", info(2), b"\n", padded(2 * REQUEST_MAX), b"\n",
              info(3))
    assert "max_request_bytes" in complaint(wire, TOO_LARGE)
    answered(wire, 2)
    complaint(wire, TOO_LARGE)
    answered(wire, 3)
    assert wire.is_quiet()


def test_discards_what_is_too_large_in_constant_memory(served, wire):
    wire.send(padded(REQUEST_MAX + 1), b"\n")
    complaint(wire, TOO_LARGE)
    before = rss_kib(served.pid)
    wire.send(b'["' + b"x" * (2 * REQUEST_MAX))
    complaint(wire, TOO_LARGE)
    for _ in range(50):
        wire.send(b"x" * REQUEST_MAX)
    wire.send(b"\n", info())
    answered(wire, 1)
    # A sanitizer keeps freed memory for a while: more than the limit, much less than was sent.
    assert rss_kib(served.pid) - before < 16 * 1024


def test_counts_values(wire):
    def with_values(n):
        # The request, its three strings and numbers, params, and x have one each.
        return request(1, "daemon.info", {"x": [0] * (n - 6)})

    wire.send(with_values(VALUES_MAX), b"\n")
    answered(wire, 1)
    wire.send(with_values(VALUES_MAX + 1), b"\n", info(2))
    assert "65536" in complaint(wire, TOO_LARGE)
    answered(wire, 2)


def test_counts_levels(wire):
    def with_depth(n):
        # The request and params are the first two.
        return b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","params":{"x":%s}}' % (
            b"[" * (n - 2) + b"]" * (n - 2))

    wire.send(with_depth(64), b"\n")
    answered(wire, 1)
    wire.send(with_depth(65), b"\n", info(2))
    assert "64" in complaint(wire, PARSE)
    answered(wire, 2)


# ---- envelopes ----

ENVELOPES = [
    ("no version", b'{"id":1,"method":"daemon.info"}', INVALID, 1),
    ("version 1.0", b'{"jsonrpc":"1.0","id":1,"method":"daemon.info"}', INVALID, 1),
    ("version 2", b'{"jsonrpc":"2","id":1,"method":"daemon.info"}', INVALID, 1),
    ("version is a number", b'{"jsonrpc":2.0,"id":1,"method":"daemon.info"}', INVALID, 1),
    ("no method", b'{"jsonrpc":"2.0","id":1}', INVALID, 1),
    ("method is a number", b'{"jsonrpc":"2.0","id":1,"method":1}', INVALID, 1),
    ("method is null", b'{"jsonrpc":"2.0","id":1,"method":null}', INVALID, 1),
    ("method is empty", b'{"jsonrpc":"2.0","id":1,"method":""}', NO_METHOD, 1),
    ("method unknown", b'{"jsonrpc":"2.0","id":1,"method":"daemon.nope"}', NO_METHOD, 1),
    ("method in capitals", b'{"jsonrpc":"2.0","id":1,"method":"Daemon.Info"}', NO_METHOD, 1),
    ("method and a blank", b'{"jsonrpc":"2.0","id":1,"method":"daemon.info "}', NO_METHOD, 1),
    ("method with a NUL", rb'{"jsonrpc":"2.0","id":1,"method":"daemon.info\u0000"}', NO_METHOD, 1),
    ("reserved method", b'{"jsonrpc":"2.0","id":1,"method":"rpc.nope"}', NO_METHOD, 1),
    ("id is true", b'{"jsonrpc":"2.0","id":true,"method":"daemon.info"}', INVALID, None),
    ("id is an object", b'{"jsonrpc":"2.0","id":{},"method":"daemon.info"}', INVALID, None),
    ("id is an array", b'{"jsonrpc":"2.0","id":[1],"method":"daemon.info"}', INVALID, None),
    ("params are null", b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","params":null}', BAD_PARAMS, 1),
    ("params are a string", b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","params":"x"}', BAD_PARAMS, 1),
    ("params are a number", b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","params":1}', BAD_PARAMS, 1),
    ("no id and no version", b'{"method":"daemon.info"}', INVALID, None),
    ("nothing in it", b"{}", INVALID, None),
    ("a number", b"1 ", INVALID, None),
    ("a string", b'"daemon.info"', INVALID, None),
    ("null", b"null ", INVALID, None),
    ("two versions", b'{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"daemon.info"}', INVALID, 1),
    ("two methods", b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","method":"daemon.info"}', INVALID, 1),
    ("two ids", b'{"jsonrpc":"2.0","id":1,"id":1,"method":"daemon.info"}', INVALID, None),
    ("two params", b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","params":{},"params":{}}', INVALID, 1),
    ("two ids, one in disguise", rb'{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"daemon.info"}', INVALID, None),
    ("a NUL in a name", rb'{"jsonrpc":"2.0","id":1,"method":"daemon.info","x\u0000":1}', INVALID, None),
    ("a NUL in a name below", rb'{"jsonrpc":"2.0","id":1,"method":"daemon.info","params":{"a":[{"\u0000":1}]}}',
     INVALID, None),
]


@pytest.mark.parametrize("text, expected, ident", [row[1:] for row in ENVELOPES],
                         ids=[row[0] for row in ENVELOPES])
def test_refuses_what_is_no_request(wire, text, expected, ident):
    wire.send(text)
    assert complaint(wire, expected, ident)
    wire.send(info(2))
    answered(wire, 2)


def test_errors_say_what_kind_they_are(wire):
    wire.send(request(1, "daemon.nope"))
    assert wire.message()["error"] == {
        "code": NO_METHOD, "message": 'there is no method "daemon.nope"',
        "data": {"kind": "method_not_found", "retryable": False}}


def test_ignores_members_that_it_does_not_know(wire):
    wire.send(b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","params":{"q":1,"q":2},'
              b'"trace":{"a":1},"trace":2,"":null}')
    answered(wire, 1)


def test_takes_params_by_position(wire):
    wire.send(request(1, "workspace.status", ["no-such"]))
    assert "no-such" in complaint(wire, -32003, 1)
    wire.send(request(2, "workspace.status", ["no-such", 1]))
    complaint(wire, BAD_PARAMS, 2)
    wire.send(request(3, "daemon.info", []))
    answered(wire, 3)


@pytest.mark.parametrize("method, params, said", [
    ("workspace.status", {"workspace": 1}, "workspace must be a string"),
    ("rpc.cancel", {}, "id"),
    ("rpc.cancel", {"id": True}, "id must be a string or a number"),
    ("events.subscribe", {"types": "x"}, "types must be an array of strings"),
    ("events.subscribe", {"types": ["nope"]}, "types must be among"),
    ("events.subscribe", {"types": [1]}, "types must be an array of strings"),
    ("workspace.join", {"workspace_id": "x"}, "platform_url"),
])
def test_names_the_argument_that_is_wrong(wire, method, params, said):
    wire.send(request(1, method, params))
    assert said in complaint(wire, BAD_PARAMS, 1)


def test_never_answers_a_notification(wire):
    wire.send(notification("daemon.info"), notification("daemon.nope"),
              notification("workspace.status", {"workspace": 1}),
              notification("events.subscribe"), notification("rpc.cancel", {"id": 9}),
              b'{"jsonrpc":"2.0","method":"daemon.info","params":7}')
    assert wire.sync() == []


def test_never_answers_an_answer(wire):
    wire.send(b'{"jsonrpc":"2.0","id":1,"result":7}', b'{"jsonrpc":"2.0","id":1,"error":{}}',
              b'[{"jsonrpc":"2.0","id":1,"result":null}]')
    assert wire.sync() == []


# ---- ids ----

@pytest.mark.parametrize("ident", [
    "1", "0", "-0", "-7", "1.0", "1e0", "1E+0", "10e-1", "0.1", "1e400", "-1e-400",
    "9007199254740993", "18446744073709551616", "1" * 30, "9" * 4000,
    '""', '"a"', '"1"', '"' + "x" * 65536 + '"', '"é€😀"', r'"\u00e9"', r'"\/\"\\\b"', r'"\u0000"',
    r'"\ud800"', '" "', '"\x7f"', "null",
])
def test_echoes_an_id_as_it_was_written(wire, ident):
    wire.send(with_id(ident) + b"\n")
    assert wire.line().startswith(b'{"jsonrpc":"2.0","id":' + ident.encode() + b',"result":')
    wire.send(b'{"id":' + ident.encode() + b',"method":"nope","jsonrpc":"2.0"}\n')
    assert wire.line().startswith(b'{"jsonrpc":"2.0","id":' + ident.encode() + b',"error":')


def test_answers_each_of_those_with_the_same_id(wire):
    wire.send(info(1) * 5)
    for _ in range(5):
        answered(wire, 1)


# ---- batches ----

def test_answers_a_batch_with_an_array(wire):
    wire.send(b"[" + info(1) + b"," + notification("daemon.info") + b',1,{"x":2},[],'
              + request("no", "daemon.nope") + b"]\n")
    answers = wire.message()
    assert isinstance(answers, list) and len(answers) == 5
    by_id = {answer["id"]: answer for answer in answers if answer["id"] is not None}
    assert by_id[1]["result"] and code(by_id["no"]) == NO_METHOD
    assert [code(answer) for answer in answers if answer["id"] is None] == [INVALID] * 3


def test_an_empty_batch_is_an_invalid_request(wire):
    wire.send(b"[]", b"[ \n ]")
    assert "empty" in complaint(wire, INVALID)
    complaint(wire, INVALID)


def test_answers_no_batch_of_notifications(wire):
    wire.send(b"[" + b",".join([notification("daemon.info")] * 3) + b"]")
    assert wire.sync() == []


def test_takes_64_in_a_batch_and_no_more(wire):
    wire.send(b"[" + b",".join(info(i) for i in range(BATCH_MAX)) + b"]")
    assert sorted(answer["id"] for answer in wire.message()) == list(range(BATCH_MAX))
    wire.send(b"[" + b",".join(info(i) for i in range(BATCH_MAX + 1)) + b"]")
    assert "64" in complaint(wire, INVALID)
    wire.send(b"[" + b",".join([b"1"] * 10000) + b"]", info(2))
    complaint(wire, INVALID)
    answered(wire, 2)


def test_a_broken_batch_is_one_parse_error(wire):
    wire.send(b"[" + info(1) + b"," + info(2)[:-1] + b"]\n", info(3))
    complaint(wire, PARSE)
    answered(wire, 3)


# ---- headers, as editors have them ----

def test_headers_are_answered_with_headers(wire):
    wire.send(framed(info(1)))
    assert wire.frame()["id"] == 1
    wire.send(b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n" + framed(info(2))
              + b"content-length:%d\r\n\r\n" % len(info(3)) + info(3))
    assert [wire.frame()["id"], wire.frame()["id"]] == [2, 3]


def test_headers_may_come_byte_by_byte(wire):
    wire.send(*(bytes([byte]) for byte in framed(info("é")) + framed(info(2), b"\n")))
    assert [wire.frame()["id"], wire.frame()["id"]] == ["é", 2]


def test_batches_and_errors_have_headers_too(wire):
    wire.send(framed(b"[" + info(1) + b",7]"), framed(b"{]"), framed(b"{} {}"), framed(info(2)))
    assert [answer["id"] for answer in wire.frame()] == [1, None]
    assert code(wire.frame()) == PARSE
    assert code(wire.frame()) == PARSE
    assert wire.frame()["id"] == 2


def test_a_body_of_bad_bytes_costs_only_itself(wire):
    wire.send(framed(b"\n" * 9 + b"x\n" * 100), framed(padded(REQUEST_MAX + 1)), framed(info(2)))
    assert code(wire.frame()) == PARSE
    assert code(wire.frame()) == TOO_LARGE
    assert wire.frame()["id"] == 2


@pytest.mark.parametrize("bad", [
    b"\r\n", b"Content-Length\r\n\r\n", b"Content-Type: x\r\n\r\n",
    b"Content-Length: x\r\n\r\n", b"Content-Length: -1\r\n\r\n", b"Content-Length: 1 1\r\n\r\n",
    b"Content-Length: 99999999999999999999999\r\n\r\n", b"Content-Length:\r\n\r\n",
    b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", b"X: " + b"x" * 5000,
], ids=lambda bad: repr(bad[:45]))
def test_a_bad_header_ends_the_connection(served, bad):
    with Wire(served.socket) as wire:
        wire.send(framed(info(1)), bad)
        assert wire.frame()["id"] == 1
        assert code(wire.frame()) == PARSE
        assert wire.rest() == b""


def test_the_first_bytes_decide_for_good(wire):
    wire.send(info(1), b"\n", framed(info(2)).replace(b"\r\n\r\n", b" ") + b"\n", info(3))
    answered(wire, 1)
    complaint(wire, PARSE)
    answered(wire, 3)


# ---- what it says about itself ----

def test_describes_itself(wire):
    wire.send(request(1, "rpc.discover"))
    document = wire.message()["result"]
    assert document["openrpc"].startswith("1.") and document["info"]["title"]
    names = [method["name"] for method in document["methods"]]
    assert len(names) == len(set(names))
    assert {"daemon.info", "rpc.discover", "secrets.get", "events.subscribe"} <= set(names)
    for method in document["methods"]:
        assert method["summary"] and isinstance(method["params"], list) and method["result"]


def test_answers_on_after_all_of_this(served):
    assert served.call("daemon.status")["state"] in ("running", "degraded")
