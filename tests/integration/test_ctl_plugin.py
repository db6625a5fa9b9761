# SPDX-License-Identifier: MIT
"""molecule-agentctl plugin: installing and watching it, and what is installed."""

import json
import signal

from ctlfixtures import line_of, talk
from fakedaemon import PATIENCE, Error, ago

pytest_plugins = "ctlfixtures"

DIGEST = "ab" * 32
INSTALLED = {"name": "pdf-tools", "version": "1.2", "path": "/var/lib/molecule/pdf-tools",
             "digest": DIGEST, "manifest": "cd" * 32, "source": "local://pdf-tools",
             "files": 12, "bytes": 35328, "warnings": []}
INSTALLED_TEXT = f"""\
pdf-tools 1.2: installed, 12 files, 34.5 KiB
     path: /var/lib/molecule/pdf-tools
   source: local://pdf-tools
   sha256: {DIGEST}
"""


def installs(fake, result=INSTALLED, steps=()):
    """The daemon tells how far it is, and then the result."""
    def answer(params):
        for phase, more in steps:
            fake.push(subscription="s1", seq=1, type="plugin.progress", workspace="laptop",
                      at=ago(), data={"name": "pdf-tools", "phase": phase, "bytes": 0,
                                      "total": None, "files": 0, **more})
        if isinstance(result, Error):
            raise result
        return result
    fake.answers["events.subscribe"] = {"subscription": "s1", "snapshot": {"plugins": []}}
    fake.answers["plugins.install"] = answer


STEPS = (("download", {"bytes": 0, "total": 12582912}),
         ("download", {"bytes": 5347738, "total": 12582912}),
         ("unpack", {"bytes": 12582912, "total": 12582912, "files": 3}),
         ("verify", {"bytes": 12582912, "total": 12582912, "files": 12}),
         ("done", {"bytes": 12582912, "total": 12582912, "files": 12}))


def whole(child):
    out, err = child.communicate(timeout=PATIENCE)
    return child.returncode, out, err


def test_an_installation_tells_each_phase_in_a_line(fake, run):
    installs(fake, steps=STEPS)
    assert whole(run.start("plugin", "install", "pdf-tools")) == (0, INSTALLED_TEXT, """\
pdf-tools: download
pdf-tools: unpack  12.0 MiB, 3 files
pdf-tools: verify  12.0 MiB, 12 files
""")
    assert fake.params_of("plugins.install") == [{"name": "pdf-tools"}]
    assert fake.params_of("events.subscribe") == [{"types": ["plugin.progress"]}]


def test_on_a_terminal_it_has_a_bar_that_leaves_nothing_behind(fake, run):
    installs(fake, steps=STEPS)
    seen, status = talk(run, "plugin", "install", "pdf-tools", "--no-color")
    assert status == 0, seen
    assert ("\r\x1b[Kpdf-tools: download [############------------------]  42%"
            "  5.1 MiB of 12.0 MiB") in seen
    assert "\r\x1b[Kpdf-tools: unpack  12.0 MiB, 3 files" in seen
    bar, wiped, after = seen.rpartition("\r\x1b[K")
    assert wiped and after.replace("\r\n", "\n") == INSTALLED_TEXT


def test_a_terminal_that_cannot_be_drawn_on_gets_lines(fake, run):
    installs(fake, steps=STEPS)
    run.env["TERM"] = "dumb"
    seen, status = talk(run, "plugin", "install", "pdf-tools")
    assert status == 0 and "\x1b" not in seen, seen
    assert seen.startswith("pdf-tools: download\r\npdf-tools: unpack  12.0 MiB, 3 files\r\n")


def test_a_download_of_unknown_size_counts_what_has_come(fake, run):
    installs(fake, steps=[("download", {"bytes": 2048})])
    seen, _ = talk(run, "plugin", "install", "pdf-tools")
    assert "\r\x1b[Kpdf-tools: download  2.0 KiB\r" in seen


def test_the_progress_of_others_is_not_shown(fake, run):
    installs(fake, steps=[("download", {"name": "other-tools"})])
    assert whole(run.start("plugin", "install", "pdf-tools")) == (0, INSTALLED_TEXT, "")


def test_options_become_parameters(fake, run):
    installs(fake)
    run("plugin", "install", "pdf-tools", "-w", "laptop", "--source", "github://o/pdf-tools#v1",
        "--sha256", DIGEST, "--run-setup", "--no-report", "--quiet")
    assert fake.params_of("plugins.install") == [
        {"workspace": "laptop", "name": "pdf-tools", "source": "github://o/pdf-tools#v1",
         "sha256": DIGEST, "run_setup": True, "report": False}]
    assert fake.params_of("events.subscribe") == []


def test_setup_can_be_required_and_forbidden(fake, run):
    installs(fake)
    run("plugin", "install", "pdf-tools", "--require-setup", "-q")
    run("plugin", "install", "pdf-tools", "--no-setup", "-q")
    assert fake.params_of("plugins.install") == [
        {"name": "pdf-tools", "require_setup": True}, {"name": "pdf-tools", "run_setup": False}]
    run("plugin", "install", "pdf-tools", "--no-setup", "--run-setup", status=64, said="--no-setup")


def test_what_setup_sh_did_is_told(fake, run):
    setup = {"ran": True, "ok": False, "exit": 3, "log": "/var/lib/molecule/x/setup.log",
             "why": "setup.sh ended with status 3; it said last: no network"}
    installs(fake, {**INSTALLED, "setup": setup})
    assert run("plugin", "install", "pdf-tools", said="warning: setup.sh ended with status 3;"
               ).endswith(" setup.sh: failed; what it said: /var/lib/molecule/x/setup.log\n")
    installs(fake, {**INSTALLED, "setup": {**setup, "ok": True, "exit": 0, "why": None}})
    assert run("plugin", "install", "pdf-tools").endswith(
        " setup.sh: done; what it said: /var/lib/molecule/x/setup.log\n")
    installs(fake, {**INSTALLED, "setup": {"ran": False, "ok": None, "exit": None, "log": None,
                                           "why": None}})
    assert "setup.sh" not in run("plugin", "install", "pdf-tools")


def test_what_was_odd_is_said(fake, run):
    installs(fake, {**INSTALLED, "warnings": ["link\x1b[31m was left out"]})
    run("plugin", "install", "pdf-tools",
        said="molecule-agentctl: warning: link\ufffd[31m was left out\n")


def test_json_is_the_result_and_nothing_else_on_standard_output(fake, run):
    installs(fake, steps=STEPS)
    code, out, _ = whole(run.start("plugin", "install", "pdf-tools", "--json"))
    assert code == 0 and json.loads(out) == INSTALLED


def test_a_digest_that_does_not_match_is_a_status(fake, run):
    installs(fake, Error(-32015, "integrity", "plugin pdf-tools has the SHA-256 ab, not cd"),
             steps=STEPS)
    assert run("plugin", "install", "pdf-tools", status=65, said="has the SHA-256 ab") == ""


def test_no_progress_is_no_obstacle(fake, run):
    installs(fake)
    fake.answers["events.subscribe"] = Error(-32002, "forbidden", "not for you")
    assert run("plugin", "install", "pdf-tools") == INSTALLED_TEXT


def test_without_a_daemon_it_ends_at_once(fake, run):
    fake.stop()
    run("plugin", "install", "pdf-tools", status=69, said="cannot connect")


def test_an_interrupt_hangs_up_and_leaves_nobody(fake, run):
    fake.answers["events.subscribe"] = {"subscription": "s1", "snapshot": {"plugins": []}}
    answered = []

    def never(params):
        fake.push(subscription="s1", seq=1, type="plugin.progress", workspace="laptop", at=ago(),
                  data={"name": "pdf-tools", "phase": "download", "bytes": 1, "total": None,
                        "files": 0})
        fake.wait_until(lambda: answered)
    fake.answers["plugins.install"] = never
    child = run.start("plugin", "install", "pdf-tools")
    assert line_of(child.stderr) == "pdf-tools: download\n"
    child.send_signal(signal.SIGINT)
    # Who draws has standard error, too: it ends when that one does.
    assert whole(child)[0] == -signal.SIGINT
    with fake.changed:
        answered.append(True)
        fake.changed.notify_all()
    fake.wait_until(lambda: not fake.connections)


def test_plugins_are_listed(fake, run):
    fake.answers["plugins.list"] = {"plugins": [
        {**INSTALLED, "installed_at": ago(minutes=5, seconds=30),
         "previous": {"version": "1.1", "digest": DIGEST, "installed_at": ago(days=3)}},
        {**INSTALLED, "name": "x", "version": None, "installed_at": ago(hours=2, minutes=30),
         "bytes": 100, "files": 1, "source": None, "previous": None, "path": "/x"}]}
    assert run("plugin", "list", "-w", "laptop") == """\
NAME       VERSION  INSTALLED  FILES  SIZE      PREVIOUS  SOURCE             PATH
pdf-tools  1.2      5min ago   12     34.5 KiB  1.1       local://pdf-tools  /var/lib/molecule/pdf-tools
x          -        2h ago     1      100 B     -         -                  /x
"""
    assert fake.calls == [("plugins.list", {"workspace": "laptop"})]


def test_what_is_as_installed_is_said_to_be(fake, run):
    fake.answers["plugins.verify"] = {"ok": True, "drift": [], "truncated": False}
    assert run("plugin", "verify") == "all plugins: as installed\n"
    assert run("plugin", "verify", "pdf-tools") == "pdf-tools: as installed\n"
    assert fake.params_of("plugins.verify") == [{}, {"name": "pdf-tools"}]


def test_what_is_not_as_installed_is_listed_and_a_status(fake, run):
    fake.answers["plugins.verify"] = {"ok": False, "truncated": True, "drift": [
        {"name": "pdf-tools", "path": "hooks/check.sh", "what": "changed"},
        {"name": "pdf-tools", "path": "", "what": "missing"}]}
    assert run("plugin", "verify", status=65) == """\
NAME       WHAT     PATH
pdf-tools  changed  hooks/check.sh
pdf-tools  missing  -
and more
"""
    assert json.loads(run("plugin", "verify", "--json", status=65))["truncated"] is True


def test_a_rollback_says_what_is_there_now(fake, run):
    fake.answers["plugins.rollback"] = {"name": "pdf-tools", "version": "1.1", "digest": DIGEST}
    assert run("plugin", "rollback", "pdf-tools") == (
        f"pdf-tools 1.1: is back\n   sha256: {DIGEST}\n")


def test_a_plugin_is_removed(fake, run):
    fake.answers["plugins.remove"] = {"removed": True}
    assert run("plugin", "remove", "pdf-tools", "-w", "laptop") == "pdf-tools: removed\n"
    assert fake.params_of("plugins.remove") == [{"workspace": "laptop", "name": "pdf-tools"}]
    run("plugin", "remove", status=64, said="NAME")


def test_names_of_plugins_are_completed(fake, run):
    fake.answers["plugins.list"] = {"plugins": [INSTALLED, {**INSTALLED, "name": "other"}]}
    assert run("_complete", "--", "plugin", "remove", "pd") == "pdf-tools\t\n"
    assert run("_complete", "--", "plugin", "verify", "") == "pdf-tools\t\nother\t\n"
    assert run("_complete", "--", "plugin", "install", "") == ""
    assert "rollback\t" in run("_complete", "--", "plugin", "")
