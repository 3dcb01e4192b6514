"""Rules of the image that need no build: `make image` builds it and tries it."""

from __future__ import annotations

import re

import pytest

from deploy.image import architectures
from tests.chart.engine import ROOT

CONTAINERFILE = (ROOT / "Containerfile").read_text()


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", CONTAINERFILE, re.MULTILINE)


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "amd64"), ("aarch64", "arm64")])
def test_a_machine_has_the_image_of_its_architecture(machine: str, name: str):
    assert architectures.own(machine).name == name


def test_a_machine_without_wheels_is_told_where_to_build():
    with pytest.raises(SystemExit, match="no image for riscv64: the locks have wheels for x86_64 and aarch64"):
        architectures.own("riscv64")


def test_an_image_for_another_architecture_is_refused_with_the_way_to_one_for_this():
    with pytest.raises(
        SystemExit, match="relay:dev is for amd64, and this machine is arm64: build it here by `make image`"
    ):
        architectures.demand_runnable("amd64", "relay:dev", "aarch64")
    architectures.demand_runnable("arm64", "relay:dev", "aarch64")


def test_the_image_is_made_in_two_stages_whose_base_is_an_argument():
    assert instructions("FROM") == ["${BASE} AS build", "${BASE}"]
    assert instructions("ARG")[0].startswith("BASE=")


def test_the_image_runs_one_command_as_a_user_without_rights_whose_number_kubernetes_sees():
    assert instructions("USER") == ["65532:65532"]
    assert instructions("ENTRYPOINT") == ['["presence-relay"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def test_only_the_relay_its_pages_and_the_suites_command_come_into_the_image():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    code = {line.removeprefix("!") for line in ignored if line.startswith("!") and "." not in line and "/" not in line}
    assert code == {"LICENSE", "relay", "pages", "onboarding", "console", "suite"}


def test_every_package_of_the_image_has_its_hash():
    installs = [line for line in CONTAINERFILE.splitlines() if " install " in line]
    assert installs
    for line in installs:
        assert "--require-hashes" in line or "--no-index --no-deps /wheels/" in line


def test_the_image_says_what_it_is():
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", CONTAINERFILE))
    assert labels >= {"title", "description", "licenses", "version", "revision", "created"}
