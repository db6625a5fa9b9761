# SPDX-License-Identifier: MIT
"""A plugin's setup.sh: when it is run, and what its failure does."""

from pathlib import Path

import pytest

from harness import QUIET
from plugintools import content, install, listed, refused, tree_of, versions

pytestmark = pytest.mark.dev_platform

SAYS = "#!/bin/sh\necho hello from setup\necho made > made\n"
FAILS = "#!/bin/sh\necho it went wrong >&2\nexit 3\n"


@pytest.fixture
def configured(platform, start_daemon):
    """A daemon whose [plugins] says so."""

    def start(**settings):
        daemon, scout = start_daemon(), platform.create("scout")
        daemon.configure(plugins=settings)
        daemon.add(scout, **QUIET)
        daemon.start()
        daemon.wait_state("scout", "online")
        return daemon, scout

    return start


def test_it_is_not_run_unless_somebody_says_so(platform, daemon, scout):
    platform.publish("demo", {"setup.sh": SAYS})
    assert install(daemon)["setup"] == {"ran": False, "ok": None, "exit": None, "why": None,
                                        "log": None}
    assert not (tree_of(daemon, scout) / "made").exists()


def test_it_is_run_in_the_new_version_before_that_counts(platform, daemon, scout):
    events = daemon.events("plugin.progress")
    platform.publish("demo", {"setup.sh": SAYS})
    setup = install(daemon, run_setup=True)["setup"]
    assert {**setup, "log": ""} == {"ran": True, "ok": True, "exit": 0, "why": None, "log": ""}
    assert Path(setup["log"]).read_text() == "hello from setup\n"
    assert (tree_of(daemon, scout) / "made").read_text() == "made\n"
    events.until(lambda event: event["data"]["phase"] == "done")
    phases = list(dict.fromkeys(event["data"]["phase"] for event in events.seen))
    assert phases == ["download", "unpack", "setup", "verify", "done"]
    # What it has made did not come with the plugin.
    assert daemon.call("plugins.verify")["drift"] == [
        {"name": "demo", "path": "made", "what": "added"}]


def test_a_plugin_without_one_needs_none(platform, daemon, scout):
    platform.publish("demo")
    assert install(daemon, run_setup=True, require_setup=True)["setup"]["ran"] is False


def test_a_failure_leaves_the_plugin_installed(platform, daemon, scout):
    platform.publish("demo", {"setup.sh": FAILS})
    setup = install(daemon, run_setup=True)["setup"]
    assert (setup["ran"], setup["ok"], setup["exit"]) == (True, False, 3)
    assert "status 3" in setup["why"]
    assert Path(setup["log"]).read_text() == "it went wrong\n"
    assert set(listed(daemon)) == {"demo"}
    daemon.wait_log("plugin demo 1.0.0 was installed, .*; its setup.sh has failed")


@pytest.mark.parametrize("params", [{"require_setup": True},
                                    {"run_setup": True, "require_setup": True}])
def test_a_failure_of_what_is_required_changes_nothing(platform, daemon, scout, params):
    platform.publish("demo", {"a": "1"})
    install(daemon)
    before = content(tree_of(daemon, scout))
    platform.publish("demo", {"setup.sh": FAILS}, version="2")
    error = refused(daemon, "plugins.install", name="demo", **params)
    assert error.kind == "platform_error" and "status 3" in error.text
    assert content(tree_of(daemon, scout)) == before
    daemon.wait_log("removed demo/versions/")
    assert len(versions(daemon, scout)) == 1
    assert listed(daemon)["demo"]["version"] == "1.0.0"


def test_one_that_does_not_end(platform, configured):
    daemon, scout = configured(setup_timeout="1s")
    platform.publish("demo", {"setup.sh": "#!/bin/sh\nsleep 600 &\necho waits\nsleep 600\n"})
    setup = install(daemon, run_setup=True)["setup"]
    assert setup["ok"] is False and "did not end within 1s" in setup["why"]
    assert set(listed(daemon)) == {"demo"}


def test_always(platform, configured):
    daemon, scout = configured(run_setup="always")
    platform.publish("demo", {"setup.sh": SAYS})
    assert install(daemon)["setup"]["ok"] is True
    assert install(daemon, run_setup=False)["setup"]["ran"] is False


def test_never(platform, configured):
    daemon, scout = configured(run_setup="never")
    platform.publish("demo", {"setup.sh": SAYS})
    for params in ({"run_setup": True}, {"require_setup": True}):
        error = refused(daemon, "plugins.install", name="demo", **params)
        assert error.kind == "forbidden" and "agentd.conf" in error.text
    assert install(daemon)["setup"]["ran"] is False


def test_the_rule_can_be_changed(platform, configured):
    daemon, scout = configured(run_setup="never")
    platform.publish("demo", {"setup.sh": SAYS})
    daemon.configure(plugins={"run_setup": "always"})
    assert "plugins.run_setup" in daemon.call("daemon.reload")["changed"]
    assert install(daemon)["setup"]["ok"] is True


def test_it_is_told_nothing_of_the_daemon(platform, daemon, scout):
    platform.set_secret(scout, "KEY", "a secret that is nobody's business")
    daemon.call("secrets.refresh")
    platform.publish("demo", {"setup.sh": f"#!/bin/sh\nset\ncat {daemon.token_path(scout)} "
                                          f"{daemon.etc}/*.token\nls -l /proc/self/fd\n"})
    log = Path(install(daemon, run_setup=True)["setup"]["log"]).read_text()
    assert "PLUGIN_DIR" in log and "PATH=" in log
    for word in (scout.token, "nobody's business", "MOLECULE_", "NOTIFY_SOCKET"):
        assert word not in log, word


def test_who_leaves_meanwhile_gives_it_up(platform, daemon, scout):
    platform.publish("demo", {"a": "1"})
    install(daemon)
    before = content(tree_of(daemon, scout))
    platform.publish("demo", {"setup.sh": "#!/bin/sh\necho begun\nsleep 600\n"}, version="2")
    events = daemon.events("plugin.progress")
    client = daemon.connect()
    client.send("plugins.install", name="demo", run_setup=True)
    events.until(lambda event: event["data"]["phase"] == "setup")
    client.close()
    events.until(lambda event: event["data"]["phase"] == "failed")
    daemon.wait_log("removed demo/versions/")
    assert content(tree_of(daemon, scout)) == before
    assert len(versions(daemon, scout)) == 1


def test_one_that_cannot_be_started(platform, start_daemon):
    daemon, scout = start_daemon(), platform.create("scout")
    daemon.env["MOLECULE_SETUP"] = "/nowhere/molecule-setup"
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.publish("demo", {"setup.sh": SAYS})
    setup = install(daemon, run_setup=True)["setup"]
    assert (setup["ran"], setup["ok"], setup["exit"]) == (False, False, None)
    assert "No such file" in setup["why"]
    error = refused(daemon, "plugins.install", name="demo", require_setup=True)
    assert error.kind == "platform_error" and "No such file" in error.text
