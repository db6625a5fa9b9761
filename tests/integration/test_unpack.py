# SPDX-License-Identifier: MIT
"""molecule-unpack with archives as they should be: what is on disk afterwards, and what is said."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devplatform.archive import pack
from harness.tar import END, GNU, YAML, file, folder, gnu_long, header, pax, plugin, symlink
from harness.unpacker import ROOT, WHO, Yard, is_sanitized, wait_for, yard

DESCRIPTION = "Refuses dangerous shell commands before they run, and says why."
REAL_YAML = f"""# What the guard is.
name: demo
version: 1.4.0
description: >
  {DESCRIPTION[:40].strip()}
  {DESCRIPTION[40:].strip()}

author: "Somebody <somebody@example.org>"
tags: [safety, hooks]
runtimes:
  - claude_code
  - 'hermes'
hooks:
  - event: PreToolUse
    command: hooks/check.sh
rules: [rules/guard.md]""".encode()        # and no newline at the end


@pytest.fixture(params=WHO)
def place(request: pytest.FixtureRequest) -> Iterator[Yard]:
    with yard(WHO[request.param]) as made:
        yield made


@pytest.fixture
def plugin_folder(tmp_path: Path) -> Path:
    """As real plugins are: 20 files, 150 KB, hooks that can be run, a name of which pax must tell."""
    top = tmp_path / "plugin"
    texts: dict[str, bytes] = {
        "plugin.yaml": REAL_YAML, "README.md": b"# Guard\n" * 900, "CLAUDE.md": b"Be careful.\n",
        "rules/guard.md": b"- never rm -rf /\n" * 300, "settings-fragment.json": b'{"hooks": {}}',
        "hooks/check.sh": b"#!/bin/bash\nexit 0\n", "hooks/lib/words.py": b"WORDS = []\n" * 500,
        "commands/guard.md": b"x", "adapters/claude_code.py": b"", "skills/guard/SKILL.md": os.urandom(40_000),
        "skills/guard/scripts/run.sh": b"#!/bin/sh\n", ".github/workflows/ci.yml": b"on: push\n" * 40,
        "docs/" + "long-" * 25 + "name.md": b"pax, or a prefix",
        "docs/\u00fcbersicht/\u4e2d\u6587 \U0001f600.md": b"pax\n",
        "docs/e\u0301galite\u0301.md": b"decomposed, and so it stays\n",
        "a'b \"c\" $d;e.md": b"a name that a shell would not like\n", "known-issues.md": os.urandom(80_000),
    }
    for name, content in texts.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if path.suffix == ".sh" else 0o644)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    (top / "empty").mkdir()
    return top


def sdk_manifest(top: Path) -> str:
    """As the SDK computes it."""
    entries = sorted([str(path.relative_to(top)), hashlib.sha256(path.read_bytes()).hexdigest()]
                     for path in top.rglob("*") if path.is_file() and path != top / "plugin.yaml")
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def look(top: Path) -> dict[str, Any]:
    """Everything that matters of what is below a directory."""
    seen = {}
    for path in sorted(top.rglob("*")):
        info = path.lstat()
        assert not path.is_symlink()
        directory = stat.S_ISDIR(info.st_mode)
        seen[str(path.relative_to(top))] = (
            stat.S_IFMT(info.st_mode), info.st_mode & 0o755, None if directory else int(info.st_mtime),
            None if directory else path.read_bytes())
    return seen


@pytest.mark.smoke
def test_a_real_plugin_is_what_python_makes_of_it(place: Yard, plugin_folder: Path, tmp_path: Path) -> None:
    archive = pack(plugin_folder, 1 << 20)
    done = place.unpack(archive).done
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:      # the SDK's way: one by one
            tar.extract(member, tmp_path / "by-python", set_attrs=True)
    assert look(place.tree) == look(tmp_path / "by-python")
    files = [path for path in place.tree.rglob("*") if path.is_file()]
    assert done == {
        "files": len(files), "bytes": sum(path.stat().st_size for path in files), "packed": len(archive),
        "digest": hashlib.sha256(archive).hexdigest(), "manifest": sdk_manifest(plugin_folder),
        "name": "demo", "version": "1.4.0", "description": DESCRIPTION + "\n",
        "runtimes": ["claude_code", "hermes"], "has_setup": False}
    assert {path.lstat().st_uid for path in place.staging.rglob("*")} == {place.who.owner}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_each_form_of_tar_gives_the_same(place: Yard, plugin_folder: Path, form: int) -> None:
    if form == tarfile.USTAR_FORMAT:
        for path in (plugin_folder / "docs").glob("*long*"):
            path.unlink()       # ustar has no room for it
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form) as tar:
        tar.add(plugin_folder, ".")
    assert place.unpack(out.getvalue()).done["manifest"] == sdk_manifest(plugin_folder)
    assert look(place.tree) == look(plugin_folder)


def test_an_archive_of_git_has_a_comment_in_front(place: Yard) -> None:
    archive = plugin(pax((b"comment", b"0" * 40), kind=b"g"), file(b"plugin.yaml", YAML), yaml=None)
    assert place.unpack(archive).done["files"] == 1


def test_no_bit_that_grants_anything_survives(place: Yard) -> None:
    place.unpack(plugin(
        file(b"suid", b"x", mode=0o6777), file(b"sticky", b"x", mode=0o1666), file(b"none", b"x", mode=0),
        folder(b"locked", mode=0), file(b"locked/inside", b"x"), folder(b"shared", mode=0o2777),
        folder(b".", mode=0), pax((b"SCHILY.xattr.security.capability", b"\x01\0\0\x02" + bytes(16))),
        file(b"caps", b"x"), pax((b"SCHILY.acl.access", b"user::rwx,group::rwx,other::rwx")),
        file(b"listed", b"x")))
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in place.tree.rglob("*")}
    assert modes == {"suid": 0o755, "sticky": 0o644, "none": 0o600, "locked": 0o700, "inside": 0o644,
                     "shared": 0o755, "caps": 0o644, "listed": 0o644, "plugin.yaml": 0o644}
    assert os.listxattr(place.tree / "caps") == []
    assert stat.S_IMODE(place.tree.stat().st_mode) == 0o755


def test_times_are_those_of_this_world(place: Yard) -> None:
    place.unpack(plugin(
        file(b"ordinary", b"x", mtime=1_700_000_000), file(b"before", b"x", mtime=b"\xff" * 12),
        file(b"after", b"x", mtime=0o77777777777), pax((b"mtime", b"99999999999999")), file(b"long-after", b"x"),
        pax((b"mtime", b"-5.5")), file(b"long-before", b"x")))
    times = {path.name: path.stat().st_mtime for path in place.tree.iterdir()}
    assert times["ordinary"] == 1_700_000_000
    assert times["before"] == times["long-before"] == 0
    assert time.time() - 3600 < times["after"] == times["long-after"] <= time.time()


def test_what_is_implied_is_made_and_may_be_told_later(place: Yard) -> None:
    place.unpack(plugin(file(b"a/b/c", b"x"), folder(b"a/b/", mode=0o700), folder(b"a/d")))
    modes = {str(path.relative_to(place.tree)): stat.S_IMODE(path.stat().st_mode)
             for path in place.tree.rglob("*") if path.is_dir()}
    assert modes == {"a": 0o755, "a/b": 0o700, "a/d": 0o755}
    assert place.run("verify").done["ok"]


def test_symbolic_links_are_left_out_with_a_warning(place: Yard) -> None:
    outcome = place.unpack(plugin(
        symlink(b"passwd", b"/etc/passwd"), symlink(b"up", b".."), pax((b"linkpath", b"/etc/shadow")),
        symlink(b"by-pax", b"x"), gnu_long(b"/" + b"t" * 200, b"K"), header(b"by-gnu", b"2", magic=GNU)))
    assert outcome.done["files"] == 1
    assert outcome.all("warning") == [f"{name} is a symbolic link, and was left out"
                                      for name in ("passwd", "up", "by-pax", "by-gnu")]
    assert [path.name for path in place.tree.iterdir()] == ["plugin.yaml"]


def test_of_many_warnings_most_are_counted(place: Yard) -> None:
    warnings = place.unpack(plugin(*(symlink(b"%d" % n, b"x") for n in range(500)))).all("warning")
    assert len(warnings) == 21 and warnings[-1] == "and 480 more such warnings"


# ---- integrity ----

def with_sha256(sha256: str, *members: bytes) -> bytes:
    return plugin(*members, yaml=YAML + f"sha256: {sha256}\n".encode())


def test_the_digest_of_its_author_is_checked(place: Yard) -> None:
    names = ["z", "a", "a.b", "a/b".replace("/", "-"), "\u00e9", "\uffee", "\U0001f600", 'q"uote', "~"]
    members = [file(name.encode(), name.encode()) for name in names]
    entries = sorted([name, hashlib.sha256(name.encode()).hexdigest()] for name in names)
    right = hashlib.sha256(json.dumps(entries).encode()).hexdigest()
    assert place.unpack(with_sha256(right, *members)).done["manifest"] == right
    place.clear()
    failed = place.unpack(with_sha256(right, *members[1:])).failed
    assert failed["kind"] == "integrity" and failed["entry"] == "plugin.yaml"
    assert place.is_empty()


def test_no_files_have_a_digest_too(place: Yard) -> None:
    assert place.unpack(plugin()).done["manifest"] == hashlib.sha256(b"[]").hexdigest()


def test_the_archive_is_the_one_that_was_asked_for(place: Yard) -> None:
    archive = plugin(file(b"a", b"x"))
    digest = hashlib.sha256(archive).hexdigest()
    assert place.unpack(archive, "--sha256", digest).done["digest"] == digest
    place.clear()
    failed = place.unpack(plugin(file(b"a", b"y")), "--sha256", digest).failed
    assert failed["kind"] == "integrity" and "not the one that was asked for" in failed["message"]
    assert place.is_empty()


def test_a_plugin_may_go_without_plugin_yaml_where_that_is_allowed(place: Yard) -> None:
    archive = plugin(file(b"setup.sh", b"#!/bin/sh\n"), yaml=None)
    done = place.unpack(archive, "--require-manifest=no").done
    assert done["name"] == "demo" and done["has_setup"]
    assert done["version"] is None and done["description"] is None and done["runtimes"] == []
    place.clear()
    assert place.unpack(plugin(yaml=b"name: other\n"), "--require-manifest=no").failed["kind"] == "integrity"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".staging-x", "a" * 65, "a b", "a\n", "caf\u00e9", "-" * 0])
def test_a_plugin_has_a_name_that_is_safe_as_a_directory(place: Yard, name: str) -> None:
    failed = place.unpack(plugin(), name=name).failed
    assert failed["kind"] == "internal" and "a plugin's name is" in failed["message"]


@pytest.mark.parametrize("arguments", [
    [], ["unpick"], ["unpack"], ["unpack", "--name"], ["unpack", "--name", "demo", "more"],
    ["unpack", "--name", "demo", "--sha256", "A" * 64], ["unpack", "--name", "demo", "--max-files", "0"],
    ["unpack", "--name", "demo", "--max-ratio", "many"], ["unpack", "--name", "demo", "--require-manifest", "maybe"],
    ["verify", "--name", "demo"], ["remove", "everything"]])
def test_a_mistake_in_the_call_is_an_answer_like_any_other(place: Yard, arguments: list[str]) -> None:
    failed = place.run(*arguments).failed
    assert failed["kind"] == "internal" and failed["message"]
    assert place.is_empty()


# ---- limits ----

def test_every_limit_is_the_callers(place: Yard) -> None:
    noise = os.urandom(100_000)
    archive = plugin(file(b"a", noise), file(b"b", b"x"))
    for arguments, says in ((("--max-packed", "100000"), "larger than 100000 bytes"),
                            (("--max-unpacked", "100000"), "100000 bytes"),
                            (("--max-files", "2"), "more than 2 files")):
        failed = place.unpack(archive, *arguments).failed
        assert failed["kind"] == "too_large" and says in failed["message"]
        assert place.is_empty()
    sizes = ("--max-packed", str(len(archive)), "--max-unpacked", str(len(gzip.decompress(archive))))
    assert place.unpack(archive, *sizes, "--max-files", "3").done["files"] == 3


def test_what_is_small_may_be_packed_as_well_as_it_can(place: Yard) -> None:
    seven = plugin(file(b"a", bytes(7 << 20)))
    assert place.unpack(seven).done["bytes"] == (7 << 20) + len(YAML)
    place.clear()
    nine = plugin(file(b"a", bytes(9 << 20)))
    assert "more than 200 times" in place.unpack(nine).failed["message"]
    assert place.unpack(nine, "--max-ratio", "1100").done["files"] == 2


def peak_kib(place: Yard, archive: bytes) -> int:
    """The larger process's, when all but the end of the archive has been unpacked."""
    process = place.start("unpack", "--name", "demo")
    assert process.stdin
    process.stdin.write(archive[:-8])
    process.stdin.flush()
    last = place.tree / "last"
    wait_for(last.exists)
    peak = 0
    for pid in [process.pid, *Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = max(peak, int(line.split()[1]))
    assert place.finish(process, archive[-8:]).done
    place.clear()
    return peak


def test_memory_is_the_same_at_any_size() -> None:
    noise = os.urandom(1 << 20)
    with yard() as place:
        small = peak_kib(place, plugin(file(b"a", b"x"), file(b"last", noise)))
        large = peak_kib(place, plugin(*(file(b"%d" % n, noise) for n in range(60)), file(b"last", noise)))
    assert large < small + 1024


@pytest.mark.smoke
@pytest.mark.skipif(is_sanitized(), reason="a sanitizer takes more")
def test_no_process_takes_more_than_8_mib_for_2000_files() -> None:
    words = b"".join(b"word%d " % n for n in range(1000))
    files = [file(b"folder-%d/file-%d" % (n % 50, n), os.urandom(2000) + words) for n in range(2000)]
    with yard() as place:
        assert peak_kib(place, plugin(*files, file(b"last", os.urandom(1 << 20)))) <= 8192


# ---- whole or not at all ----

def test_whatever_is_cut_off_is_refused(plugin_folder: Path) -> None:
    """Each archive of the first so many bytes; and each tar of so many, whole as gzip."""
    (plugin_folder / "known-issues.md").write_bytes(b"word " * 3000)
    good = pack(plugin_folder, 1 << 20)
    raw = gzip.decompress(good)
    assert raw.endswith(END) and not raw[:-1024].endswith(bytes(512))
    cut = [good[:at] for at in range(0, len(good), 512)] + [good[:-1]]
    cut += [gzip.compress(raw[:at], 1) for at in range(0, len(raw), 512)]
    assert len(cut) > 250

    def refused(archives: list[bytes]) -> None:
        with yard() as place:
            for archive in archives:
                failed = place.unpack(archive).failed
                assert failed["kind"] == "integrity" and failed["message"]
                assert place.is_empty()

    with yard() as place:
        assert place.unpack(good).done
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(refused, [cut[part::4] for part in range(4)]))


def test_it_does_not_matter_how_the_bytes_come(place: Yard) -> None:
    archive = plugin(file(b"a", b"some text " * 300))
    process = place.start("unpack", "--name", "demo")
    assert process.stdin
    for at in range(0, len(archive), 7):
        process.stdin.write(archive[at:at + 7])
        process.stdin.flush()
    assert place.finish(process).done["files"] == 2


def test_a_directory_that_is_not_empty_is_left_alone(place: Yard) -> None:
    (place.staging / "tree").mkdir()
    assert place.run("unpack", "--name", "demo", archive=plugin()).failed["kind"] == "internal"


def test_progress_is_told(place: Yard) -> None:
    noise = os.urandom(200_000)
    lines = place.unpack(plugin(*(file(b"%d" % n, noise) for n in range(30)))).lines
    counts = [line["progress"]["files"] for line in lines[:-1]]
    assert counts and counts == sorted(counts) and "done" in lines[-1]


# ---- verify and remove ----

@pytest.fixture
def installed(place: Yard, plugin_folder: Path) -> Yard:
    assert place.unpack(pack(plugin_folder, 1 << 20)).done
    return place


def drift(place: Yard) -> dict[str, str]:
    outcome = place.run("verify")
    found = {item["path"]: item["what"] for item in outcome.all("drift")}
    assert outcome.done["drift"] == len(outcome.all("drift")) and outcome.done["ok"] == (not found)
    return found


def test_what_was_just_unpacked_has_not_drifted(installed: Yard, plugin_folder: Path) -> None:
    assert drift(installed) == {}
    assert installed.run("verify").done["manifest"] == sdk_manifest(plugin_folder)


def test_drift_is_told_file_by_file(installed: Yard) -> None:
    tree = installed.tree
    (tree / "README.md").write_bytes(b"# guard\n" * 900)
    (tree / "CLAUDE.md").write_bytes(b"Be")
    (tree / "known-issues.md").unlink()
    (tree / "hooks/check.sh").chmod(0o4755)
    (tree / "rules").chmod(0o700)
    (tree / "commands/new.md").touch()
    (tree / "__pycache__/deep/er").mkdir(parents=True)
    (tree / "empty").rmdir()
    (tree / "settings-fragment.json").unlink()
    (tree / "settings-fragment.json").symlink_to("/etc/passwd")
    (tree / "adapters/claude_code.py").unlink()
    os.mkfifo(tree / "adapters/claude_code.py")
    (tree / "skills/guard").rename(tree / "skills/moved")
    (tree / "skills/guard").symlink_to("moved")
    assert drift(installed) == {
        "README.md": "changed", "CLAUDE.md": "changed", "known-issues.md": "missing", "hooks/check.sh": "mode",
        "rules": "mode", "commands/new.md": "added", "__pycache__": "added", "empty": "missing",
        "settings-fragment.json": "type", "adapters/claude_code.py": "type", "skills/guard": "type",
        "skills/moved": "added", "skills/guard/SKILL.md": "missing", "skills/guard/scripts": "missing",
        "skills/guard/scripts/run.sh": "missing"}
    assert (tree / "hooks/check.sh").stat().st_mode & 0o7777 == 0o4755


def test_what_is_closed_is_told_and_the_rest_looked_at(installed: Yard) -> None:
    tree = installed.tree
    (tree / "README.md").chmod(0)
    (tree / "skills").chmod(0)
    (tree / "hooks").chmod(0o600)
    (tree / "CLAUDE.md").write_bytes(b"Be")
    assert drift(installed) == {"README.md": "mode", "skills": "mode", "hooks": "mode", "CLAUDE.md": "changed"}
    for name in ("README.md", "skills", "hooks"):
        (tree / name).chmod(0o755)
    tree.chmod(0)
    assert drift(installed) == {"": "mode"}
    tree.chmod(0o777)
    assert drift(installed)[""] == "mode"


@pytest.mark.skipif(not ROOT, reason="only root can give a file away")
def test_what_belongs_to_others_is_told(installed: Yard) -> None:
    os.chown(installed.tree / "README.md", 4242, -1)
    assert drift(installed) == {"README.md": "mode"}


def test_of_much_drift_all_is_counted(installed: Yard) -> None:
    for number in range(150):
        (installed.tree / f"added\x1b{number}").touch()
    outcome = installed.run("verify")
    assert outcome.done["drift"] == 150 and len(outcome.all("drift")) == 100
    assert all(item["path"].startswith("added\\x1b") for item in outcome.all("drift"))


HEADING = b"molecule-unpack files 1\n"


@pytest.mark.parametrize("text", [
    b"", b"molecule-unpack files 2\n", HEADING + b"f 644 1 abc a\n", HEADING + b"f 644", HEADING + b"x 644 - - a\n",
    HEADING + b"d 755 - - ../outside\n", HEADING + b"d 755 - - /etc\n", HEADING + b"d 999 - - a\n",
    HEADING + b"d 755 - - \n", HEADING + b"d 755 - - a\0b\n", HEADING + b"d 0755 - - a\n",
    HEADING + b"f 644 -1 " + b"0" * 64 + b" a\n", HEADING + b"a" * 100_000])
def test_a_list_that_is_damaged_is_said_to_be(installed: Yard, text: bytes) -> None:
    (installed.staging / "files").write_bytes(text)
    failed = installed.run("verify").failed
    assert failed["kind"] == "integrity" and "list of the plugin's files is damaged" in failed["message"]


def test_a_list_out_of_order_is_damaged(installed: Yard) -> None:
    path = installed.staging / "files"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *reversed(lines[1:])]))
    assert installed.run("verify").failed["kind"] == "integrity"


def test_a_list_that_is_a_link_is_not_read(installed: Yard) -> None:
    path = installed.staging / "files"
    path.rename(installed.staging / "moved")
    path.symlink_to("moved")
    assert installed.run("verify").failed["kind"] == "unavailable"


def test_remove_leaves_nothing_and_follows_nothing(installed: Yard) -> None:
    tree = installed.tree
    before = installed.look_outside()
    (tree / "out").symlink_to(installed.outside)
    (tree / "hooks/out").symlink_to(installed.outside / "canary")
    os.link(installed.outside / "canary", tree / "hard")
    os.mkfifo(tree / "fifo")
    descriptor = os.open(tree, os.O_RDONLY)
    for _ in range(1500):      # deeper than any path can say
        os.mkdir("deep", dir_fd=descriptor)
        below = os.open("deep", os.O_RDONLY, dir_fd=descriptor)
        os.fchown(below, installed.who.owner, -1)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("bottom", os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    for locked in ("rules", "skills", "skills/guard"):
        (tree / locked).chmod(0o500)
    (tree / "rules").chmod(0)
    assert installed.run("remove").done == {}
    assert installed.is_empty()
    assert installed.look_outside() == before
    assert installed.run("remove").done == {}
