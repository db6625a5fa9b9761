# SPDX-License-Identifier: MIT
"""molecule-unpack and archives that mean harm: all refused, nothing left, nothing touched."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness.hostile import Hostile, corpus
from harness.unpacker import WHO, Yard, yard

#: A place that exists nowhere: what writes there shows as a file that was not there before.
VICTIM = "/tmp/molecule-unpack-victim"
CORPUS = corpus(VICTIM)


@pytest.fixture(scope="module", params=WHO)
def place(request: pytest.FixtureRequest) -> Iterator[Yard]:
    with yard(WHO[request.param]) as made:
        yield made


def test_the_corpus_is_as_large_as_it_was() -> None:
    assert len(CORPUS) >= 150
    assert len({case.name for case in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("case", CORPUS, ids=str)
def test_is_refused_with_the_entry_named(place: Yard, case: Hostile) -> None:
    failed = place.unpack(case.archive, *case.arguments).failed
    assert case.says in failed["message"]
    assert failed["kind"] == case.kind
    if case.entry:
        assert failed["entry"].startswith(case.entry[:100])
        assert failed["message"].startswith(case.entry[:100])
    else:
        assert failed["entry"] == ""
    assert place.is_empty()
    assert not os.path.lexists(VICTIM)
