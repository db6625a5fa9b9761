# SPDX-License-Identifier: MIT
"""systemctl reload: all of the new configuration, or nothing of it."""

import os
import signal

import pytest

from service import UNIT, Journal

CONFIG_REFUSED = "0c2275bceaff4a1d908e604525ae0216"


def names(service):
    return [workspace["name"] for workspace in service.call("workspace.list")["workspaces"]]


def test_a_good_one_is_in_force_when_the_command_returns(service, platform):
    service.add(platform.create("laptop"))
    service.start()
    service.wait_state("laptop", "online")
    pid = service.pid
    for n in range(5):
        service.add(platform.create(f"printer-{n}"))
        service.systemctl("reload")
        assert f"printer-{n}" in names(service)
    assert service.pid == pid and service.state == "active (running)"
    assert service.call("workspace.status", workspace="laptop")["state"] == "online"


def break_it(service, platform):
    """Something good, and something bad: the name of the file, and the line."""
    service.add(platform.create("printer"))
    return service.write("agentd.conf.d/wrong.conf", "[daemon]\nlog_level = info\nbanana = 1\n"), 3


def refused(journal, path, line):
    entry = journal.wait(MESSAGE_ID=CONFIG_REFUSED, _SYSTEMD_UNIT=UNIT)
    assert f"{path}:{line}: unknown key" in entry["MESSAGE"]
    assert entry["PRIORITY"] == "3" and entry["MOLECULE_EVENT"] == "config_refused"


def test_a_bad_one_fails_and_changes_nothing(service, platform):
    service.add(platform.create("laptop"))
    service.start()
    service.wait_state("laptop", "online")
    pid, journal = service.pid, Journal()
    path, line = break_it(service, platform)
    done = service.systemctl("reload", check=False)
    assert done.returncode != 0
    refused(journal, path, line)
    assert (service.pid, service.state) == (pid, "active (running)")
    assert names(service) == ["laptop"]
    assert service.call("workspace.status", workspace="laptop")["state"] == "online"

    path.unlink()
    service.systemctl("reload")
    assert sorted(names(service)) == ["laptop", "printer"]


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_the_signal_does_the_same(service, platform, good):
    service.add(platform.create("laptop"))
    service.start()
    pid, journal = service.pid, Journal()
    path, line = break_it(service, platform)
    if good:
        path.unlink()
    os.kill(pid, signal.SIGHUP)
    if good:
        journal.wait(MESSAGE='reloaded; changed: ["printer"]')
    else:
        refused(journal, path, line)
    assert sorted(names(service)) == (["laptop", "printer"] if good else ["laptop"])
    assert (service.pid, service.state) == (pid, "active (running)")
