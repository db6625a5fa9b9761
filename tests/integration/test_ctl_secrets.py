# SPDX-License-Identifier: MIT
"""molecule-agentctl secrets: values go where they are wanted, as they are."""

import json
import subprocess

import pytest

from ctlfixtures import talk
from fakedaemon import ago

pytest_plugins = "ctlfixtures"


VALUE = "it's $HOME `id` \"q\" \\ \n\tü"


def with_secrets(fake, **values):
    def get(params):
        keys = params.get("keys", list(values))
        return {"values": {key: values[key] for key in keys if key in values},
                "missing": [key for key in keys if key not in values],
                "fetched_at": ago(minutes=5, seconds=30), "stale": False}
    fake.answers["secrets.get"] = get


def test_one_secret_is_printed_raw(fake, run):
    with_secrets(fake, KEY=VALUE, EMPTY="", NUL="a\0b")
    assert run("secrets", "get", "KEY") == VALUE
    assert run("secrets", "get", "EMPTY") == ""
    assert run("secrets", "get", "NUL") == "a\0b"
    assert fake.params_of("secrets.get")[0] == {"keys": ["KEY"]}


def test_a_secret_ends_with_a_newline_on_a_terminal(fake, run):
    with_secrets(fake, KEY="value")
    assert talk(run, "secrets", "get", "KEY") == ("value\r\n", 0)


def test_several_secrets_are_a_table(fake, run):
    with_secrets(fake, A="1", LONGER="two")
    table = "KEY     VALUE\nA       1\nLONGER  two\n"
    assert run("secrets", "get", "A", "LONGER", "--max-age", "10s") == table
    assert run("secrets", "get") == table
    assert fake.params_of("secrets.get") == [{"keys": ["A", "LONGER"], "max_age_ms": 10000}, {}]


def test_the_environment_format_is_read_back_by_a_shell(fake, run):
    with_secrets(fake, KEY=VALUE, _2="-n", EMPTY="")
    out = run("secrets", "get", "--format", "env")
    for shell in ("sh", "bash"):
        script = 'eval "$1"; printf "%s|%s|%s" "$KEY" "$_2" "$EMPTY"'
        done = subprocess.run([shell, "-c", script, "-", out], capture_output=True, text=True)
        assert done.stdout == f"{VALUE}|-n|"


@pytest.mark.parametrize("key,value,said", [
    ("not-a-name", "x", "'not-a-name' is no name that a shell variable can have"),
    ("2nd", "x", "'2nd' is no name"),
    ("A;id", "x", "'A;id' is no name"),
    ("", "x", "'' is no name"),
    ("KEY", "a\0b", "KEY has a NUL in it"),
])
def test_what_a_shell_cannot_hold_is_refused_whole(fake, run, key, value, said):
    with_secrets(fake, GOOD="1", **{key: value})
    assert run("secrets", "get", "--format", "env", status=65, said=said) == ""


def test_json_formats_of_secrets(fake, run):
    with_secrets(fake, KEY="v")
    assert run("secrets", "get", "--format", "json") == '{"KEY":"v"}\n'
    assert json.loads(run("secrets", "get", "KEY", "--json"))["values"] == {"KEY": "v"}


def test_a_secret_that_is_not_there_is_an_error(fake, run):
    with_secrets(fake, KEY="v")
    assert run("secrets", "get", "NONE", status=66, said="there is no secret NONE\n") == ""
    assert run("secrets", "get", "KEY", "NO", "NE", status=66, said="no secret NO, NE\n") == ""
    assert run("secrets", "get", "KEY", "NO", "--format=env", status=66, said="no secret NO\n") == ""
    out = run("secrets", "get", "KEY", "NO", "--json", status=66, said="no secret NO\n")
    assert json.loads(out)["missing"] == ["NO"]


def test_stale_secrets_are_given_with_a_note(fake, run):
    fake.answers["secrets.get"] = {"values": {"K": "v"}, "missing": [], "stale": True,
                                     "fetched_at": ago(minutes=5, seconds=30)}
    assert run("secrets", "get", "K", said="out of reach: this was fetched 5min ago") == "v"


def test_names_of_secrets_are_listed_and_refreshed(fake, run):
    fake.answers["secrets.list"] = {"keys": ["A", "B"], "fetched_at": None}
    assert run("secrets", "list") == "A\nB\n"
    fake.answers["secrets.refresh"] = {"keys": ["A", "B"], "changed": ["B"], "fetched_at": None}
    assert run("secrets", "refresh", "-w", "x") == "B\n"
    fake.answers["secrets.refresh"] = {"keys": ["A", "B"], "changed": [], "fetched_at": None}
    assert run("secrets", "refresh") == "nothing changed\n"
