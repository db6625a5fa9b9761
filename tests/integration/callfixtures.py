# SPDX-License-Identifier: MIT
"""For the stories of calls: one who calls, and those who are called.

    scout       a workspace of the daemon, online, that may call peers on this host
    make_bob    makes peers: a workspace each, and an agent that it has registered
    bob         the first one

A call that came by way of the platform has no X-Workspace-ID: is_direct().
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from harness import QUIET, Daemon, Peer, Platform, RpcError, Workspace
from harness.peer import Request

NEAR = "127.0.0.0/8 ::1"    # loopback, as peer_networks has it


@dataclasses.dataclass
class Bob:
    """A peer: what the platform knows of it, and what listens at its address."""

    workspace: Workspace
    peer: Peer

    @property
    def id(self) -> str:
        return self.workspace.id

    @property
    def name(self) -> str:
        return self.workspace.name

    @property
    def requests(self) -> list[Request]:
        return self.peer.requests

    def does(self, *deeds: Callable[..., None]) -> None:
        self.peer.does(*deeds)

    def register(self, url: str = "") -> None:
        """At its own address, or at another one."""
        self.workspace.platform.register(self.workspace, url or here(self.peer.port))

    def beat(self, **members: Any) -> None:
        """As the peer itself tells the platform how it is."""
        reply = self.workspace.platform.call(
            "POST", "/registry/heartbeat", {"workspace_id": self.id, **members},
            token=self.workspace.token)
        assert reply.status == 200, reply.body


def here(port: int) -> str:
    """The platform takes this name, where it takes no address of loopback."""
    return f"http://localhost:{port}/a2a"


@pytest.fixture
def scout(platform: Platform, daemon: Daemon) -> Workspace:
    scout = platform.create("scout")
    daemon.configure(defaults={"peer_networks": NEAR}, rpc={"max_request_bytes": "4M"})
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout


@pytest.fixture
def make_bob(platform: Platform) -> Iterator[Callable[..., Bob]]:
    with ExitStack() as ending:

        def make(name: str = "bob", registered: bool = True, **members: Any) -> Bob:
            bob = Bob(platform.create(name, **members), ending.enter_context(Peer()))
            if registered:
                bob.register()
            return bob

        yield make


@pytest.fixture
def bob(make_bob: Callable[..., Bob]) -> Bob:
    return make_bob()


def send(daemon: Daemon, to: str | Bob = "bob", text: Any = "ping",
         **params: Any) -> dict[str, Any]:
    """a2a.send, with a text unless there is a message. text may be None: neither."""
    if text is not None and "message" not in params:
        params["text"] = text
    return daemon.call("a2a.send", to=to if isinstance(to, str) else to.id, **params)


def refused(daemon: Daemon, to: str | Bob = "bob", text: Any = "ping",
            **params: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        send(daemon, to, text, **params)
    return caught.value


def is_direct(request: Request) -> bool:
    return bool(request.header("X-Workspace-ID"))


def routes(bob: Bob) -> list[str]:
    """How each request came."""
    return ["direct" if is_direct(request) else "proxy" for request in bob.requests]


def message_ids(*bobs: Bob) -> set[str]:
    return {request.message["messageId"] for bob in bobs for request in bob.requests}
