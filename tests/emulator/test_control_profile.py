"""Profiles: every switch at once, from a file or over HTTP, and back."""

from __future__ import annotations

import ssl
import tomllib
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from emulator import Switches, profile
from emulator.switches import described
from tests.emulator.test_options import said
from tests.emulator.test_program import program

if TYPE_CHECKING:
    from pathlib import Path

    from emulator import Cloud

TOML = {"content-type": "application/toml"}


def toml(**changes: Any) -> str:
    switches = msgspec.to_builtins(Switches().changed(**changes))
    return profile.written(profile.Profile(name="ours", made="2026-11-20", unanswered=["idle_s"], switches=switches))


async def test_a_profile_in_toml_sets_every_switch_and_can_be_read_back(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    cloud.set_switches(presence_limit=3)

    put = await client.put("/_emulator/profile", content=toml(spelling="third", linger_s=[1, 2]), headers=TOML)
    back = await client.get("/_emulator/profile", headers={"accept": "application/toml"})

    assert put.status_code == 200, put.text
    assert (cloud.switches.spelling, cloud.switches.linger_s, cloud.switches.presence_limit) == ("third", (1, 2), 1500)
    assert back.headers["content-type"].startswith("application/toml")
    assert tomllib.loads(back.text) == tomllib.loads(toml(spelling="third", linger_s=[1, 2]))


async def test_a_profile_in_json_is_what_the_present_one_is_shown_as(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(unknown_ids="refuse_400", graph_latency_ms_of={"some-tenant": 5.0})
    shown = (await client.get("/_emulator/profile")).json()
    cloud.reset()

    await client.put("/_emulator/profile", json=shown)

    assert cloud.switches.unknown_ids == "refuse_400"
    assert cloud.switches.graph_latency_ms_of == {"some-tenant": 5.0}


async def test_a_profile_is_called_by_its_name_only_while_its_switches_hold(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    await client.put("/_emulator/profile", content=toml(), headers=TOML)
    loaded = (await client.get("/_emulator/profile")).json()
    cloud.set_switches(idle_values=False)
    changed = (await client.get("/_emulator/profile")).json()

    assert (loaded["name"], changed.get("name", "")) == ("ours", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (toml().replace("spelling =", "speling ="), ["lacks spelling", "does not know speling"]),
        (toml().replace('spelling = "pascal"', 'spelling = "klingon"'), ["klingon", "spelling"]),
        (toml() + "\nmoods = true\n", ["does not know moods"]),
        ("switches = 3", ["switches"]),
        ('colour = "red"\n' + toml(), ["colour"]),
        ("[switches", ["Expected"]),
        ("", ["switches"]),
    ],
)
async def test_profiles_that_do_not_fit_are_refused_by_name_and_change_nothing(
    cloud: Cloud, client: httpx.AsyncClient, text: str, told: list[str]
) -> None:
    before = cloud.switches

    answer = await client.put("/_emulator/profile", content=text, headers=TOML)

    assert answer.status_code == 400
    assert all(word in answer.json()["error"] for word in told), answer.text
    assert cloud.switches == before


async def test_every_switch_is_described(client: httpx.AsyncClient) -> None:
    told = (await client.get("/_emulator/switches/described")).json()["switches"]

    assert [each["name"] for each in told] == list(Switches.__struct_fields__)
    assert all(len(each["about"]) > 20 and each["kind"] for each in told)
    assert [each.name for each in described()] == [each["name"] for each in told]


@pytest.mark.long
async def test_the_program_takes_a_profile_and_changes_to_it(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(toml(spelling="third"))
    arguments = ("--profile", str(file), "--switches", '{"idle_values": false}', "--ca-dir", str(tmp_path / "ca"))
    async with program(*arguments) as (_, ready):
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca" / "ca.pem"))
        async with httpx.AsyncClient(base_url=ready["url"], verify=trust, timeout=20) as client:
            switches = (await client.get("/_emulator/switches")).json()

    assert (switches["spelling"], switches["idle_values"]) == ("third", False)


def test_the_program_says_in_one_line_what_is_wrong_with_a_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "old.toml"
    file.write_text("[switches]\n")
    text = said(["--profile", str(file)], monkeypatch, capsys)

    assert text.startswith(f"emulator: {file}: ")
    assert text.count("\n") == 1
