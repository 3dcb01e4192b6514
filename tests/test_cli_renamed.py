"""Old spellings of commands work for one release, and standard error names the new spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from relay.cli import app
from relay.commands.renamed import RENAMED, current_spelling


@pytest.mark.parametrize("new", RENAMED.values())
def test_each_new_spelling_is_a_command(new):
    command = typer.main.get_command(app)
    for word in new.split():
        command = command.commands[word]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("keys issue contoso --label a", "suite-keys issue contoso --label a"),
        ("keys ring-new ring.json", "keyring new ring.json"),
        ("keys --help", "suite-keys --help"),
        ("backup file --key k", "backup create file --key k"),
        ("backup --key k file", "backup create --key k file"),
        ("restore file --key k --overwrite", "backup restore file --key k --overwrite"),
        ("restore file --key k --check --overwrite", "backup verify file --key k"),
    ],
)
def test_an_old_spelling_becomes_the_new_one(old, new):
    spelling, _, arguments = current_spelling(old.split())
    assert (" ".join(arguments), old.startswith(spelling.removesuffix(" --check"))) == (new, True)


@pytest.mark.parametrize(
    "command", ["backup", "backup --help", "backup create file", "backup verify file", "tenants list", ""]
)
def test_a_current_spelling_stays(command):
    assert current_spelling(command.split()) == ("", "", command.split())


def test_an_old_spelling_does_its_work_and_names_the_new_one_on_standard_error(tmp_path: Path):
    result = CliRunner().invoke(app, ["keys", "ring-new", str(tmp_path / "ring.json")])
    assert (result.exit_code, (tmp_path / "ring.json").is_file()) == (0, True)
    assert "`keys ring-new` is now `keyring new`" in result.stderr
    assert "is now" not in result.stdout


def test_a_shell_completes_commands_and_roles():
    def completions(words: str) -> str:
        environment = {
            "_PRESENCE_RELAY_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        return CliRunner().invoke(app, [], prog_name="presence-relay", env=environment).output

    assert completions("presence-relay keyr").split() == ["keyring"]
    assert completions("presence-relay keyring re").split() == ["reencrypt", "retire"]
    assert completions("presence-relay serve we").split() == ["webhook", "web"]
