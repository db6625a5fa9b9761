# SPDX-License-Identifier: MIT
"""The unit leaves the daemon little to misuse, and everything that it needs."""

import errno
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


def under_the_unit(*command):
    """A command's outcome, with all that [Service] imposes; the checkout and the build are in /run."""
    properties = settings()
    assert len(properties) > 25 and "SystemCallFilter=@system-service" in properties
    build = Path(os.environ["MOLECULE_BUILD_DIR"])
    return run("systemd-run", "--quiet", "--wait", "--pipe", "--collect",
               *(f"--property={line}" for line in properties),
               # Its /tmp and /home are not ours, wherever the checkout is.
               f"--property=BindReadOnlyPaths={build}:/run/build {TOP}:/run/checkout",
               "--working-directory=/tmp",
               "--setenv=MOLECULE_BUILD_DIR=/run/build", "--setenv=PYTHONDONTWRITEBYTECODE=1",
               *command, check=False, timeout=600)


def pytest_under_the_unit(*arguments):
    """How many tests have passed; that none has failed is seen to."""
    done = under_the_unit("/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no",
                          *arguments)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    print(f"under the sandbox: {passed[0]}")
    return int(passed[1])


def test_the_integration_tests_pass_under_it(platform):
    """A system call that the unit does not allow ends the process that makes it."""
    marks = os.environ.get("MOLECULE_SANDBOX_MARKS", "smoke")
    assert pytest_under_the_unit("-m", marks, "-k", NOT_HERE, "/run/checkout/tests/integration") >= 8


OPENAT2 = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); " \
          "print(libc.syscall(437, -100, b'/', b'\\0' * 24, 24), ctypes.get_errno())"


def test_hostile_archives_are_refused_without_openat2_too(platform):
    """RestrictSUIDSGID= takes that call away: molecule-unpack opens each part of a name by itself."""
    assert under_the_unit("/usr/bin/python3", "-c", OPENAT2).stdout.split() == ["-1", str(errno.ENOSYS)]
    hostile = "/run/checkout/tests/integration/test_unpack_hostile.py"
    assert pytest_under_the_unit("-k", "service", hostile) >= 150
