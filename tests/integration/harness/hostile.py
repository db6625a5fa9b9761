# SPDX-License-Identifier: MIT
"""Archives that no plugin's author would make: what each of them must be refused for.

    for case in corpus(victim):
        case.archive        what is sent
        case.kind           of the refusal
        case.entry          what it is about, as it is shown; "" when about the whole archive
        case.says           a part of the sentence
        case.arguments      limits that are smaller than usual, so that it does not take long

victim is a directory outside, which those that lead outward aim at.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from .tar import (BLOCK, END, GNU, USTAR, YAML, file, folder, gnu_long, header, padded, pax, plugin,
                  record, symlink)

MIB = 1 << 20


@dataclass
class Hostile:
    name: str
    make: Callable[[], bytes]
    entry: str
    says: str
    kind: str = "integrity"
    arguments: tuple[str, ...] = ()

    @cached_property
    def archive(self) -> bytes:
        return self.make()

    def __str__(self) -> str:
        return self.name


def zeros(mib: int) -> bytes:
    return bytes(mib * MIB)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xff]) + data[at + 1:]


def outward(victim: bytes) -> Iterator[Hostile]:
    """T1: names that lead out of the plugin."""
    evil = victim + b"/evil"
    up, absolute = 'its name leads upward', "its name is absolute"
    for name in (b"../evil", b"..", b"a/../../evil", b"a/b/..", b"a/..", b"./../evil"):
        yield Hostile(f"dotdot {name.decode()}", lambda name=name: plugin(file(name, b"x")), name.decode(), up)
    yield Hostile("dotdot folder", lambda: plugin(folder(b"../evil/")), "../evil/", up)
    yield Hostile("absolute", lambda: plugin(file(evil[:100], b"x")), evil[:100].decode(), absolute)
    yield Hostile("absolute, two slashes", lambda: plugin(file(b"//evil", b"x")), "//evil", absolute)
    yield Hostile("the root", lambda: plugin(folder(b"/")), "/", absolute)
    yield Hostile("absolute behind ./", lambda: plugin(file(b".//evil", b"x")), ".//evil", absolute)
    yield Hostile("pax path dotdot", lambda: plugin(pax((b"path", b"../evil")), file(b"innocent", b"x")),
                  "../evil", up)
    yield Hostile("pax path absolute", lambda: plugin(pax((b"path", evil)), file(b"innocent", b"x")),
                  evil.decode(), absolute)
    yield Hostile("prefix dotdot", lambda: plugin(file(b"evil", b"x", prefix=b"..")), "../evil", up)
    yield Hostile("prefix absolute", lambda: plugin(file(b"evil", b"x", prefix=victim[:155])),
                  (victim + b"/evil").decode(), absolute)
    yield Hostile("GNU long name dotdot", lambda: plugin(gnu_long(b"../" + b"a" * 120), file(b"innocent", b"x")),
                  "../" + "a" * 120, up)
    yield Hostile("GNU long name absolute", lambda: plugin(gnu_long(evil), file(b"innocent", b"x")),
                  evil.decode(), absolute)
    yield Hostile("pax path for all that follows",
                  lambda: plugin(pax((b"path", b"../evil"), kind=b"g"), file(b"innocent", b"x")),
                  "", "changes all entries behind it")
    yield Hostile("pax path twice", lambda: plugin(pax((b"path", b"good"), (b"path", b"../evil")), file(b"i", b"x")),
                  "", "names one entry twice")
    yield Hostile("two pax headers", lambda: plugin(pax((b"path", b"good")), pax((b"path", b"../evil")), file(b"i")),
                  "", "names one entry twice")
    yield Hostile("pax and GNU name", lambda: plugin(pax((b"path", b"good")), gnu_long(b"../evil"), file(b"i")),
                  "", "names one entry twice")
    yield Hostile("GNU and pax name", lambda: plugin(gnu_long(b"good"), pax((b"path", b"../evil")), file(b"i")),
                  "", "names one entry twice")


def links(victim: bytes) -> Iterator[Hostile]:
    """T2 and T4: links that something is then done through, and hard links."""
    inside = "something that is no directory"
    two, twice = "two different things", "it is there twice"
    yield Hostile("file over a symbolic link", lambda: plugin(symlink(b"a", victim + b"/canary"), file(b"a", b"x")),
                  "a", two)
    yield Hostile("file through a symbolic link",
                  lambda: plugin(symlink(b"a", victim), file(b"a/canary", b"x")), "a", two)
    yield Hostile("file through a relative link",
                  lambda: plugin(symlink(b"a", b".."), file(b"a/evil", b"x")), "a", two)
    yield Hostile("link over a folder", lambda: plugin(folder(b"a"), symlink(b"a", victim), file(b"a/b", b"x")),
                  "a", two)
    yield Hostile("link over a file", lambda: plugin(file(b"a", b"x"), symlink(b"a", victim)), "a", two)
    yield Hostile("two links of one name", lambda: plugin(symlink(b"a", b"b"), symlink(b"a", victim)), "a", twice)
    yield Hostile("link named upward", lambda: plugin(symlink(b"../evil", b"b")), "../evil", "leads upward")
    yield Hostile("link with content", lambda: plugin(header(b"a", b"2", 512, link=b"b"), bytes(512)),
                  "a", "it is no file, and has content")
    for name, target in (("absolute", victim + b"/canary"), ("upward", b"../outside/canary"),
                         ("inside", b"plugin.yaml")):
        yield Hostile(f"hard link {name}", lambda target=target: plugin(header(b"a", b"1", link=target[:100])),
                      "a", "it is a hard link")
    yield Hostile("hard link, then a file", lambda: plugin(
        header(b"a", b"1", link=victim[:93] + b"/canary"), file(b"a", b"x")), "a", "it is a hard link")
    yield Hostile("hard link by pax", lambda: plugin(
        pax((b"linkpath", victim + b"/canary")), header(b"a", b"1")), "a", "it is a hard link")
    yield Hostile("file in a file", lambda: plugin(file(b"a", b"x"), file(b"a/b", b"x")), "a/b", inside)


def types() -> Iterator[Hostile]:
    """T5: what is neither file, directory nor link."""
    for name, kind, says in (("character device", b"3", "a device"), ("block device", b"4", "a device"),
                             ("FIFO", b"6", "a FIFO"), ("contiguous file", b"7", "an unknown type (0x37)"),
                             ("unknown type", b"Z", "an unknown type (0x5a)"),
                             ("type of high bit", b"\xb0", "an unknown type (0xb0)"),
                             ("dump directory", b"D", "an unknown type"), ("multi-volume", b"M", "an unknown type"),
                             ("volume label", b"V", "an unknown type"), ("Solaris ACL", b"A", "an unknown type"),
                             ("Solaris pax", b"X", "an unknown type"), ("GNU sparse", b"S", "a sparse file")):
        magic = GNU if kind in b"DMVS" else USTAR
        yield Hostile(name, lambda kind=kind, magic=magic: plugin(header(b"a", kind, magic=magic)), "a", says)
    yield Hostile("folder with content", lambda: plugin(header(b"a", b"5", 512), bytes(512)),
                  "a", "it is no file, and has content")


def twins() -> Iterator[Hostile]:
    """T7: one name for two things."""
    twice, two = "it is there twice", "two different things"
    yield Hostile("file twice", lambda: plugin(file(b"a", b"1"), file(b"a", b"2")), "a", twice)
    yield Hostile("plugin.yaml twice", lambda: plugin(file(b"plugin.yaml", YAML)), "plugin.yaml", twice)
    yield Hostile("./plugin.yaml, too", lambda: plugin(file(b"./plugin.yaml", YAML)), "./plugin.yaml", twice)
    yield Hostile("file twice, once with ./", lambda: plugin(file(b"a", b"1"), file(b"./a", b"2")), "a", twice)
    yield Hostile("folder twice", lambda: plugin(folder(b"a"), folder(b"a/")), "a", twice)
    yield Hostile("file, then folder", lambda: plugin(file(b"a", b"1"), folder(b"a")), "a", two)
    yield Hostile("folder, then file", lambda: plugin(folder(b"a"), file(b"a", b"1")), "a", twice)
    case = "in case only"
    yield Hostile("case twins", lambda: plugin(file(b"read.me", b"1"), file(b"READ.me", b"2")), "read.me", case)
    yield Hostile("case twins of folders", lambda: plugin(folder(b"Hooks"), folder(b"hooks")), "hooks", case)
    yield Hostile("case twins above", lambda: plugin(file(b"Hooks/a", b"1"), file(b"hooks/b", b"2")), "hooks", case)
    yield Hostile("plugin.YAML, too", lambda: plugin(file(b"plugin.YAML", YAML)), "plugin.yaml", case)


def names() -> Iterator[Hostile]:
    """T7 and T8: names that are no names."""
    plain = "not a plain path"
    yield Hostile("no name", lambda: plugin(file(b"", b"x")), "", "empty name")
    yield Hostile("no name by pax", lambda: plugin(pax((b"path", b"")), file(b"a", b"x")), "", "empty name")
    for name in (b"a//b", b"a/./b", b".", b"././a"):
        yield Hostile(f"not plain {name.decode()}", lambda name=name: plugin(file(name, b"x")), name.decode(), plain)
    yield Hostile("file with a slash behind it", lambda: plugin(file(b"a/", b"x")), "a/", "more than one way")
    for label, raw, shown, says in (
            ("newline", b"a\nb", r"a\x0ab", "a control character"),
            ("escape", b"a\x1b[2J", r"a\x1b[2J", "a control character"),
            ("delete", b"a\x7f", r"a\x7f", "a control character"),
            ("backslash", b"..\\evil", r"..\x5cevil", "a backslash"),
            ("C1 control", "a\u009b2J".encode(), r"a\xc2\x9b2J", "U+009B"),
            ("right to left", "a\u202egpj.exe".encode(), r"a\xe2\x80\xaegpj.exe", "U+202E"),
            ("zero width", "a\u200bb".encode(), r"a\xe2\x80\x8bb", "U+200B"),
            ("not UTF-8", b"caf\xe9", r"caf\xe9", "is not UTF-8"),
            ("cut UTF-8", b"a\xe4\xb8", r"a\xe4\xb8", "is not UTF-8"),
            ("overlong UTF-8", b"a\xc0\xafb", r"a\xc0\xafb", "is not UTF-8"),
            ("surrogate", b"a\xed\xa0\x80", r"a\xed\xa0\x80", "U+D800"),
            ("beyond Unicode", b"a\xf4\x90\x80\x80", r"a\xf4\x90\x80\x80", "U+110000")):
        yield Hostile(label, lambda raw=raw: plugin(file(raw, b"x")), shown, says)
        yield Hostile(f"{label}, by pax", lambda raw=raw: plugin(pax((b"path", raw)), file(b"a", b"x")), shown, says)
    yield Hostile("NUL, by pax", lambda: plugin(pax((b"path", b"good\0/../../evil")), file(b"a", b"x")),
                  r"good\x00/../../evil", "a NUL")
    yield Hostile("NUL in a GNU name", lambda: plugin(gnu_long(b"good\0/../../evil"), file(b"a", b"x")),
                  r"good\x00/../../evil\x00", "a NUL")
    long = b"/".join([b"d" * 200] * 30)
    yield Hostile("6,000 bytes of path", lambda: plugin(pax((b"path", long)), file(b"a", b"x")),
                  long.decode()[:100], "longer than 1024 bytes")
    yield Hostile("300 bytes of name", lambda: plugin(pax((b"path", b"n" * 300)), file(b"a", b"x")),
                  "n" * 100, "longer than 255 bytes")
    yield Hostile("2,000 levels", lambda: plugin(gnu_long(b"d/" * 2000 + b"f"), file(b"a", b"x")),
                  "d/d/d/", "longer than 1024 bytes")
    yield Hostile("33 levels", lambda: plugin(file(b"/".join([b"d"] * 33), b"x")), "d/d/d/", "32 directories deep")


def sizes() -> Iterator[Hostile]:
    """T8 and T9: too much of anything."""
    huge = str(2 ** 63 - 1).encode()

    def many(count: int, of: Callable[[bytes], bytes] = file) -> bytes:
        return plugin(*(of(b"%05d" % number) for number in range(count)))

    yield Hostile("20,001 files", lambda: many(20000), "19999", "more than 20000 files", "too_large")
    yield Hostile("60,000 files", lambda: many(60000), "19999", "more than 20000 files", "too_large")
    few, fewer = ("--max-files", "500"), "more than 500 files"
    yield Hostile("501 folders", lambda: many(500, folder), "00499", fewer, "too_large", few)
    yield Hostile("501 links", lambda: many(500, lambda name: symlink(name, b"x")), "00499", fewer, "too_large", few)
    yield Hostile("501 folders that are implied", lambda: plugin(*(file(b"%05d/a" % number) for number in range(251))),
                  "00249", fewer, "too_large", few)
    yield Hostile("3 MiB of names", lambda: plugin(*(
        file(b"%05d" % number, prefix=b"p" * 150) for number in range(20000))),
                  "ppp", "names of all files", "too_large")
    yield Hostile("a gigabyte of zeros", lambda: plugin(header(b"a", b"0", 500 * MIB), zeros(500)), "",
                  "more than 200 times its size", "too_large")
    yield Hostile("a gigabyte of small files", lambda: plugin(*(file(b"%05d" % number, zeros(1))
                                                                for number in range(300))), "",
                  "more than 200 times its size", "too_large")
    yield Hostile("a gigabyte of padding", lambda: plugin(end=END + zeros(64)), "",
                  "more than 200 times its size", "too_large")
    yield Hostile("a terabyte, said", lambda: plugin(header(b"a", b"0", b"\x80" + (1 << 40).to_bytes(11, "big"))),
                  "a", "larger than 536870912 bytes", "too_large")
    yield Hostile("pax size 2^63-1", lambda: plugin(pax((b"size", huge)), file(b"a", b"x")), "a",
                  "larger than 536870912 bytes", "too_large")
    yield Hostile("pax size -1", lambda: plugin(pax((b"size", b"-1")), file(b"a", b"x")), "", "is no number")
    yield Hostile("pax size 2^64", lambda: plugin(pax((b"size", str(2 ** 64).encode())), file(b"a", b"x")),
                  "", "is no number")
    yield Hostile("pax size twice", lambda: plugin(pax((b"size", b"1"), (b"size", b"512")), file(b"a", b"x")),
                  "", "is no number")
    yield Hostile("negative size", lambda: plugin(header(b"a", b"0", b"\xff" * 12)), "a", "its size is no number")
    yield Hostile("a prefix in GNU's header", lambda: plugin(file(b"a", b"x", magic=GNU, prefix=b"../../evil")), "a",
                  "more than one way")
    yield Hostile("mode in words", lambda: plugin(header(b"a", mode=b"rw-r--r--")), "a", "its mode is no number")
    yield Hostile("size in words", lambda: plugin(header(b"a", b"0", b"many".ljust(12, b"\0"))),
                  "a", "its size is no number")
    yield Hostile("a terabyte of holes, GNU", lambda: plugin(
        header(b"a", b"S", 0, magic=GNU, prefix=bytes(138) + b"\x80" + (1 << 40).to_bytes(11, "big"))),
                  "a", "a sparse file")
    yield Hostile("a terabyte of holes, pax", lambda: plugin(
        pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"1099511627776")), file(b"a", b"x")),
        "", "a sparse file")
    yield Hostile("holes of Solaris", lambda: plugin(pax((b"SUN.holesdata", b" 0 1099511627776")), file(b"a", b"x")),
                  "", "a sparse file")
    yield Hostile("a pax header of 5 MB", lambda: plugin(pax((b"comment", b"c" * 5_000_000)), file(b"a", b"x")),
                  "", "more than 32768 bytes", "too_large")
    yield Hostile("5 MB of pax for all", lambda: plugin(pax((b"comment", b"c" * 5_000_000), kind=b"g"), file(b"a")),
                  "", "more than 32768 bytes", "too_large")
    yield Hostile("a GNU name of 5 MB", lambda: plugin(gnu_long(b"n" * 5_000_000), file(b"a", b"x")),
                  "", "more than 32768 bytes", "too_large")


def damage() -> Iterator[Hostile]:
    """T10: what is not whole, or not an archive."""
    good = plugin(file(b"a", b"x" * 5000))
    raw = gzip.decompress(good)
    whole = raw[:-len(END)]
    behind, cut = "further bytes behind the end of the archive's ", "the archive is cut off"
    no_tar = "what came is not a tar archive"

    def packed(tar: bytes) -> Callable[[], bytes]:
        return lambda: gzip.compress(tar, mtime=0)

    yield Hostile("nothing", lambda: b"", "", "the archive is empty")
    yield Hostile("HTML", lambda: b"<html><body>502 Bad Gateway</body></html>\n", "", "not a gzip archive")
    yield Hostile("tar without gzip", lambda: raw, "", "not a gzip archive")
    yield Hostile("bzip2", lambda: bz2.compress(raw), "", "not a gzip archive")
    yield Hostile("gzip of nothing", packed(b""), "", cut)
    yield Hostile("gzip of HTML", packed(b"<html></html>"), "", no_tar)
    yield Hostile("gzip of much HTML", packed(b"<html>" * 1024), "", no_tar)
    yield Hostile("gzip in gzip", lambda: gzip.compress(good, mtime=0), "", no_tar)
    yield Hostile("an old tar", packed(file(b"a", b"x", magic=b"\0" * 8) + END), "", no_tar)
    yield Hostile("an end and no beginning", packed(END), "", "no plugin.yaml")
    yield Hostile("no gzip trailer", lambda: good[:-8], "", cut)
    yield Hostile("half a gzip header", lambda: good[:5], "", cut)
    yield Hostile("wrong CRC", lambda: flipped(good, len(good) - 6), "", "gzip stream is damaged")
    yield Hostile("wrong length", lambda: flipped(good, len(good) - 2), "", "gzip stream is damaged")
    yield Hostile("garbage behind gzip", lambda: good + b"garbage", "", behind + "gzip")
    yield Hostile("a NUL behind gzip", lambda: good + b"\0", "", behind + "gzip")
    yield Hostile("two gzip members", lambda: good + good, "", behind + "gzip")
    yield Hostile("one tar in two members", lambda: gzip.compress(raw[:1024]) + gzip.compress(raw[1024:]), "",
                  behind + "gzip")
    yield Hostile("two tars in a member", packed(raw + raw), "", behind + "tar")
    yield Hostile("garbage behind tar", packed(raw + b"g" * BLOCK), "", behind + "tar")
    yield Hostile("garbage far behind tar", packed(raw + bytes(20 * BLOCK) + b"g" * BLOCK), "", behind + "tar")
    yield Hostile("no end mark", packed(whole), "", cut)
    yield Hostile("half an end mark", packed(whole + bytes(BLOCK)), "", cut)
    yield Hostile("half an end mark amid", packed(whole + bytes(BLOCK) + file(b"b", b"x") + END),
                  "", "half an end mark")
    yield Hostile("no whole block", packed(raw + b"\0"), "", cut)
    yield Hostile("content cut off", packed(raw[:3 * BLOCK + 100]), "", cut)
    yield Hostile("content cut off at a block", packed(raw[:4 * BLOCK]), "", cut)
    yield Hostile("end amid content", packed(whole[:4 * BLOCK] + END), "", cut)
    yield Hostile("pax header and no entry", packed(whole + pax((b"path", b"b")) + END), "", "ends between")
    yield Hostile("pax header cut off", packed(whole + pax((b"path", b"b"))[:BLOCK]), "", cut)
    yield Hostile("wrong checksum", packed(whole + file(b"b", b"x", checksum=b"012345\0 ") + END), "", "checksum")
    yield Hostile("checksum in words", packed(whole + file(b"b", b"x", checksum=b"wrong!\0 ") + END), "", "checksum")
    yield Hostile("checksum in binary", packed(whole + file(b"b", b"x", checksum=b"\x80" + b"\0" * 7) + END), "",
                  "checksum")
    yield Hostile("other magic", packed(whole + file(b"b", b"x", magic=b"rattar\0\0") + END), "", "neither ustar")
    for label, body in (("without length", b" path=b\n"), ("length too small", b"5 path=b\n"),
                        ("length too large", b"99 path=b\n"), ("no newline", b"10 path=bb"),
                        ("no equals sign", b"9 pathab\n"), ("no key", b"6 =ab\n"), ("negative", b"-9 path=b\n")):
        yield Hostile(f"pax record {label}", packed(
            whole + header(b"p", b"x", len(body)) + padded(body) + file(b"a", b"x") + END), "", "malformed")
    yield Hostile("pax record behind garbage", packed(
        whole + header(b"p", b"x", 20) + padded(record(b"path", b"b") + b"\0" * 9) + file(b"b") + END), "", "malformed")


def manifests() -> Iterator[Hostile]:
    """T11: what plugin.yaml says."""
    def said(yaml: bytes) -> Callable[[], bytes]:
        return lambda: plugin(file(b"a", b"x"), yaml=yaml)

    path = "plugin.yaml"
    nested = b"a: " + b"[" * 40 + b"]" * 40 + b"\n"
    bomb = b"a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\n"
    yield Hostile("no plugin.yaml", lambda: plugin(file(b"a", b"x"), yaml=None), "", "no plugin.yaml")
    yield Hostile("plugin.yaml is a folder", lambda: plugin(folder(b"plugin.yaml"), yaml=None), "", "no plugin.yaml")
    yield Hostile("plugin.yaml is a link", lambda: plugin(symlink(b"plugin.yaml", b"/etc/passwd"), yaml=None), "",
                  "no plugin.yaml")
    yield Hostile("plugin.yaml of 10 MB", said(YAML + b"#" * 10_000_000), path, "larger than 65536 bytes", "too_large")
    for label, yaml, says in (
            ("empty", b"", "it has no name"), ("a list", b"- name: demo\n", "not a mapping"),
            ("a text", b"demo\n", "not a mapping"), ("no YAML", b"name: demo\n\ta: [b\n", "it is not YAML"),
            ("binary", b"name: \x00\x01\n", "it is not YAML"), ("not UTF-8", b"name: d\xe9mo\n", "it is not YAML"),
            ("UTF-16", "name: demo\n".encode("utf-16"), "it is not YAML"),
            ("an alias", YAML + b"a: &a x\nb: *a\n", "it has aliases"), ("a bomb", YAML + bomb, "it has aliases"),
            ("deeply nested", YAML + nested, "nested more than 16 deep"),
            ("many parts", YAML + b"a: [" + b"a," * 20000 + b"a]\n", "more than 16384 parts"),
            ("two documents", YAML + b"---\nname: other\n", "more than one document"),
            ("no name", b"version: 1\n", "it has no name"), ("null name", b"name: ~\n", "it has no name"),
            ("another name", b"name: other\n", "about the plugin other, not demo"),
            ("another case", b"name: Demo\n", "about the plugin Demo, not demo"),
            ("name twice", b"name: demo\nname: other\n", "the key name twice"),
            ("name is a list", b"name: [demo]\n", "its name is not a text"),
            ("name leads upward", b"name: ../demo\n", "letters, digits"),
            ("hidden name", b"name: .demo\n", "letters, digits"),
            ("NUL in name", b'name: "demo\\0"\n', "a NUL in it"),
            ("long name", b"name: " + b"n" * 65 + b"\n", "longer than 64"),
            ("long version", YAML.replace(b"1.2.3", b"1" * 65), "longer than 64"),
            ("runtimes in a mapping", YAML + b"runtimes: {a: b}\n", "not a list of texts"),
            ("runtimes in lists", YAML + b"runtimes: [[a]]\n", "not a list of texts"),
            ("33 runtimes", YAML + b"runtimes: [" + b"a," * 33 + b"]\n", "more than 32 runtimes"),
            ("wrong sha256", YAML + b"sha256: " + b"0" * 64 + b"\n", "not that of the plugin's files"),
            ("short sha256", YAML + b"sha256: abcdef\n", "not 64 hexadecimal digits"),
            ("upper case sha256", YAML + b"sha256: " + b"A" * 64 + b"\n", "in lower case"),
            ("key is a list", YAML + b"? [a, b]\n: c\n", "a key that is no text")):
        kind = "too_large" if "parts" in says else "integrity"
        yield Hostile(f"plugin.yaml: {label}", said(yaml), path, says, kind)


def corpus(victim: str) -> list[Hostile]:
    raw = victim.encode()
    return [*outward(raw), *links(raw), *types(), *twins(), *names(), *sizes(), *damage(), *manifests()]
