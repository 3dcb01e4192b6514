"""Certificates follow their folder, and nothing that is wrong in it takes away what is at hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
import structlog

from relay.graph.push.certificates import Certificates, make

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


@cache
def first() -> bytes:
    return make("first", NOW)


@cache
def second() -> bytes:
    return make("second", NOW + timedelta(days=1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "first.pem").write_bytes(first())
    return tmp_path


def ids(certificates: Certificates) -> list[str]:
    return [one.certificate_id.partition(".")[0] for one in certificates.all()]


def test_a_file_that_comes_is_the_newest_and_the_others_stay(folder: Path):
    certificates = Certificates.load(folder, look_every_s=0)
    (folder / "second.pem").write_bytes(second())
    certificates.reload_if_changed()
    assert certificates.newest.certificate_id.partition(".")[0] == "second"
    assert ids(certificates) == ["first", "second"]


def test_a_file_that_goes_takes_its_key_with_it(folder: Path):
    (folder / "second.pem").write_bytes(second())
    certificates = Certificates.load(folder, look_every_s=0)
    (folder / "first.pem").unlink()
    certificates.reload_if_changed()
    assert ids(certificates) == ["second"]
    assert certificates.of("first") is None


@pytest.mark.parametrize(
    "content", [lambda: b"", lambda: second()[:900], lambda: b"no certificate at all"], ids=["empty", "half", "junk"]
)
def test_with_a_broken_file_what_is_at_hand_stays_and_is_told_once_until_it_is_mended(
    folder: Path, content: Callable[[], bytes]
):
    certificates = Certificates.load(folder, look_every_s=0)
    (folder / "second.pem").write_bytes(content())
    with structlog.testing.capture_logs() as logs:
        certificates.reload_if_changed()
        certificates.reload_if_changed()
    assert [entry["event"] for entry in logs] == ["certificates_unusable"]
    assert "second.pem" in logs[0]["error"]
    assert ids(certificates) == ["first"]
    (folder / "second.pem").write_bytes(second())
    certificates.reload_if_changed()
    assert ids(certificates) == ["first", "second"]


def test_a_folder_that_is_emptied_or_gone_takes_nothing_away(folder: Path):
    certificates = Certificates.load(folder, look_every_s=0)
    (folder / "first.pem").unlink()
    certificates.reload_if_changed()
    folder.rmdir()
    certificates.reload_if_changed()
    assert ids(certificates) == ["first"]


def test_what_kubernetes_mounts_is_followed_when_it_is_exchanged(tmp_path: Path):
    for version, content in (("1", {"first": first()}), ("2", {"first": first(), "second": second()})):
        (tmp_path / f"..{version}").mkdir()
        for name, pem in content.items():
            (tmp_path / f"..{version}" / f"{name}.pem").write_bytes(pem)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "first.pem").symlink_to("..data/first.pem")
    certificates = Certificates.load(tmp_path, look_every_s=0)
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    (tmp_path / "second.pem").symlink_to("..data/second.pem")
    certificates.reload_if_changed()
    assert ids(certificates) == ["first", "second"]


def test_the_folder_is_not_looked_at_for_every_tenant_and_every_notification(folder: Path):
    certificates = Certificates.load(folder)
    (folder / "second.pem").write_bytes(second())
    certificates.reload_if_changed()
    certificates.reload_if_changed(is_urgent=True)
    assert ids(certificates) == ["first"]
