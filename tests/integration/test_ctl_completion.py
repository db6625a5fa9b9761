# SPDX-License-Identifier: MIT
"""molecule-agentctl: what shells offer, and what the manual page has."""

import re
import subprocess

from ctlfixtures import KINDS, SOURCE
from fakedaemon import PATIENCE

pytest_plugins = "ctlfixtures"


def complete(run, *words):
    return [line.split("\t")[0] for line in run("_complete", "--", *words).splitlines()]


def test_completion_knows_commands_options_and_what_the_daemon_knows(fake, run):
    fake.answers["secrets.list"] = {"keys": ["KEY_A", "KEY_B"]}
    fake.answers["workspace.list"] = {"workspaces": [{"id": "1", "name": "laptop"}]}
    fake.answers["rpc.discover"] = {"methods": [{"name": "peers.list"}]}
    assert complete(run, "re") == ["reload", "report", "refresh"]
    assert complete(run, "secrets", "") == ["list", "get", "refresh"]
    assert complete(run, "--json", "token", "r") == ["rotate"]
    assert {"--reported-url", "--timeout"} < set(complete(run, "join", "--"))
    assert complete(run, "join", "--tok") == ["--token-file"]
    assert complete(run, "join", "--token-file", "") == [":file"]
    assert complete(run, "secrets", "get", "--format", "") == ["env", "json", "raw"]
    assert complete(run, "-w", "l") == ["laptop"]
    assert complete(run, "-wlaptop", "secrets", "get", "KEY_A", "KEY_") == ["KEY_A", "KEY_B"]
    assert fake.params_of("secrets.list") == [{"workspace": "laptop"}]
    assert complete(run, "call", "p") == ["peers.list"]
    assert complete(run, "events", "-t", "inb") == ["inbox.message"]
    assert complete(run, "nonsense", "") == complete(run, "status", "") == []
    fake.stop()
    assert complete(run, "-w", "") == []


def test_bash_completes(fake, run):
    fake.answers["secrets.list"] = {"keys": ["KEY_A", "KEY_B", "it's $(id)"]}
    script = """
        source "$1"
        compopt() { echo "compopt $*"; }
        COMP_WORDS=("$2" secrets get "") COMP_CWORD=3
        _molecule_agentctl
        printf '%s\\n' "${COMPREPLY[@]}"
        COMP_WORDS=("$2" join --agent-card "") COMP_CWORD=3
        _molecule_agentctl
        complete -p molecule-agentctl
    """
    done = subprocess.run(["bash", "-euc", script, "-",
                           SOURCE / "etc/completions/molecule-agentctl.bash", run.program],
                          capture_output=True, text=True, env=run.env, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["KEY_A", "KEY_B", r"it\'s\ \$\(id\)", "compopt -o default",
                                        "complete -F _molecule_agentctl molecule-agentctl"]


def test_every_shells_script_asks_the_program():
    scripts = [path for path in (SOURCE / "etc/completions").iterdir()
               if path.name != "meson.build"]
    assert len(scripts) == 3
    for path in scripts:
        assert "_complete -- " in path.read_text()


def test_the_man_page_has_every_command_and_option(run):
    page = (SOURCE / "docs/man/molecule-agentctl.1.scd").read_text().replace("\\", "")
    described = set(re.findall(r"^\*([a-z]+(?: [a-z]+)?)\*", page, re.M))
    commands = set()
    for name in complete(run, ""):
        verbs = complete(run, name, "") if name in ("plugin", "secrets", "token") else []
        commands |= {f"{name} {verb}" for verb in verbs} or {name}
    assert described == commands
    for command in sorted(commands):
        for option in complete(run, *command.split(), "--"):
            assert f"*{option}*" in page, f"{command} {option}"
    for status in {status for _, status in KINDS.values()} | {0, 74, 78}:
        assert re.search(rf"^\*{status}\*", page, re.M) or status == 78, status
