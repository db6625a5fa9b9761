# SPDX-License-Identifier: MIT
"""Each allocation fails: at the start, and in every method with all that the platform answers to it.

Number one, number two and so on until none is left to fail; each once by itself,
and once with all that come after it. The answer is an error that says so, or the
connection is closed when there is no memory even for that - never silence, never
the end of the daemon. Once there is memory again, everything is as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import Closed, Daemon, Failure, Platform, RpcError, Workspace
from nthmalloc import Scarcity
from tally import Tally

pytestmark = [pytest.mark.dev_platform, pytest.mark.plain]

MOST = 3000     # allocations of one call: more is a loop that never ends
URL = "http://localhost:9/a2a"
once_and_for_ever = pytest.mark.parametrize("forever", [False, True], ids=["once", "for ever"])


@dataclasses.dataclass
class Scene:
    daemon: Daemon
    platform: Platform
    scarcity: Scarcity
    scout: Workspace
    peer: Workspace

    def call(self, method: str, **params: Any) -> Any:
        """On a connection of its own: what is left of the last call does not count."""
        with self.daemon.connect(10) as client:
            return client.call(method, **params)

    def is_listed(self) -> bool:
        names = [row["name"] for row in self.call("workspace.list")["workspaces"]]
        return "scout" in names

    def join(self) -> Any:
        return self.call("workspace.join", platform_url=self.platform.url, name="scout",
                         workspace_id=self.scout.id, token=self.scout.token)

    def be_joined(self) -> None:
        if not self.is_listed():
            self.join()

    def be_gone(self) -> None:
        if self.is_listed():
            self.call("workspace.leave", workspace="scout", forget=True)


@pytest.fixture
def scene(platform, daemon):
    daemon.configure(daemon={"log_level": "warning"}, defaults={
        "heartbeat_interval": "10min", "state_poll_interval": "1h",
        "secrets_refresh_interval": "0"})
    scout = platform.create("scout")
    peer = platform.create("peer")
    for key in ("KEY", "OTHER", "THIRD"):
        platform.set_secret(scout, key, f"canary of {key} in scarcity")
    daemon.platforms.add(platform)
    scarcity = Scarcity(daemon)
    daemon.start(env=scarcity.env)
    scene = Scene(daemon, platform, scarcity, scout, peer)
    scene.join()
    return scene


@dataclasses.dataclass(frozen=True)
class Story:
    params: Callable[[Scene], dict[str, Any]] = lambda scene: {}
    prepare: Callable[[Scene], Any] = lambda scene: None
    check: Callable[[Scene], Any] = lambda scene: None


def of_scout(**params: Any) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: {"workspace": "scout", **params}


def joins(scene: Scene) -> dict[str, Any]:
    return {"platform_url": scene.platform.url, "name": "scout", "workspace_id": scene.scout.id,
            "token": scene.scout.token, "agent_card": {"name": "scout", "skills": []}}


def registers(scene: Scene) -> dict[str, Any]:
    return {"platform_url": scene.platform.url, "name": "scout", "workspace_id": scene.scout.id,
            "reported_url": URL}


def without_token(scene: Scene) -> None:
    scene.be_gone()
    scene.platform.revoke_all(scene.scout)


def has_a_token(scene: Scene) -> None:
    """If the platform's answer was lost with the token in it, somebody has to help."""
    if scene.is_listed():
        state = scene.daemon.wait_state("scout", "online", "auth_lost", "unreachable")["state"]
        if state == "online":
            assert scene.platform.accepts(scene.scout, scene.daemon.kept_token(scene.scout))
    scene.be_gone()
    scene.platform.revoke_all(scene.scout)
    scene.scout.token = scene.platform.mint(scene.scout)


def token_works(scene: Scene) -> None:
    assert scene.call("workspace.refresh", workspace="scout")["state"] == "online"
    assert scene.platform.accepts(scene.scout, scene.daemon.kept_token(scene.scout))


def thin_out(scene: Scene) -> None:
    """A platform gives 50 tokens and no more."""
    kept = scene.daemon.kept_token(scene.scout)
    for row in scene.platform.tokens(scene.scout):
        if not kept.startswith(row["prefix"]):
            scene.platform.admin("DELETE", f"/workspaces/{scene.scout.id}/tokens/{row['id']}")


def secrets_are_whole(scene: Scene) -> None:
    values = scene.call("secrets.get", workspace="scout")["values"]
    assert values == {key: f"canary of {key} in scarcity" for key in ("KEY", "OTHER", "THIRD")}


def delegates(scene: Scene, **params: Any) -> dict[str, Any]:
    return {"workspace": "scout", "to": scene.peer.id, "task": "think " * 100, **params}


def of_delegation(**params: Any) -> Callable[[Scene], dict[str, Any]]:
    """One that is there, and will have ended some time."""
    return lambda scene: {"workspace": "scout", **params, "delegation_id": scene.call(
        "delegation.create", **delegates(scene, idempotency_key="the one"))["delegation_id"]}


def what_was_accepted_ends(scene: Scene) -> None:
    answer = scene.call("delegation.create", **delegates(scene))
    for _ in range(4):      # after a failure it is asked for later
        delegation = scene.call("delegation.wait", workspace="scout", wait_ms=8000,
                                delegation_id=answer["delegation_id"])
        if delegation["status"] == "failed":    # nobody can call the peer
            return
    raise AssertionError(delegation)


def install(scene: Scene, version: str) -> None:
    scene.platform.publish("demo", {"which": version, "d/other": "x" * 5000}, version=version)
    scene.call("plugins.install", workspace="scout", name="demo", report=False)


def has_two_versions(scene: Scene) -> None:
    rows = scene.call("plugins.list", workspace="scout")["plugins"]
    if not rows or not rows[0]["previous"]:
        install(scene, "1")
        install(scene, "2")


def has_no_plugin(scene: Scene) -> None:
    if scene.call("plugins.list", workspace="scout")["plugins"]:
        scene.call("plugins.remove", workspace="scout", name="demo")
    scene.platform.publish("demo", {"which": "3"}, version="3")


def plugins_are_whole(scene: Scene) -> None:
    """What is listed is what is on disk."""
    rows = scene.call("plugins.list", workspace="scout")["plugins"]
    assert scene.call("plugins.verify", workspace="scout")["ok"]
    for row in rows:
        assert (Path(row["path"]) / "which").read_text() == row["version"]


STORIES = {
    "daemon.info": Story(),
    "daemon.status": Story(),
    "daemon.metrics": Story(),
    "daemon.reload": Story(),
    "rpc.discover": Story(),
    "rpc.cancel": Story(lambda scene: {"id": 77}),
    "workspace.list": Story(),
    "workspace.status": Story(of_scout()),
    "workspace.join": Story(joins, Scene.be_gone, Scene.be_gone),
    "workspace.leave": Story(of_scout(forget=True), Scene.be_joined),
    "workspace.report": Story(of_scout(current_task="thinking", active_tasks=1)),
    "workspace.update_card": Story(of_scout(agent_card={"name": "scout", "description": "x" * 300})),
    "workspace.refresh": Story(of_scout(), check=token_works),
    "token.set": Story(lambda scene: {"workspace": "scout", "token": scene.scout.token},
                       check=token_works),
    "token.rotate": Story(of_scout(), thin_out, token_works),
    "secrets.list": Story(of_scout(), check=secrets_are_whole),
    "secrets.get": Story(of_scout(max_age_ms=0), check=secrets_are_whole),
    "secrets.refresh": Story(of_scout(), check=secrets_are_whole),
    "peers.list": Story(of_scout(refresh=True)),
    "peers.discover": Story(lambda scene: {"workspace": "scout", "peer": scene.peer.id,
                                           "refresh": True}),
    "peers.invalidate": Story(lambda scene: {"workspace": "scout", "peer": scene.peer.id}),
    "a2a.send": Story(lambda scene: {"workspace": "scout", "to": scene.peer.id, "text": "ping"}),
    "delegation.create": Story(delegates, check=lambda scene: scene.call("delegation.list")),
    "delegation.get": Story(of_delegation()),
    "delegation.list": Story(of_scout(limit=5)),
    "delegation.wait": Story(of_delegation(wait_ms=5)),
    "plugins.install": Story(of_scout(name="demo"), has_no_plugin, plugins_are_whole),
    "plugins.list": Story(of_scout(), has_two_versions, plugins_are_whole),
    "plugins.verify": Story(of_scout(), has_two_versions, plugins_are_whole),
    "plugins.rollback": Story(of_scout(name="demo"), has_two_versions, plugins_are_whole),
    "plugins.remove": Story(of_scout(name="demo"), has_two_versions, plugins_are_whole),
    "events.subscribe": Story(),
    "events.unsubscribe": Story(lambda scene: {"subscription": "s1"}),
}
REGISTER = Story(registers, without_token, has_a_token)
MARKS = {"fast": {"daemon.info", "secrets.get", "token.rotate", "workspace.refresh"},
         "waits": {"workspace.join"}}   # until it tries again


def try_at(scene: Scene, method: str, story: Story, number: int, forever: bool) -> bool:
    """Whether anything was there to fail."""
    story.prepare(scene)
    params = story.params(scene)
    with scene.daemon.connect() as client:
        with scene.scarcity.at(number, forever):
            try:
                client.call(method, **params)
            except RpcError as error:
                assert error.text and error.code, repr(error)
            except (Closed, ConnectionError):
                pass
        failed = scene.scarcity.failed
    assert scene.call("daemon.info")["version"]
    return failed > 0


def sweep(scene: Scene, tally: Tally, method: str, story: Story, forever: bool) -> int:
    for number in range(1, MOST):
        tally.add()
        try:
            if not try_at(scene, method, story, number, forever):
                return number
            story.check(scene)
        except Exception as why:
            raise AssertionError(f"{method} without allocation {number}"
                                 + (" and those after it" if forever else "")) from why
    raise AssertionError(f"{method} never ends")


@once_and_for_ever
@pytest.mark.parametrize("method", [
    pytest.param(name, marks=[getattr(pytest.mark, mark) for mark, names in MARKS.items()
                              if name in names]) for name in STORIES])
def test_in_each_method(scene, tally, method, forever):
    number = sweep(scene, tally, method, STORIES[method], forever)
    assert number > 1 or method.startswith(("rpc.", "peers.inv")), "nothing has failed"
    scene.be_joined()
    token_works(scene)
    secrets_are_whole(scene)
    what_was_accepted_ends(scene)


def test_there_is_no_other_method(scene):
    assert {row["name"] for row in scene.call("rpc.discover")["methods"]} == set(STORIES)


@pytest.mark.waits
@once_and_for_ever
def test_in_a_first_join(scene, tally, forever):
    assert sweep(scene, tally, "workspace.join", REGISTER, forever) > 1
    has_a_token(scene)
    scene.join()
    token_works(scene)


@once_and_for_ever
def test_at_the_start(platform, daemon, tally, forever):
    """Until it is ready; what else there was to fail, the methods show."""
    scout = platform.create("scout")
    daemon.add(scout)
    scarcity = Scarcity(daemon)
    ended = 0
    for number in range(1, MOST):
        tally.add()
        before = len(daemon.log)
        scarcity.arm(number, forever)
        daemon.start(ready=False, env=scarcity.env)
        process = daemon.process
        try:
            daemon.wait_message("READY=1")
        except Failure:
            assert daemon.process is None, "it neither is ready nor has ended"
            said = daemon.log[before:]
            assert process.returncode == 1, f"without allocation {number}: {said}"
            assert "memory" in said, f"without allocation {number}: {said}"
            ended += 1
            continue
        scarcity.disarm()
        assert daemon.refresh("scout")["state"] == "online", f"without allocation {number}"
        daemon.stop()
        if not scarcity.failed:
            break
    assert ended > 20 and not scarcity.failed
