# SPDX-License-Identifier: MIT
"""A folder as the platform packs it: one gzip member with a POSIX tar.

By hand, as tarfile writes what the platform does not: slashes after the names
of folders, and a choice of its own between prefix and PAX header.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
from pathlib import Path

NAME_MAX, PREFIX_MAX = 100, 155
BLOCK = 512


class TooLarge(Exception):
    """The folder holds more than a plugin may."""


class Unreadable(Exception):
    """Something in the folder cannot be shipped."""


def pack(folder: Path, max_bytes: int) -> bytes:
    """Raises TooLarge, or Unreadable for a link to a folder and for what is no file."""
    out = io.BytesIO()
    size = 0
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        info = path.lstat()
        if stat.S_ISDIR(info.st_mode):
            out.write(_member(name, info, b"5", b""))
            continue
        if not path.is_file():
            raise Unreadable(name)
        # A link is followed, but keeps its own permissions.
        content = path.read_bytes()
        size += len(content)
        if size > max_bytes:
            raise TooLarge(name)
        out.write(_member(name, info, b"0", content))
    out.write(bytes(2 * BLOCK))
    return gzip.compress(out.getvalue(), mtime=0)


def _walk(folder: Path) -> list[Path]:
    found: list[Path] = []
    for entry in sorted(os.listdir(os.fsencode(folder))):
        path = folder / os.fsdecode(entry)
        found.append(path)
        if path.is_dir() and not path.is_symlink():
            found += _walk(path)
    return found


def _member(name: str, info: os.stat_result, kind: bytes, content: bytes) -> bytes:
    mode = stat.S_IMODE(info.st_mode) & ~_umask()
    placed = _place(name)
    extra = b""
    if placed is None:
        extra = _pax(name)
        short = name.encode("ascii", "ignore")[:NAME_MAX]
        placed = (b"", short)
    header = _header(placed, mode, info.st_uid, info.st_gid, len(content), int(info.st_mtime),
                     kind)
    return extra + header + _padded(content)


def _place(name: str) -> tuple[bytes, bytes] | None:
    """Prefix and name of a plain header; None if it has no room."""
    if not name.isascii():
        return None
    raw = name.encode()
    if len(raw) <= NAME_MAX:
        return b"", raw
    for at in range(min(PREFIX_MAX, len(raw) - 1), 0, -1):
        if raw[at:at + 1] == b"/" and len(raw) - at - 1 <= NAME_MAX:
            return raw[:at], raw[at + 1:]
    return None


def _pax(name: str) -> bytes:
    body = b" path=" + name.encode() + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    record = str(length).encode() + body
    folder, _, last = name.rpartition("/")
    own = f"{folder}/PaxHeaders.0/{last}".lstrip("/").encode("ascii", "ignore")[:NAME_MAX]
    return _header((b"", own), 0o644, 0, 0, len(record), 0, b"x") + _padded(record)


def _header(placed: tuple[bytes, bytes], mode: int, uid: int, gid: int, size: int,
            mtime: int, kind: bytes) -> bytes:
    prefix, name = placed
    head = bytearray(BLOCK)

    def put(offset: int, data: bytes) -> None:
        head[offset:offset + len(data)] = data

    put(0, name)
    put(100, b"%07o\0" % mode)
    put(108, b"%07o\0" % (uid & 0o7777777))
    put(116, b"%07o\0" % (gid & 0o7777777))
    put(124, b"%011o\0" % size)
    put(136, b"%011o\0" % mtime)
    put(148, b" " * 8)
    put(156, kind)
    put(257, b"ustar\x0000")
    put(345, prefix)
    put(148, b"%06o\0 " % sum(head))
    return bytes(head)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
