# SPDX-License-Identifier: MIT
"""Other people's clients, unmodified, and the examples of README.md as they stand there."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest

from callfixtures import here
from harness import Peer, build_dir
from harness.peer import message

HERE = pathlib.Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
SOCKET = "/run/molecule.sock"   # what the examples say
PATIENCE_S = 30


@pytest.fixture
def scout(platform, daemon):
    scout = platform.create("scout")
    platform.set_secret(scout, "OPENAI_API_KEY", "value-of-the-openai-key")
    daemon.add(scout)
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout


def need(program):
    if not shutil.which(program):
        pytest.skip(f"there is no {program}")
    return program


def output(command, daemon, stdin="", env=None):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S,
                          env={**daemon.env, **(env or {})})
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


# ---- what npm and the distribution have ----

@pytest.fixture(scope="module")
def modules():
    folder = os.environ.get("MOLECULE_NODE_MODULES", "")
    if folder and os.path.isdir(folder):
        return folder
    if os.environ.get("CI") == "true":
        pytest.fail("MOLECULE_NODE_MODULES must name the folder that tools/node-modules prints")
    pytest.skip("no packages of npm: set MOLECULE_NODE_MODULES to what tools/node-modules prints")


def node(script, modules, daemon):
    return json.loads(output([need("node"), HERE / "clients" / script, daemon.socket], daemon,
                             env={"NODE_PATH": modules}))


def test_jayson(daemon, scout, modules):
    assert node("jayson.js", modules, daemon) == {
        "pid": daemon.pid, "id": scout.id, "code": -32601, "batch": ["name", "workspaces"], "many": 50}


def test_viem(daemon, scout, modules):
    methods = len(daemon.call("rpc.discover")["methods"])
    assert node("viem.js", modules, daemon) == {
        "pid": daemon.pid, "id": scout.id, "code": -32601, "methods": methods, "many": 100}


def test_vscode_jsonrpc(daemon, scout, modules):
    assert node("vscode-jsonrpc.js", modules, daemon) == {
        "pid": daemon.pid, "id": scout.id, "code": -32601, "kind": "method_not_found", "mine": True,
        "task": "größer, schöner"}


def test_pylsp_jsonrpc(daemon, scout):
    streams = pytest.importorskip("pylsp_jsonrpc.streams")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(daemon.socket))
        writer = streams.JsonRpcStreamWriter(connection.makefile("wb"))
        reader = streams.JsonRpcStreamReader(connection.makefile("rb"))
        writer.write({"jsonrpc": "2.0", "id": 1, "method": "daemon.info"})
        answers = []

        def take(message):
            answers.append(message)
            reader.close()

        reader.listen(take)
        assert answers[0]["result"]["pid"] == daemon.pid


REQUEST = '{"jsonrpc":"2.0","id":1,"method":"daemon.info"}'


@pytest.mark.parametrize("end", ["", "\n"], ids=["no newline", "newline"])
def test_netcat(daemon, scout, end):
    out = output([need("nc"), "-N", "-U", daemon.socket], daemon, stdin=REQUEST + end)
    assert json.loads(out)["result"]["pid"] == daemon.pid


@pytest.mark.parametrize("end", ["", "\n"], ids=["no newline", "newline"])
def test_socat(daemon, scout, end):
    out = output([need("socat"), "-t30", "-", f"UNIX-CONNECT:{daemon.socket}"], daemon, stdin=REQUEST + end)
    assert json.loads(out)["result"]["pid"] == daemon.pid


# ---- README.md ----

def example(language):
    [text] = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert SOCKET in text
    return text


def commands():
    """The block of commands below "A first call"."""
    section = README.read_text().split("## A first call")[1].split("\n## ")[0]
    lines = [line.strip().removeprefix("sudo ") for line in section.splitlines()
             if line.startswith("    ")]
    return [line for line in lines if line.startswith(("molecule-agentctl", "echo"))]


def test_the_readme_has_commands():
    assert any("secrets get" in line for line in commands())
    assert any("socat" in line for line in commands())


@pytest.fixture
def researcher(platform):
    """Somebody who can be called, and says the same to everything."""
    with Peer() as peer:
        workspace = platform.create("researcher")
        peer.does(message("Nothing is new."))
        platform.register(workspace, here(peer.port))
        yield workspace


def test_the_commands_of_the_readme(platform, daemon, scout, researcher):
    need("socat")
    env = {"PATH": f"{build_dir() / 'src/ctl'}:{os.environ['PATH']}", "MOLECULE_SOCKET": str(daemon.socket)}
    if platform.standin:
        platform.publish("pdf-tools")
    for line in commands():
        if "plugin install" in line:
            if platform.standin:    # a real platform's plugins are its own
                assert "pdf-tools" in output(["sh", "-c", f"{line} 2>&1"], daemon, env=env)
            continue
        line = line.replace(SOCKET, str(daemon.socket))
        if "--follow" in line:
            process = subprocess.Popen(["sh", "-c", f"exec {line}"], env={**daemon.env, **env},
                                       stdout=subprocess.PIPE, text=True)
            assert "scout" in process.stdout.readline() + process.stdout.readline()
            process.terminate()
            process.communicate(timeout=PATIENCE_S)
            continue
        out = output(["sh", "-c", line], daemon, env=env)
        if "secrets get" in line:
            assert out == "value-of-the-openai-key"
        elif " send " in line:
            assert "Nothing is new." in out
        elif "delegate" in line:
            assert out.endswith(": delegated\n")
        else:
            assert "scout" in out, line


def test_the_python_of_the_readme(daemon, scout):
    out = output([sys.executable, "-c", example("python").replace(SOCKET, str(daemon.socket))], daemon)
    assert out == "{'OPENAI_API_KEY': 'value-of-the-openai-key'}\n"


def test_the_javascript_of_the_readme(daemon, scout, platform):
    process = subprocess.Popen([need("node"), "-e", example("js").replace(SOCKET, str(daemon.socket))],
                               stdout=subprocess.PIPE, text=True, env=daemon.env)
    try:
        first = process.stdout.readline()
        assert "subscription" in first or "result" in first or first.startswith("{")
        platform.pause(scout)
        daemon.refresh("scout")
        seen = ""
        while "paused" not in seen:
            line = process.stdout.readline()
            assert line, seen
            seen += line
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
