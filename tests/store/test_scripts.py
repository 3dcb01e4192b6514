"""Every script names its keys and arguments, and every call in the store gives exactly those."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import relay.store
from relay.core.presence import TenantId
from relay.errors import Bug
from relay.store.custody.managers import _rights
from relay.store.custody.writes import custody_values
from relay.store.presence.pipes import inbox_values
from relay.store.server.scripting import Script, files

ROOT = Path(relay.store.__path__[0])
TENANT = TenantId("6b5f4a3e-1111-4222-8333-944445555666")
SCRIPTS = sorted(name for name in files() if not name.startswith("_"))
NAMED_TOGETHER = {
    "inbox_values": frozenset(inbox_values(TENANT)),
    "_rights": frozenset(_rights(TENANT)),
}
"""The names that these functions of the store give to a call with `**`."""
GIVEN_BY_WRITE = frozenset(custody_values(TENANT, b"", None))


def calls() -> Iterator[tuple[str, str, ast.Call, bool]]:
    """Yield the place, the script, the call with its keys and arguments, and whether `writes.write` adds custody's own."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        scripts = {
            node.targets[0].id: node.value.args[0].value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
            and node.value.func.id == "Script"
            and isinstance(node.value.args[0], ast.Constant)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            if isinstance(node.func, ast.Name) and node.func.id in scripts:
                yield where, scripts[node.func.id], node, False
            elif isinstance(node.func, ast.Attribute) and node.func.attr == "write":
                for argument in node.args:
                    if isinstance(argument, ast.Name) and argument.id in scripts:
                        yield where, scripts[argument.id], node, True


CALLS = list(calls())


def test_every_script_is_called() -> None:
    assert {script for _, script, *_ in CALLS} == set(SCRIPTS)


@pytest.mark.parametrize(("where", "name", "call", "is_custody"), CALLS, ids=[where for where, *_ in CALLS])
def test_a_call_names_every_key_and_argument_of_its_script(
    where: str, name: str, call: ast.Call, is_custody: bool
) -> None:
    header, given = Script(name).header, set[str]()
    for keyword in call.keywords:
        if keyword.arg is not None:
            given.add(keyword.arg)
        else:
            assert isinstance(keyword.value, ast.Call)
            assert isinstance(keyword.value.func, ast.Name)
            given |= NAMED_TOGETHER[keyword.value.func.id]
    assert ("more_keys" in given) == header.more_keys
    # `write` itself takes four arguments before the script's.
    assert (len(call.args) > (4 if is_custody else 0)) == header.more_args
    given -= {"more_keys"}
    assert given | (GIVEN_BY_WRITE if is_custody else set()) == {*header.keys, *header.args}


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_behind_the_header_counts_positions(name: str) -> None:
    text = files()[name].read_text(encoding="utf-8")
    head, _, body = text.partition("\n\n")
    assert not re.search(r"(KEYS|ARGV)\[\d", body)
    assert head.startswith("-- ")
    for local in (*Script(name).header.keys, *Script(name).header.args):
        used = re.search(rf"\b{local}\b", body) or any(
            re.search(rf"\b{local}\b", files()[f"_{part}"].read_text(encoding="utf-8"))
            for part in Script(name).header.uses
        )
        assert used, f"{name}.lua binds {local} and does not use it"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("local a = KEYS[1]\nlocal b = KEYS[3]\n\nreturn 1", "not in its place"),
        ("local a = KEYS[1]\nlocal a = ARGV[1]\n\nreturn 1", "is used twice"),
        ("local a = KEYS[1]\nlocal first_b = 2  -- ARGV[2...]: names\n\nreturn 1", "not in its place"),
        ("-- uses: lease\nlocal lease = KEYS[1]\n\nreturn 1", "need .*lease_value"),
    ],
)
def test_a_header_that_is_wrong_is_a_bug(text: str, fault: str) -> None:
    with pytest.raises(Bug, match=fault):
        Script("test", text=text)


def test_keys_and_arguments_travel_in_the_order_of_the_header() -> None:
    script = Script(
        "test",
        text="local a = KEYS[1]\nlocal b = KEYS[2]\nlocal c = ARGV[1]\nlocal first_d = 2  -- ARGV[2...]: names\n\nreturn 1",
    )
    call = script(3, 4, c=2, b=b"b", a=b"a")
    assert (call.keys, call.args) == ([b"a", b"b"], [2, 3, 4])
    with pytest.raises(Bug, match="needs b"):
        script(a=b"a", c=2)
    with pytest.raises(Bug, match="more than it names"):
        script(a=b"a", b=b"b", c=2, d=1)
    with pytest.raises(Bug, match="more than it names"):
        script(a=b"a", b=b"b", c=2, more_keys=[b"k"])
