# SPDX-License-Identifier: MIT
"""The unit leaves the daemon little to misuse, and everything that it needs."""

import os
import re
from pathlib import Path

from service import UNIT, run

TOP = Path(__file__).resolve().parents[2]
UNIT_FILE = Path("/lib/systemd/system") / UNIT
EXPOSURE_MAX = 1.5

# What a test does and the service does not: it starts daemons as it likes.
NOT_FOR_TESTS = ("Restart", "StateDirectory", "StateDirectoryMode", "SystemCallErrorNumber",
                 "Type", "UMask", "WatchdogSec")
# These look into the daemon by way of /proc, as root may, or run Node, which writes its own code.
NOT_HERE = "not descriptors and not hangs_up_hurts and not javascript"


def test_little_is_exposed(service, platform):
    service.start()
    said = run("systemd-analyze", "security", "--no-pager", UNIT).stdout
    score = float(re.search(r"exposure level for \S+: ([0-9.]+)", said)[1])
    assert score <= EXPOSURE_MAX, said


def settings():
    """What [Service] imposes from User= on, as properties of a transient unit."""
    lines = UNIT_FILE.read_text().partition("\nUser=")[2].partition("[Install]")[0].splitlines()
    lines = ["User=" + lines[0], *lines[1:]]
    return [line for line in lines if re.match(r"[A-Z]\w+=", line)
            and line.partition("=")[0] not in NOT_FOR_TESTS]


def test_it_hears_of_the_network_and_the_clock(service, platform):
    address = "192.0.2.7/32", "dev", "lo"    # for documentation, and nobody's
    service.start()
    run("ip", "address", "add", *address)
    try:
        service.journal.wait(MESSAGE="the network changed: trying again what had failed")
    finally:
        run("ip", "address", "del", *address)
    said = [entry["MESSAGE"] for entry in service.journal.entries(_SYSTEMD_UNIT=UNIT)]
    assert not any("cannot" in line for line in said), said


def test_the_integration_tests_pass_under_it(platform):
    """A system call that the unit does not allow ends the process that makes it."""
    properties = settings()
    assert len(properties) > 25 and "SystemCallFilter=@system-service" in properties
    build = Path(os.environ["MOLECULE_BUILD_DIR"])
    marks = os.environ.get("MOLECULE_SANDBOX_MARKS", "smoke")
    done = run("systemd-run", "--quiet", "--wait", "--pipe", "--collect",
               *(f"--property={line}" for line in properties),
               # Its /tmp and /home are not ours, wherever the checkout is.
               f"--property=BindReadOnlyPaths={build}:/run/build {TOP}:/run/checkout",
               "--working-directory=/tmp",
               "--setenv=MOLECULE_BUILD_DIR=/run/build", "--setenv=PYTHONDONTWRITEBYTECODE=1",
               "/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no",
               "-m", marks, "-k", NOT_HERE, "/run/checkout/tests/integration",
               check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 8, done.stdout
    print(f"under the sandbox: {passed[0]}")
