# SPDX-License-Identifier: MIT
"""Tar archives by hand, byte for byte: tarfile does not write what nobody should."""

from __future__ import annotations

import gzip
from typing import Any

BLOCK = 512
USTAR, GNU = b"ustar\x0000", b"ustar  \0"
END = bytes(2 * BLOCK)
YAML = b"name: demo\nversion: 1.2.3\n"


def header(name: bytes, kind: bytes = b"0", size: int | bytes = 0, *, mode: int | bytes = 0o644,
           mtime: int | bytes = 0, link: bytes = b"", prefix: bytes = b"", magic: bytes = USTAR,
           checksum: bytes | None = None) -> bytes:
    """One header block. A field given as bytes is written as it is."""
    head = bytearray(BLOCK)

    def put(offset: int, data: bytes) -> None:
        head[offset:offset + len(data)] = data

    put(0, name[:100])
    put(100, mode[:8] if isinstance(mode, bytes) else b"%07o\0" % mode)
    put(108, b"%07o\0" % 4242)
    put(116, b"%07o\0" % 4242)
    put(124, size if isinstance(size, bytes) else b"%011o\0" % size)
    put(136, mtime if isinstance(mtime, bytes) else b"%011o\0" % mtime)
    put(148, b" " * 8)
    put(156, kind)
    put(157, link[:100])
    put(257, magic)
    put(345, prefix)
    put(148, b"%06o\0 " % sum(head) if checksum is None else checksum)
    return bytes(head)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def file(name: bytes, content: bytes = b"", **fields: Any) -> bytes:
    return header(name, b"0", len(content), **fields) + padded(content)


def folder(name: bytes, **fields: Any) -> bytes:
    return header(name, b"5", mode=fields.pop("mode", 0o755), **fields)


def symlink(name: bytes, target: bytes) -> bytes:
    return header(name, b"2", link=target)


def record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """The header before an entry that says more about it."""
    body = b"".join(record(key, value) for key, value in records)
    return header(b"PaxHeaders/x", kind, len(body)) + padded(body)


def gnu_long(name: bytes, kind: bytes = b"L") -> bytes:
    return header(b"././@LongLink", kind, len(name) + 1, magic=GNU) + padded(name + b"\0")


def plugin(*members: bytes, yaml: bytes | None = YAML, end: bytes = END) -> bytes:
    """An archive as it is sent: a plugin.yaml that is right, and whatever else."""
    first = b"" if yaml is None else file(b"plugin.yaml", yaml)
    return gzip.compress(first + b"".join(members) + end, 6, mtime=0)
