# SPDX-License-Identifier: MIT
"""Whose process it is, and how it gets at its tokens."""

from pathlib import Path

from service import ETC, STATE, run


def is_online(service, workspace):
    status = service.wait_state(workspace.name, "online", "auth_lost")
    return status["state"] == "online" and status["token"]["prefix"] == workspace.token[:8]


def owner_of_process(pid):
    return Path(f"/proc/{pid}").owner()


def test_a_token_that_only_the_manager_can_read(service, platform):
    """LoadCredential= and token_credential."""
    laptop = platform.create("laptop")
    path = service.write("laptop.token", laptop.token + "\n", 0o600, "root")
    service.drop_in(f"LoadCredential=laptop.token:{path}")
    service.add(laptop, token_credential="laptop.token")
    service.start()
    assert is_online(service, laptop)
    copies = [path for path in STATE.rglob("*")
              if path.is_file() and laptop.token in path.read_text()]
    assert not copies, "a credential needs no second copy"


def test_without_the_credential_it_says_what_is_missing(service, platform):
    laptop = platform.create("laptop")
    service.add(laptop, token_credential="laptop.token")
    service.start()
    status = service.wait_state("laptop", "auth_lost")
    assert "laptop.token" in status["last_error"] and "LoadCredential" in status["last_error"]


def test_a_token_of_root_cannot_be_read_without(service, platform):
    laptop = platform.create("laptop")
    path = service.write("laptop.token", laptop.token + "\n", 0o600, "root")
    service.add(laptop, token_file=path)
    service.start()
    status = service.wait_state("laptop", "auth_lost")
    assert str(path) in status["last_error"] and "Permission denied" in status["last_error"]


def test_it_runs_as_its_user_with_no_rights(service, platform):
    service.start()
    pid = service.pid
    assert owner_of_process(pid) == "molecule"
    status = dict(line.split(":\t", 1) for line in
                  Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    for rights in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
        assert int(status[rights], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def joined(service, platform, name):
    scout = platform.create(name)
    run("molecule-agentctl", "join", "--name", name, "--url", platform.url, "--workspace-id",
        scout.id, input=scout.token)
    assert is_online(service, scout)
    return scout


def test_a_dynamic_user_will_do(service, platform):
    """One that exists while the daemon runs, and has its state below /var/lib/private."""
    laptop = platform.create("laptop")
    path = service.write("laptop.token", laptop.token + "\n", 0o600, "root")
    service.drop_in("DynamicUser=yes", "User=", f"LoadCredential=laptop.token:{path}")
    service.add(laptop, token_credential="laptop.token")
    service.start()
    assert owner_of_process(service.pid) != "molecule"
    assert STATE.is_symlink() and STATE.resolve() == Path("/var/lib/private/molecule")
    assert is_online(service, laptop)

    scout = joined(service, platform, "scout")
    service.systemctl("restart")
    assert is_online(service, scout)
    service.systemctl("reload")


def test_so_does_a_dynamic_user_of_the_same_name(service, platform):
    service.drop_in("DynamicUser=yes")
    service.start()
    scout = joined(service, platform, "scout")
    assert STATE.is_symlink()
    service.systemctl("restart")
    assert is_online(service, scout)


def test_its_state_moves_to_a_dynamic_user_and_back(service, platform):
    service.start()
    scout = joined(service, platform, "scout")
    service.systemctl("stop")
    service.drop_in("DynamicUser=yes", "User=")
    service.start()
    assert STATE.is_symlink() and is_online(service, scout)


def test_it_cannot_change_what_is_not_its_own(service, platform):
    """As seen from inside: its own mounts, its own user."""
    service.start()

    def inside(script):
        return run("nsenter", "--mount", f"--target={service.pid}", "setpriv", "--reuid=molecule",
                   "--regid=molecule", "--clear-groups", "sh", "-c", script, check=False).returncode

    assert inside(f"touch {STATE}/mine && rm {STATE}/mine") == 0
    assert inside("touch /tmp/mine") == 0 and not Path("/tmp/mine").exists()
    for path in ETC, "/etc", "/run/molecule", "/run", "/usr", "/var/lib", "/home":
        assert inside(f"touch {path}/mine") != 0, path
    assert inside("ls /home/*") != 0


def test_members_of_the_group_read_plugins_and_nothing_else(service, platform):
    laptop = platform.create("laptop")
    platform.publish("demo", {"rules/tone.md": "be kind", "hooks/go.sh": "#!/bin/sh\necho goes\n",
                              "setup.sh": "#!/bin/sh\necho made >made\n"})
    service.add(laptop)
    service.start()
    assert is_online(service, laptop)
    answer = service.call("plugins.install", name="demo", run_setup=True)
    assert answer["setup"]["ok"] is True, answer
    assert service.call("plugins.list")["plugins"][0]["path"] == answer["path"]

    def member(*command):
        return run("setpriv", "--reuid=nobody", "--regid=molecule", "--clear-groups", *command,
                   check=False)

    path = Path(answer["path"])
    assert member("cat", path / "rules/tone.md").stdout == "be kind"
    assert member(path / "hooks/go.sh").stdout == "goes\n"
    for closed in STATE, STATE / "tokens", STATE / "lock", path.parent / "setup.log":
        command = "ls" if closed.is_dir() else "cat"
        assert "Permission denied" in member(command, closed).stderr, closed
    stranger = run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "ls", path,
                   check=False)
    assert "Permission denied" in stranger.stderr
