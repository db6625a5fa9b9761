# SPDX-License-Identifier: MIT
"""Whom the daemon trusts with a token, and by which way it goes there."""

import contextlib
import os
import select
import socket
import threading

import pytest

from harness import Platform
from wire import wait_until

pytestmark = pytest.mark.dev_platform


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    platform = Platform.start(tls=tmp_path_factory.mktemp("tls"))
    yield platform
    platform.stop()


@pytest.fixture
def scout(secure):
    yield secure.create("scout")
    secure.dev.reset()
    secure.forget_created()


def heard(platform, scout):
    """The daemon's own requests: whoever asks for /_dev/ and the operator are not among them."""
    return [row for row in platform.dev.requests(scout)
            if any(name == "User-Agent" and value.startswith("molecule-agentd") for name, value in row["headers"])]


# ---- certificates ----

@pytest.mark.smoke
def test_trusts_the_authority_that_it_is_told(secure, daemon, scout):
    daemon.add(scout)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert all(row["tls"] for row in heard(secure, scout)) and heard(secure, scout)


def failure(daemon, name="scout"):
    """Why its first attempt has failed."""
    wait_until(lambda: daemon.status(name)["last_error"], "an attempt that fails")
    status = daemon.status(name)
    assert status["state"] in ("joining", "unreachable") and status["platform_status"] is None
    return status["last_error"]


def test_trusts_no_authority_that_the_system_does_not(secure, daemon, scout):
    daemon.add(scout, ca_file=None)
    daemon.start()
    why = failure(daemon)
    assert "no trusted connection" in why and "ca_file" in why
    assert heard(secure, scout) == []


REASONS = {"expired": "expired", "not_yet_valid": "not yet valid", "wrong_host": "subject name",
           "self_signed": "self", "unknown_ca": "issuer", "tls11": "", "handshake_cut": "", "not_tls": ""}


def test_sends_nothing_where_it_does_not_trust(secure, daemon, scout):
    for kind in REASONS:
        daemon.add(scout, name=kind, platform_url=secure.dev.listen(kind))
    daemon.start()
    reasons = {kind: failure(daemon, kind) for kind in REASONS}
    assert heard(secure, scout) == []
    for kind, words in REASONS.items():
        assert words in reasons[kind], reasons
        if words:
            assert "no trusted connection" in reasons[kind], reasons
    # Who reads one knows which it is.
    certificates = [reasons[kind].partition("(")[2] for kind, words in REASONS.items() if words]
    assert len(set(certificates)) == len(certificates), certificates


def test_a_listener_that_says_nothing_does_not_stop_the_rest(secure, platform, daemon, scout):
    other = platform.create("other")
    daemon.add(scout, platform_url=secure.dev.listen("handshake_hang"))
    daemon.add(other)
    daemon.start()
    daemon.wait_state("other", "online")
    assert daemon.status("scout")["state"] == "joining"


@pytest.mark.parametrize("text", ["", "nothing that is PEM\n"], ids=["empty", "no PEM"])
def test_an_authority_that_cannot_be_read_trusts_nobody(secure, daemon, scout, text):
    daemon.add(scout, ca_file=daemon.write("ca.pem", text))
    daemon.start()
    assert "ca_file" in failure(daemon)
    assert heard(secure, scout) == []


# ---- the environment ----

class Trap:
    """A port that counts who comes, and answers nobody."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def has_been_visited(self):
        return bool(select.select([self.listener], [], [], 0)[0])


@pytest.fixture
def trap():
    trap = Trap()
    yield trap
    trap.listener.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_ignores_proxies_of_the_environment(secure, platform, daemon, scout, trap, scheme):
    url = f"http://127.0.0.1:{trap.port}"
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    workspace = scout if scheme == "https" else platform.create("scout")
    daemon.add(workspace)
    daemon.start(env={name: url for name in names})
    daemon.wait_state("scout", "online")
    assert not trap.has_been_visited()


def test_ignores_the_rest_of_the_environment_too(secure, daemon, scout):
    """Neither other authorities, nor a place for session keys, nor curl's own files."""
    (daemon.home / ".netrc").write_text("default login canary-user password canary-word\n")
    (daemon.home / ".curlrc").write_text("insecure\nproxy = 127.0.0.1:1\n")
    keys = daemon.dir / "keys"
    daemon.add(scout)
    daemon.start(env={"SSLKEYLOGFILE": str(keys), "NETRC": str(daemon.home / ".netrc"),
                      "CURL_HOME": str(daemon.home)})
    daemon.wait_state("scout", "online")
    assert not keys.exists()
    for row in heard(secure, scout):
        assert ["Authorization", f"Bearer {scout.token}"] in row["headers"]
        assert "canary" not in str(row)


def test_authorities_of_the_environment_are_not_trusted(secure, daemon, scout):
    daemon.add(scout, ca_file=None)
    daemon.start(env={"SSL_CERT_FILE": str(secure.ca_file), "SSL_CERT_DIR": str(secure.ca_file.parent),
                      "CURL_CA_BUNDLE": str(secure.ca_file)})
    assert "no trusted connection" in failure(daemon)


# ---- a proxy that was configured ----

class Proxy:
    """Forwards what it is asked to, and keeps the request lines and what came with them."""

    def __init__(self, status=b"200 OK"):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.heads = []
        self.status = status
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        with client, contextlib.suppress(OSError):
            while b"\r\n\r\n" not in head:
                data = client.recv(65536)
                if not data:
                    return
                head += data
            self.heads.append(head)
            method, target, _ = head.split(b"\r\n")[0].decode().split()
            place = target if method == "CONNECT" else target.split("/")[2]
            host, _, port = place.partition(":")
            with socket.create_connection((host, int(port))) as server:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
                else:
                    # The path alone, and no further request on this connection.
                    line = head.replace(f"http://{place}".encode(), b"", 1)
                    server.sendall(line.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                self.pump(client, server)

    @staticmethod
    def pump(client, server):
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                (server if source is client else client).sendall(data)

    def lines(self):
        return [head.split(b"\r\n")[0].decode() for head in self.heads]


@pytest.fixture
def proxy():
    proxy = Proxy()
    yield proxy
    proxy.listener.shutdown(socket.SHUT_RDWR)
    proxy.listener.close()


def test_a_proxy_that_was_configured_is_used(platform, daemon, proxy):
    scout = platform.create("scout")
    daemon.add(scout, proxy=proxy.url)
    daemon.start()
    daemon.wait_state("scout", "online")
    place = platform.url.split("/")[2]
    assert proxy.lines() and all(f" http://{place}/" in line for line in proxy.lines())


def test_a_proxy_never_sees_what_is_said_over_tls(secure, daemon, scout, proxy):
    secure.set_secret(scout, "KEY", "canary-behind-a-proxy")
    daemon.add(scout, proxy=proxy.url)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert daemon.call("secrets.get")["values"] == {"KEY": "canary-behind-a-proxy"}
    place = secure.url.split("/")[2]
    assert set(proxy.lines()) == {f"CONNECT {place} HTTP/1.1"}
    for head in proxy.heads:
        assert scout.token.encode() not in head and b"Authorization" not in head


def test_a_proxy_that_is_not_there_is_no_reason_to_go_without(platform, daemon):
    scout = platform.create("scout")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    daemon.add(scout, proxy=f"http://127.0.0.1:{port}")
    daemon.start()
    assert str(port) in failure(daemon)
    assert platform.dev.requests(scout, endpoint="state") == []


def test_the_environment_of_this_test_has_no_effect():
    """Or those above would prove nothing."""
    assert not {"http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"} & set(os.environ)
