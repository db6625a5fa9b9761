# SPDX-License-Identifier: MIT
"""Under the unit a plugin can be installed and set up, and its setup.sh can do nothing else."""

import json
import os
import re
from pathlib import Path

from service import STATE, run

SETUP = """\
set -e
echo "$(id -un) $PLUGIN_NAME"
mkdir -p vendor; echo built >vendor/built; echo kept >"$TMPDIR/kept"
/usr/bin/python3 - <<'END'
import urllib.request
print("network", urllib.request.urlopen("{url}/health", timeout=20).status)
END
set +e
for secret in /etc/molecule/laptop.token {state}/workspaces {state}/tokens /proc/$PPID/environ; do
    ls "$secret" && cat "$secret"
done
echo x >{state}/outside; echo x >/tmp/outside; echo x >/etc/molecule/outside
chmod u+s vendor/built
setsid sleep 1000 &
exit 0
"""


def left_running(service):
    """What is in the service's control group, beside the daemon."""
    group = Path("/sys/fs/cgroup") / service.show("ControlGroup").lstrip("/")
    folders = [path for path in Path("/sys/fs/cgroup").rglob(group.name) if path.is_dir()]
    return {int(pid) for folder in folders
            for pid in (folder / "cgroup.procs").read_text().split()} - {service.pid}


def test_a_plugin_is_installed_set_up_and_kept_in(service, platform):
    laptop = platform.create("laptop")
    service.add(laptop)
    platform.publish("demo", {"rules/one.md": "be kind",
                              "setup.sh": SETUP.format(url=platform.url, state=STATE)})
    service.start()
    service.wait_state("laptop", "online")
    done = run("molecule-agentctl", "plugin", "install", "demo", "--run-setup", "--json", "-q")
    answer = json.loads(done.stdout)
    assert answer["setup"]["ok"], answer
    log = Path(answer["setup"]["log"]).read_text()
    assert log.startswith("molecule demo\nnetwork 200\n"), log
    assert laptop.token not in log, log
    assert log.count("Permission denied") >= 6, log
    assert not (STATE / "outside").exists() and not Path("/etc/molecule/outside").exists()

    tree = Path(answer["path"])
    assert (tree / "vendor/built").read_text() == "built\n"
    assert (tree / "vendor/built").stat().st_mode & 0o7777 == 0o644
    assert not list(tree.parent.glob("**/kept"))
    assert os.stat(answer["setup"]["log"]).st_mode & 0o7777 == 0o600
    assert not left_running(service)
    # Landlock was to be had, under the unit's filter of system calls.
    assert "unconfined" not in service.journal.text()


WRITES_CODE = "echo trying\nexec /usr/bin/python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)' 2>/dev/null\n"


def set_up(service, platform):
    """With a setup.sh that needs memory as a JIT compiler does."""
    service.add(platform.create("laptop"))
    platform.publish("demo", {"setup.sh": WRITES_CODE})
    service.start()
    service.wait_state("laptop", "online")
    return service.call("plugins.install", name="demo", run_setup=True)["setup"]


def test_who_writes_code_at_run_time_fails_and_the_log_says_why(service, platform):
    setup = set_up(service, platform)
    assert not setup["ok"] and setup["exit"] == 1, setup
    said, explained = Path(setup["log"]).read_text().splitlines()
    assert said == "trying"
    assert "Node.js" in explained and "MemoryDenyWriteExecute=" in explained
    assert "here Node.js and Java do not run: see molecule-setup(8)" in setup["why"]


def test_a_drop_in_lets_it_write_code(service, platform):
    service.drop_in("MemoryDenyWriteExecute=no")
    setup = set_up(service, platform)
    assert setup["ok"], setup
    assert Path(setup["log"]).read_text() == "trying\n"


def peak_kib(pid):
    return int(re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def test_the_daemon_takes_no_memory_for_a_large_one(service, platform):
    service.add(platform.create("laptop"))
    words = b"".join(b"word%d " % n for n in range(1000))
    platform.publish("large", {f"folder-{n % 50}/file-{n}": os.urandom(2000) + words for n in range(2000)})
    service.start()
    service.wait_state("laptop", "online")
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")       # the peak begins anew
    before = peak_kib(service.pid)
    assert service.call("plugins.install", name="large")["files"] >= 2000
    assert peak_kib(service.pid) <= before + 1024


def test_a_plugin_can_be_verified_taken_back_and_removed(service, platform):
    service.add(platform.create("laptop"))
    service.start()
    service.wait_state("laptop", "online")
    for version in "1", "2":
        platform.publish("demo", {"a": version}, version=version)
        run("molecule-agentctl", "plugin", "install", "demo", "-q")
    assert run("molecule-agentctl", "plugin", "verify").stdout == "all plugins: as installed\n"
    assert run("molecule-agentctl", "plugin", "rollback", "demo").stdout.startswith("demo 1: ")
    run("molecule-agentctl", "plugin", "remove", "demo")
    assert service.call("plugins.list") == {"plugins": []}


def test_who_stops_the_service_stops_what_is_being_set_up(service, platform):
    service.add(platform.create("laptop"))
    platform.publish("demo", {"setup.sh": "trap '' TERM HUP; setsid sleep 1000 & echo up >up; wait"})
    service.start()
    service.wait_state("laptop", "online")
    client = service.connect()
    events = client.subscribe("plugin.progress")
    client.send("plugins.install", name="demo", run_setup=True)
    events.until(lambda event: event["data"]["phase"] == "setup")
    service.systemctl("stop")
    assert service.state == "inactive (dead)"
    assert service.show("Result") == "success"
    service.start()
    service.wait_state("laptop", "online")
    assert service.call("plugins.list") == {"plugins": []}
    # Nobody but the daemon has ended its children: none seemed to fail.
    assert "has failed" not in service.journal.text()
