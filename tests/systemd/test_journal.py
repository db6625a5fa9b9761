# SPDX-License-Identifier: MIT
"""What the journal has of it is what molecule-agentd(8) promises."""

import re
from pathlib import Path

import pytest

from service import UNIT, run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "man" / "molecule-agentd.8.scd"
NOTICE, WARNING, ERR = "5", "4", "3"


def documented():
    """The page's table: what it says, and the id."""
    rows = re.findall(r"^[|\s]+\[? ([0-9a-f]{32})\n:[\[\s] +(.+)$", PAGE.read_text(), re.MULTILINE)
    return {what: number for number, what in rows}


def test_the_page_has_the_table():
    assert len(documented()) == len(set(documented().values())) == 13


def of_workspace(service, what, name="laptop"):
    """The entry with the documented id; what every entry has is checked."""
    entry = service.journal.wait(MESSAGE_ID=documented()[what], MOLECULE_WORKSPACE=name)
    assert entry["_SYSTEMD_UNIT"] == UNIT
    assert entry["SYSLOG_IDENTIFIER"] == "molecule-agentd"
    assert entry["_PID"] == str(service.pid) and entry["_EXE"] == "/usr/sbin/molecule-agentd"
    assert name in entry["MESSAGE"]
    return entry


@pytest.fixture
def laptop(service, platform):
    laptop = platform.create("laptop")
    service.add(laptop, heartbeat_interval="1s", state_poll_interval="1s")
    service.start()
    service.wait_state("laptop", "online")
    return laptop


def test_a_workspace_comes_online(service, laptop):
    entry = of_workspace(service, "a workspace is online")
    assert entry["MOLECULE_EVENT"] == "online"
    assert entry["PRIORITY"] in ("6", NOTICE)


def test_it_is_paused(service, platform, laptop):
    platform.pause(laptop)
    entry = of_workspace(service, "it was paused")
    assert (entry["MOLECULE_EVENT"], entry["PRIORITY"]) == ("paused", NOTICE)


def test_it_is_deleted(service, platform, laptop):
    platform.delete(laptop)
    entry = of_workspace(service, "it was deleted on the platform")
    assert (entry["MOLECULE_EVENT"], entry["PRIORITY"]) == ("removed", NOTICE)


def test_the_platform_goes_away(service, platform, laptop):
    with platform.dev.down():
        entry = of_workspace(service, "the platform is out of reach")
    assert (entry["MOLECULE_EVENT"], entry["PRIORITY"]) == ("unreachable", WARNING)


def test_its_token_is_revoked(service, platform, laptop):
    platform.revoke_all(laptop)
    entry = of_workspace(service, "no token of it works")
    assert (entry["MOLECULE_EVENT"], entry["PRIORITY"]) == ("auth_lost", ERR)


def test_it_gets_another_token(service, platform, laptop):
    run("molecule-agentctl", "token", "set", "--workspace", "laptop", input=platform.mint(laptop))
    entry = of_workspace(service, "it has another token")
    assert entry["PRIORITY"] == NOTICE


def test_the_command_of_the_page_shows_one_workspace(service, platform):
    for name in "attic", "cellar":
        service.add(platform.create(name))
    service.start()
    for name in "attic", "cellar":
        service.wait_state(name, "online")
    run("journalctl", "--sync")
    assert "journalctl -u molecule-agentd MOLECULE_WORKSPACE=laptop" in PAGE.read_text()
    found = run("journalctl", "-u", "molecule-agentd", "MOLECULE_WORKSPACE=attic").stdout
    assert "attic: joining -> online" in found and "cellar" not in found


def test_its_level_is_what_the_configuration_says(service, platform):
    service.write("agentd.conf.d/quiet.conf", "[daemon]\nlog_level = warning\n")
    service.add(platform.create("laptop"))
    service.start()
    service.wait_state("laptop", "online")
    assert not service.journal.entries(_SYSTEMD_UNIT=UNIT)
