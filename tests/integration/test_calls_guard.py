# SPDX-License-Identifier: MIT
"""What no peer gets: our token, and our help in calling those whom it may not call itself."""

import pytest

from callfixtures import NEAR, bob, make_bob, message_ids, refused, routes, scout, send
from harness import QUIET, Gate, Peer, RpcError
from harness.peer import body, echo, hang_up, held, message, redirect

__all__ = ["bob", "make_bob", "scout"]


def headers_of(request):
    return {name.lower() for name, _ in request.headers}


def test_a_peer_never_sees_the_token(platform, daemon, scout, bob):
    """Not in a header, not in the body, on neither way, whatever it answers."""
    for deed in (echo, body({}, 401, [("WWW-Authenticate", "Bearer")]), body({}, 500)):
        bob.does(deed)
        for params in ({"route": "direct"}, {"route": "proxy"}, {}):
            try:
                send(daemon, **params)
            except RpcError as refusal:
                assert refusal.kind == "peer_error"
    assert len(bob.requests) >= 9
    for request in bob.requests:
        assert "authorization" not in headers_of(request)
        assert scout.token not in repr(request.headers) + request.path + request.body.decode()


def test_what_a_peer_gets_to_know(daemon, scout, bob):
    send(daemon)
    [request] = bob.requests
    assert headers_of(request) <= {"host", "user-agent", "accept", "content-type",
                                   "content-length", "x-workspace-id"}
    assert request.header("X-Workspace-ID") == scout.id
    assert request.header("Content-Type") == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(daemon, scout, bob, status):
    with Peer() as elsewhere:
        bob.does(redirect(f"http://localhost:{elsewhere.port}/", status))
        complaint = refused(daemon, route="direct")
        assert complaint.kind == "peer_error" and "redirect" in complaint.text
        assert elsewhere.requests == []
    assert len(bob.requests) == 1


@pytest.mark.dev_platform
def test_a_redirect_of_the_platform_is_not_followed(platform, daemon, scout, bob):
    """Least of all with the token."""
    with Peer() as elsewhere:
        platform.dev.fault("a2a", scout, redirect={
            "location": f"http://127.0.0.1:{elsewhere.port}/", "status": 307})
        assert refused(daemon, route="proxy").kind == "platform_error"
        assert elsewhere.requests == []
    assert bob.requests == []


@pytest.mark.dev_platform
@pytest.mark.parametrize("url", [
    "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://0.0.0.0:{port}/",
    "http://[::]:{port}/", "http://[::ffff:169.254.169.254]/", "http://[::ffff:127.0.0.1]:{port}/",
    "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::1]:{port}/",
    "http://0177.0.0.1:{port}/", "http://2130706433:{port}/", "http://127.1:{port}/",
    "http://localhost.:{port}/", "http://10.0.0.1/", "http://[64:ff9b::7f00:1]:{port}/",
    "http://ws-0123456789ab:8000/", "http://host.docker.internal:{port}/",
    "file:///etc/passwd", "unix:///run/molecule.sock", "gopher://127.0.0.1:{port}/",
    "http://user:secret@127.0.0.1:{port}/",
])
def test_nobody_sends_us_where_we_may_not_go(platform, daemon, url):
    """Without a word from the operator, a peer is nobody on this host or in its network."""
    scout, bob = platform.create("scout"), platform.create("bob")
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    with Peer() as inside:
        url = url.format(port=inside.port)
        platform.dev.change(bob, url=url)
        platform.dev.fault("discover", scout, status=200,
                           json={"id": bob.id, "name": "bob", "url": url})
        complaint = refused(daemon, route="direct")
        assert complaint.kind == "unavailable" and "no URL that may be called" in complaint.text
        assert inside.requests == [] and inside.n_connections == 0


@pytest.mark.dev_platform
@pytest.mark.parametrize("url", [
    "http://169.254.169.254/latest/meta-data/", "http://[fe80::1%lo]/", "http://0.0.0.0:{port}/",
    "http://[::ffff:0.0.0.0]:{port}/", "http://224.0.0.1/",
])
def test_some_addresses_nobody_can_allow(platform, daemon, url):
    scout, bob = platform.create("scout"), platform.create("bob")
    daemon.add(scout, peer_networks="127.0.0.0/8 ::1", **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    with Peer() as inside:
        url = url.format(port=inside.port)
        platform.dev.change(bob, url=url)
        platform.dev.fault("discover", scout, status=200,
                           json={"id": bob.id, "name": "bob", "url": url})
        complaint = refused(daemon, route="direct")
        assert complaint.kind == "unavailable" and "no URL that may be called" in complaint.text
        assert inside.n_connections == 0


@pytest.mark.dev_platform
def test_whom_to_call_changes_without_an_interruption(daemon, scout, bob):
    """A reload that changes nothing but that: the call that is out comes home, and nobody joins."""
    def allow(networks):
        daemon.configure(defaults={"peer_networks": networks})
        assert "scout" in daemon.call("daemon.reload")["changed"]

    assert send(daemon, bob)["route"] == "direct"
    since = daemon.status("scout")["since"]
    gate = Gate()
    bob.does(held(gate, echo), echo)
    number = daemon.client.send("a2a.send", to="bob", text="ping")
    bob.peer.wait(2)
    with daemon.connect() as other:
        allow("")
        assert other.call("a2a.send", to="bob", text="ping")["route"] == "proxy"
        assert refused(daemon, bob, route="direct").kind == "unavailable"
        allow(NEAR)
        assert other.call("a2a.send", to="bob", text="ping")["route"] == "direct"
    gate.open()
    assert daemon.client.answer(number)["route"] == "direct"
    assert daemon.status("scout")["since"] == since


def test_an_address_in_disguise_is_judged_as_what_it_is(platform, daemon, scout, bob):
    """Loopback is allowed here: then it is in every notation."""
    platform.dev.change(bob.workspace, url=f"http://[::ffff:127.0.0.1]:{bob.peer.port}/a2a")
    daemon.call("peers.list", refresh=True)
    assert send(daemon, route="direct")["route"] == "direct"
    assert routes(bob) == ["direct"]


@pytest.mark.dev_platform
def test_a_proxy_of_the_environment_is_not_asked(platform, start_daemon, bob):
    """Who set one for something else did not think of our messages."""
    with Peer() as middleman:
        daemon = start_daemon()
        daemon.add(platform.create("scout"), peer_networks=NEAR, **QUIET)
        proxy = f"http://127.0.0.1:{middleman.port}"
        daemon.start(env={"http_proxy": proxy, "HTTP_PROXY": proxy, "all_proxy": proxy,
                          "no_proxy": "127.0.0.1"})
        daemon.wait_state("scout", "online")
        assert send(daemon)["outcome"] == "answered"
        assert middleman.n_connections == 0


def test_the_log_says_who_was_called_and_not_what(daemon, scout, bob):
    """Of an error it keeps the peer's words, short and quoted; of an answer nothing."""
    daemon.canaries |= {"a-very-private-thing", "a-very-private-answer"}
    bob.does(message("a-very-private-answer"), body({"error": "out of\nthe ordinary"}, 500), hang_up)
    assert send(daemon, text="a-very-private-thing")["text"] == "a-very-private-answer"
    assert refused(daemon, text="a-very-private-thing", route="direct").kind == "peer_error"
    assert refused(daemon, text="a-very-private-thing", route="direct").kind == "unknown_outcome"
    assert "out of\nthe ordinary" not in daemon.log
    # finish() looks for the private ones.


def test_a_second_delivery_is_one_that_the_peer_can_tell(daemon, scout, bob):
    """By the id of its message, and of the request."""
    bob.does(body({}, 503), echo)
    send(daemon)
    assert len(message_ids(bob)) == 1
    assert len({request.json["id"] for request in bob.requests}) == 1
