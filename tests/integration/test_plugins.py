# SPDX-License-Identifier: MIT
"""Plugins: installed, verified, rolled back, removed; and what is told of that."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from harness import QUIET
from plugintools import add, content, install, listed, refused, serve, tree_of, versions

pytestmark = pytest.mark.dev_platform


# ---- installing ----

@pytest.mark.smoke
def test_a_plugin_is_installed(platform, daemon, scout):
    platform.publish("demo", {"rules/one.md": "be kind", "hooks/run.sh": "#!/bin/sh\n"},
                     manifest="name: demo\nversion: 1.2.3\ndescription: shows things\n")
    archive = platform.tarball(scout, "demo")
    answer = install(daemon)
    tree = tree_of(daemon, scout)
    assert answer["path"] == str(tree)
    assert (tree / "rules/one.md").read_text() == "be kind"
    assert os.access(tree / "hooks/run.sh", os.X_OK)
    assert {name: answer[name] for name in ("name", "version", "source", "files")} == {
        "name": "demo", "version": "1.2.3", "source": "local://demo", "files": 3}
    assert answer["digest"] == hashlib.sha256(archive).hexdigest()
    assert answer["warnings"] == []

    row = listed(daemon)["demo"]
    assert row["path"] == answer["path"] and row["digest"] == answer["digest"]
    assert row["description"] == "shows things" and row["installed_at"]
    assert row["previous"] is None
    assert daemon.call("plugins.verify") == {"ok": True, "drift": [], "truncated": False}


def test_a_tree_is_what_pythons_tarfile_makes_of_the_archive(platform, daemon, scout, tmp_path):
    """Of the shape of real ones: skills, hooks that can be run, long and foreign names, no end
    of line at the end of plugin.yaml."""
    platform.publish("real", {
        "README.md": "# Real\n", "rules/tone.md": "kind\n", "skills/hello/SKILL.md": "hi\n",
        "skills/hello/scripts/go.sh": "#!/bin/sh\n", "hooks/check.sh": "#!/bin/sh\nexit 0\n",
        "hooks/check.py": b"print('\xc3\xbc')\n", "docs/grüße.txt": "ß", "empty.txt": "",
        "docs/" + "n" * 120 + ".txt": "long", "a/" + "/".join(["segment-of-twenty-ch"] * 7)
        + "/leaf.txt": "deep", ".github/workflows/ci.yml": "on: push\n", "big.bin": bytes(300000)},
        manifest="name: real\nversion: '0.1'\ndescription: >\n  folded\n  text\n"
                 "tags: [a, b]\nruntimes:\n  - claude_code\n# a comment\nskills: [hello]")
    install(daemon, "real")
    with tarfile.open(fileobj=io.BytesIO(platform.tarball(scout, "real"))) as archive:
        archive.extractall(tmp_path / "tree")
    assert content(tree_of(daemon, scout, "real")) == content(tmp_path / "tree")


def test_links_are_left_out_and_told(platform, daemon, scout):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        add(tar, "plugin.yaml", b"name: demo\n")
        link = tarfile.TarInfo("passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    serve(platform, scout, archive.getvalue())
    answer = install(daemon)
    assert len(answer["warnings"]) == 1 and "passwords" in answer["warnings"][0]
    assert list(content(tree_of(daemon, scout))) == ["plugin.yaml"]


def test_what_the_caller_pins_must_come(platform, daemon, scout):
    platform.publish("demo", {"a": "1"})
    digest = hashlib.sha256(platform.tarball(scout, "demo")).hexdigest()
    assert install(daemon, sha256=digest.upper())["digest"] == digest
    before = content(tree_of(daemon, scout))

    platform.publish("demo", {"a": "2"}, version="2")
    error = refused(daemon, "plugins.install", name="demo", sha256=digest)
    came = hashlib.sha256(platform.tarball(scout, "demo")).hexdigest()
    assert error.kind == "integrity" and came in error.text
    assert content(tree_of(daemon, scout)) == before
    assert listed(daemon)["demo"]["digest"] == digest
    daemon.wait_log("removed demo/versions/")
    assert len(versions(daemon, scout)) == 1


def test_what_is_called_otherwise_is_not_installed(platform, daemon, scout):
    for manifest in ("name: other\n", "version: 1\n", ""):
        platform.publish("demo", {"a": "1"}, manifest=manifest)
        assert refused(daemon, "plugins.install", name="demo").kind == "integrity", manifest
    assert listed(daemon) == {}
    daemon.wait_log("(?s)(removed demo/versions/.*){3}")
    assert not (daemon.place(scout) / "demo").exists()


def hostile():
    def escape(tar):
        add(tar, "../outside", b"x")

    def absolute(tar):
        add(tar, "/tmp/molecule-outside", b"x")

    def hard_link(tar):
        add(tar, "link", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")

    def device(tar):
        add(tar, "null", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)

    def fifo(tar):
        add(tar, "pipe", b"", type=tarfile.FIFOTYPE)

    def twice(tar):
        add(tar, "a", b"1")
        add(tar, "a", b"2")

    return [escape, absolute, hard_link, device, fifo, twice]


@pytest.mark.parametrize("mischief", hostile(), ids=lambda function: function.__name__)
def test_a_hostile_archive_is_refused(platform, daemon, scout, mischief):
    platform.publish("demo", {"a": "good"})
    install(daemon)
    before = content(tree_of(daemon, scout))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        add(tar, "plugin.yaml", b"name: demo\n")
        mischief(tar)
    serve(platform, scout, archive.getvalue())
    assert refused(daemon, "plugins.install", name="demo").kind == "integrity"
    assert content(tree_of(daemon, scout)) == before
    daemon.wait_log("removed demo/versions/")
    assert len(versions(daemon, scout)) == 1


def test_the_entry_is_named_once_and_the_reason_told(platform, daemon, scout):
    for name, shown in (("../evil", "../evil"), ("a\nb", r"a\x0ab"),
                        ("n" * 300, "n" * 92 + "...")):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            add(tar, "plugin.yaml", b"name: demo\n")
            add(tar, name, b"x")
        serve(platform, scout, archive.getvalue(), times=1)
        text = refused(daemon, "plugins.install", name="demo").text
        what, of, why = text.removeprefix("cannot unpack plugin demo: ").rpartition(": ")
        assert what == shown and why.startswith(("its name", "there is", "a part")), text


@pytest.mark.parametrize("data", [b"", b"<html>no</html>", b"\x1f\x8b\x08"],
                         ids=["nothing", "html", "cut"])
def test_what_is_no_archive_is_refused(platform, daemon, scout, data):
    serve(platform, scout, data)
    assert refused(daemon, "plugins.install", name="demo").kind == "integrity"
    assert listed(daemon) == {}


@pytest.mark.parametrize("limit, value, name", [
    ("max_packed", "4K", "max_packed"), ("max_unpacked", "4K", "max_unpacked"),
    ("max_files", "3", "max_files")])
def test_limits_of_the_configuration(platform, start_daemon, limit, value, name):
    daemon, scout = start_daemon(), platform.create("scout")
    daemon.configure(plugins={limit: value})
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.publish("demo", {"a": os.urandom(6000), "b/c": "", "b/d": ""})
    error = refused(daemon, "plugins.install", name="demo")
    assert error.kind == "too_large", repr(error)
    daemon.configure(plugins={limit: None})
    daemon.call("daemon.reload")
    assert install(daemon)["files"] == 4


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".staging-x", "a" * 65, "a b", "-a",
                                  "a\\b", "grüße", "a\u0000b", "%2e"])
def test_names_that_are_no_names(daemon, scout, name):
    for method in ("install", "rollback", "remove"):
        assert refused(daemon, f"plugins.{method}", name=name).kind == "invalid_params"
    assert refused(daemon, "plugins.verify", name=name).kind == "invalid_params"
    assert not (daemon.state / "workspaces").exists()


@pytest.mark.parametrize("params", [
    {"sha256": "abc"}, {"sha256": "g" * 64}, {"sha256": "sha256:" + "a" * 64}, {"sha256": 7},
    {"source": "x" * 600}, {"report": "yes"}, {"run_setup": "yes"},
    {"run_setup": False, "require_setup": True}, {}])
def test_params_that_are_wrong(daemon, scout, params):
    if params:
        params = {"name": "demo", **params}
    error = refused(daemon, "plugins.install", **params)
    assert error.kind == "invalid_params"
    assert "64 hex digits" in error.text or not isinstance(params.get("sha256"), str)


# ---- versions ----

def test_another_version_takes_the_place_of_the_first(platform, daemon, scout):
    """The path stays; what was there is kept, and what was before that is removed."""
    rows = []
    for version in ("1", "2", "3"):
        platform.publish("demo", {"which": version}, version=version)
        answer = install(daemon)
        rows.append(listed(daemon)["demo"])
        assert answer["version"] == version and answer["path"] == rows[0]["path"]
        assert (tree_of(daemon, scout) / "which").read_text() == version
    assert rows[2]["previous"] == {"version": "2", "digest": rows[1]["digest"],
                                   "installed_at": rows[1]["installed_at"]}
    daemon.wait_log("removed demo/versions/")
    assert len(versions(daemon, scout)) == 2


def test_a_rollback_and_back(platform, daemon, scout):
    digests = {}
    for version in ("1", "2"):
        platform.publish("demo", {"which": version}, version=version)
        digests[version] = install(daemon)["digest"]
    for version in ("1", "2", "1"):
        answer = daemon.call("plugins.rollback", name="demo")
        assert answer == {"name": "demo", "version": version, "digest": digests[version]}
        assert (tree_of(daemon, scout) / "which").read_text() == version
        assert daemon.call("plugins.verify")["ok"]
    daemon.restart()
    row = listed(daemon)["demo"]
    assert row["version"] == "1" and row["previous"]["version"] == "2"
    # What is new takes the place of the one that was gone back to.
    platform.publish("demo", {"which": "3"}, version="3")
    daemon.wait_state("scout", "online")
    install(daemon)
    assert listed(daemon)["demo"]["previous"]["version"] == "1"
    daemon.wait_log("removed demo/versions/")
    assert len(versions(daemon, scout)) == 2


def test_nothing_to_go_back_to(platform, daemon, scout):
    assert refused(daemon, "plugins.rollback", name="demo").kind == "not_found"
    platform.publish("demo")
    install(daemon)
    assert refused(daemon, "plugins.rollback", name="demo").kind == "not_found"
    assert listed(daemon)["demo"]["version"] == "1.0.0"


def test_a_plugin_is_removed(platform, daemon, scout):
    platform.publish("demo", {"a": "in use"})
    platform.publish("other")
    install(daemon)
    install(daemon, "other")
    with open(tree_of(daemon, scout) / "a", encoding="utf-8") as file:
        assert daemon.call("plugins.remove", name="demo") == {"removed": True}
        assert not (daemon.place(scout) / "demo").exists()
        daemon.wait_log(r"removed \.trash-")
        assert file.read() == "in use"
    assert set(listed(daemon)) == {"other"}
    assert sorted(path.name for path in daemon.place(scout).iterdir()) == ["other"]
    assert refused(daemon, "plugins.remove", name="demo").kind == "not_found"
    assert refused(daemon, "plugins.verify", name="demo").kind == "not_found"
    assert install(daemon)["version"] == "1.0.0"


# ---- drift ----

def test_drift_is_told_file_by_file(platform, daemon, scout):
    platform.publish("demo", {"a": "1", "b": "2", "c": "3", "d/e": "4"})
    platform.publish("sound", {"a": "1"})
    install(daemon)
    install(daemon, "sound")
    tree = tree_of(daemon, scout)
    (tree / "a").write_text("X")
    (tree / "b").unlink()
    (tree / "c").chmod(0o755)
    (tree / "d/new").write_text("")
    answer = daemon.call("plugins.verify", name="demo")
    assert not answer["ok"] and not answer["truncated"]
    assert {(row["name"], row["path"], row["what"]) for row in answer["drift"]} == {
        ("demo", "a", "changed"), ("demo", "b", "missing"), ("demo", "c", "mode"),
        ("demo", "d/new", "added")}
    assert daemon.call("plugins.verify", name="sound")["ok"]
    assert daemon.call("plugins.verify") == answer


def test_the_list_of_files_cannot_be_made_to_lie(platform, daemon, scout):
    platform.publish("demo", {"a": "1"})
    install(daemon)
    version = tree_of(daemon, scout).parent
    (version / "tree/a").write_text("2")
    files = (version / "files").read_text()
    good, bad = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert good in files
    (version / "files").write_text(files.replace(good, bad))
    answer = daemon.call("plugins.verify")
    assert not answer["ok"]
    assert answer["drift"] == [{"name": "demo", "path": "", "what": "changed"}]


def test_more_drift_than_anyone_reads(platform, daemon, scout):
    platform.publish("demo", {f"d/{number}": "x" for number in range(300)})
    install(daemon)
    for path in (tree_of(daemon, scout) / "d").iterdir():
        path.unlink()
    answer = daemon.call("plugins.verify")
    assert not answer["ok"] and answer["truncated"] and len(answer["drift"]) >= 50


def test_a_version_that_is_gone(platform, daemon, scout):
    platform.publish("demo", {"a": "1"})
    install(daemon)
    (daemon.place(scout) / "demo/versions" / versions(daemon, scout)[0]).rename(
        daemon.dir / "elsewhere")
    answer = daemon.call("plugins.verify")
    assert answer["drift"] == [{"name": "demo", "path": "", "what": "missing"}]
    install(daemon)
    assert daemon.call("plugins.verify")["ok"]


def lead_to_a_version_that_is_not_there(current):
    current.unlink()
    current.symlink_to("versions/20200101T000000Z-0000000000")


def lead_elsewhere(current):
    current.unlink()
    current.symlink_to("/etc")


def put_a_directory_there(current):
    current.unlink()
    (current / "tree").mkdir(parents=True)


@pytest.mark.parametrize("what, replace", [
    ("missing", Path.unlink), ("changed", lead_to_a_version_that_is_not_there),
    ("changed", lead_elsewhere), ("changed", put_a_directory_there)])
def test_where_the_plugin_is_found_is_looked_at_too(platform, daemon, scout, what, replace):
    platform.publish("demo", {"a": "1"})
    current = Path(install(daemon)["path"]).parent
    replace(current)
    for params in ({}, {"name": "demo"}):
        assert daemon.call("plugins.verify", **params)["drift"] == [
            {"name": "demo", "path": "", "what": what}]
    if current.is_dir() and not current.is_symlink():
        error = refused(daemon, "plugins.install", name="demo")
        assert "plugin demo: its current is a directory" in error.text
        current.rename(daemon.dir / "elsewhere")
    install(daemon)
    assert daemon.call("plugins.verify")["ok"]


def test_a_directory_that_others_may_write_to_is_drift(platform, daemon, scout):
    platform.publish("demo", {"a": "1"})
    tree = Path(install(daemon)["path"])
    for folder in (tree, tree.resolve().parent):
        folder.chmod(0o777)
        assert daemon.call("plugins.verify")["drift"] == [
            {"name": "demo", "path": "", "what": "mode"}]
        folder.chmod(0o755)
    assert daemon.call("plugins.verify")["ok"]


def test_it_is_said_which_plugin_cannot_be_verified(platform, daemon, scout):
    for name in ("one", "two"):
        platform.publish(name, {"a": "1"})
        install(daemon, name)
    (tree_of(daemon, scout, "two").parent / "files").unlink()
    assert refused(daemon, "plugins.verify").text.startswith("cannot verify plugin two: ")


# ---- telling ----

def test_progress_is_told(platform, daemon, scout):
    platform.publish("demo", {f"d/{number}": os.urandom(2000) for number in range(200)})
    events = daemon.events("plugin.progress")
    assert events.snapshot == {"plugins": []}
    answer = install(daemon)
    events.until(lambda event: event["data"]["phase"] == "done")
    assert all(event["type"] == "plugin.progress" and event["workspace"] == "scout"
               for event in events.seen)
    rows = [event["data"] for event in events.seen]
    phases = [row["phase"] for row in rows]
    assert list(dict.fromkeys(phases)) == ["download", "unpack", "verify", "done"]
    for row in rows:
        assert set(row) == {"name", "phase", "bytes", "total", "files"} and row["name"] == "demo"
    sizes = [row["bytes"] for row in rows]
    assert sizes == sorted(sizes)
    packed = len(platform.tarball(scout, "demo"))
    assert (rows[-1]["bytes"], rows[-1]["total"]) == (packed, packed)
    assert rows[-1]["files"] == answer["files"]


def test_a_failure_is_told(platform, daemon, scout):
    events = daemon.events("plugin.progress")
    error = refused(daemon, "plugins.install", name="demo")
    event = events.until(lambda event: event["data"]["phase"] == "failed")
    assert event["data"]["message"] == error.text
    assert events.pending() == []


def test_who_subscribes_late_sees_what_is_under_way(platform, daemon, scout):
    platform.publish("demo")
    hang = platform.dev.fault("download", scout, hang=True)
    number = daemon.client.send("plugins.install", name="demo")
    platform.dev.wait_held(scout, endpoint="download")
    events = daemon.events("plugin.progress")
    assert events.snapshot == {"plugins": [{"workspace": "scout", "name": "demo",
                                            "phase": "download", "bytes": 0, "total": None,
                                            "files": 0}]}
    hang.remove()
    daemon.client.answer(number)
    events.until(lambda event: event["data"]["phase"] == "done")


def test_progress_is_told_no_more_than_ten_times_a_second(platform, daemon, scout):
    platform.publish("demo", {"a": os.urandom(60000)})
    platform.dev.fault("download", scout, slow={"bytes": 1000, "every_ms": 20, "part": "body"})
    events = daemon.events("plugin.progress")
    install(daemon)
    events.until(lambda event: event["data"]["phase"] == "done")
    times = [event["at"] for event in events.seen if event["data"]["phase"] == "download"]
    assert len(times) >= 3
    assert all(later > earlier for earlier, later in zip(times, times[1:]))
    seconds = [float(at[17:23]) + 60 * int(at[14:16]) for at in times]
    for earlier, later in zip(seconds, seconds[1:]):
        assert (later - earlier) % 3600 >= 0.09


def test_what_was_done_is_in_the_log_and_the_metrics(platform, daemon, scout):
    platform.publish("demo")
    digest = install(daemon)["digest"]
    install(daemon)
    refused(daemon, "plugins.install", name="nothing")
    daemon.call("plugins.rollback", name="demo")
    daemon.call("plugins.remove", name="demo")
    by = f"as uid {os.getuid()} \\(pid {os.getpid()}\\) asked"
    daemon.wait_log(f"plugin demo 1.0.0 was installed, {by}: 1 files, sha256 {digest}")
    daemon.wait_log(f"plugin demo was rolled back, {by}")
    daemon.wait_log(f"plugin demo was removed, {by}")
    metrics = daemon.call("daemon.metrics")["text"]
    assert 'molecule_plugin_installs_total{result="ok"} 2' in metrics
    assert 'molecule_plugin_installs_total{result="not_found"} 1' in metrics
    assert "molecule_plugin_rollbacks_total 1" in metrics
    assert "molecule_plugin_removals_total 1" in metrics
    assert "molecule_plugin_install_seconds_count 3" in metrics
