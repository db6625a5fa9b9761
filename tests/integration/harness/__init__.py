# SPDX-License-Identifier: MIT
"""For the stories: a real daemon, a platform for it, and a client of its socket.

    def test_a_story(platform, daemon):
        scout = platform.create("scout")
        daemon.add(scout)                       # workspaces.d/scout.conf, and its token
        daemon.start()                          # until READY=1
        daemon.wait_state("scout", "online")
        assert daemon.call("secrets.list", workspace="scout")["keys"] == []

The fixtures are in conftest.py. platform.py talks to the platform as its
operator would, daemon.py runs the daemon, client.py speaks JSON-RPC to it,
peer.py is an agent that can be told to misbehave.
Nothing here sleeps: what waits, waits for an event, and says what it has waited
for when the time is over.
"""

from .client import Client, Closed, Events, RpcError
from .daemon import QUIET, Daemon, Failure, build_dir
from .peer import Gate, Peer
from .platform import Dev, Platform, Reply, Workspace

__all__ = ["Client", "Closed", "Daemon", "Dev", "Events", "Failure", "Gate", "Peer", "Platform",
           "QUIET", "Reply", "RpcError", "Workspace", "build_dir"]
