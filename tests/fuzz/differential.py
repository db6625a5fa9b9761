#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Asks json-check and Python's json about the same texts; they must agree.

usage: differential.py JSON-CHECK

The texts: some that must be taken, some that must be refused, and thousands
that are made of those by a generator with a fixed seed. Python is made strict
first: no NaN, no bytes that are not UTF-8. Where we promise to be stricter
still (64 levels, no NUL in a member's name), so is the oracle.
"""

import json
import random
import subprocess
import sys

DEPTH_MAX = 64
MUTATED = 12000

GOOD = [
    b"null", b"true", b"false", b"0", b"-0", b"-1", b"123", b"0.5", b"-0.5e-7", b"1E400", b"1e+1",
    b"9" * 400, b'""', b'"a"', b"[]", b"{}", b" [ ] ", b"\r\n{ }\t", b"[1,2,3]", b"[[],[[]],{}]",
    b'{"a":1}', b'{"a":1,"a":2}', b'{"":null}', b'{"a":{"b":[{"c":"d"}]}}', b'"\\u0000"',
    b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', b'"\\u00e9\\u20AC"', b'"\\ud83d\\ude00"', b'"\\ud800"',
    b'"\\udc00\\ud800"', b'"\x7f"', '"é€😀\U0010ffff"'.encode(), '{"é":"\u2028"}'.encode(),
    b'[true,false,null,-1.5e+10,"x",[],{}]', b"[" * 64 + b"]" * 64, b'{"a":' * 64 + b"1" + b"}" * 64,
    b'{"jsonrpc":"2.0","id":1,"method":"secrets.get","params":{"keys":["A","B"],"max_age_ms":0}}',
    b'[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":"x","method":"b","params":[1,"2"]}]',
]

BAD = [
    b"", b" ", b"\xef\xbb\xbf[]", b"nul", b"nulL", b"True", b"truee", b"NaN", b"-Infinity", b"Infinity",
    b"01", b"-01", b"+1", b".5", b"1.", b"1.e5", b"1e", b"1e+", b"-", b"0x1", b"1_0", b"1,", b"1 2",
    b"[", b"]", b"{", b"}", b"[}", b"{]", b"[1,]", b"[,1]", b"[,]", b"[1 2]", b"[1,,2]", b'{"a"}',
    b'{"a":}', b'{"a":1,}', b'{"a":1 "b":2}', b"{a:1}", b"{1:1}", b"{'a':1}", b"['a']", b'{"a"::1}',
    b'{,"a":1}', b'"', b'"\\"', b'"\\x41"', b'"\\u12"', b'"\\u12G4"', b'"\\u-123"', b'"\n"', b'"\t"',
    b'"\0"', b"[1]\0", b"\0", b"\f1", b"\v1", b"\xa01", b"\xc2\xa01", b"/**/1", b"1//", b"#1", b"[]x",
    b"{}{}", b'""""', b'"\xff"', b'"\xc3"', b'"\xc0\x80"', b'"\xe0\x80\x80"', b'"\xed\xa0\x80"',
    b'"\xf0\x80\x80\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b"\xe2\x82\xac", b"[" * 65 + b"]" * 65,
    b'{"a\\u0000b":1}', b'[{"\\u0000":[]}]', b"[1", b'{"a":1', b"[1}", b'{"a":1]', "[\u0661]".encode(),
    '["\ud800"]'.encode(errors="surrogatepass"), b"[1e1.5]", b"[--1]", b"[-]", b"[tru]", b'[""a]',
]

PIECES = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\u0000", b"\\ud83d", b"\\n", b"0", b"1",
    b"-", b".", b"e", b"E+", b"true", b"false", b"null", b" ", b"\n", b"\t", b"\0", b"\x1f", b"\x7f",
    b"\x80", b"\xc3\xa9", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b'"a":', b'""', b"[]", b"{}", b"'", b"/", b"NaN",
]


class Refused(ValueError):
    pass


def refuse(word):
    raise Refused(word)


def pairs(members):
    if any("\0" in name for name, _ in members):
        raise Refused("NUL in a name")
    return [value for _, value in members]


def depth(value):
    level = [value]
    deep = 0
    while any(isinstance(v, list) for v in level):
        deep += 1
        level = [inner for v in level if isinstance(v, list) for inner in v]
    return deep


def oracle(text):
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=refuse, parse_int=float,
                           object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return "bad"
    return "ok" if depth(value) <= DEPTH_MAX else "bad"


def mutate(rng, text):
    text = bytearray(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(text) + 1)
        action = rng.randrange(6)
        if action == 0:
            text[at:at] = rng.choice(PIECES)
        elif action == 1:
            del text[at:at + rng.randint(1, 4)]
        elif action == 2 and at < len(text):
            text[at] = rng.randrange(256)
        elif action == 3 and at < len(text):
            text[at] ^= 1 << rng.randrange(8)
        elif action == 4:
            end = rng.randrange(at, len(text) + 1)
            text[at:at] = text[at:end]
        else:
            other = rng.choice(GOOD)
            text[at:at + rng.randint(0, 3)] = other[rng.randrange(len(other)):]
    return bytes(text)


def build(rng, levels):
    """A text that is JSON, with white space wherever it may stand."""
    space = rng.choice((b"", b"", b" ", b"\r\n\t"))
    kind = rng.randrange(7 if levels else 4)
    if kind == 0:
        body = str(rng.randint(-10**20, 10**20)).encode()
    elif kind == 1:
        body = repr(rng.uniform(-1e9, 1e9) * 10**rng.randint(-30, 30)).encode()
    elif kind == 2:
        body = rng.choice((b"true", b"false", b"null"))
    elif kind == 3 or kind == 6:
        letters = [chr(rng.choice((rng.randrange(0x80), rng.randrange(0xd800), 0x1f600)))
                   for _ in range(rng.randrange(12))]
        body = json.dumps("".join(letters), ensure_ascii=rng.random() < 0.5).encode()
    elif kind == 4:
        body = b"[" + b",".join(build(rng, levels - 1) for _ in range(rng.randrange(4))) + b"]"
    else:
        body = b"{" + b",".join(b'"k%d":' % i + build(rng, levels - 1)
                                for i in range(rng.randrange(4))) + b"}"
    return space + body + space


def main():
    rng = random.Random(20261120)
    texts = GOOD + BAD + [build(rng, 5) for _ in range(1000)]
    texts += [mutate(rng, rng.choice(texts)) for _ in range(MUTATED)]
    lines = "".join(text.hex() + "\n" for text in texts)
    run = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, check=True)
    ours = run.stdout.split()
    theirs = [oracle(text) for text in texts]

    known = ["ok"] * len(GOOD) + ["bad"] * len(BAD)
    failed = len(ours) != len(texts)
    for what, verdicts in (("ours", ours), ("Python's", theirs)):
        for text, verdict, expected in zip(texts, verdicts, known):
            if verdict != expected:
                print(f"{what} is {verdict}, must be {expected}: {text!r}")
                failed = True
    for text, our, their in zip(texts, ours, theirs):
        if our != their:
            print(f"ours is {our}, Python's {their}: {text!r}")
            failed = True

    # A generator that makes one kind only would show nothing.
    good = theirs.count("ok")
    print(f"{len(texts)} texts, {good} good, {len(texts) - good} bad")
    return 1 if failed or not len(texts) // 5 < good < len(texts) * 4 // 5 else 0


if __name__ == "__main__":
    sys.exit(main())
