"""Notifications: opened, checked in the right order, read as a poll's answer is. And the certificates that they need."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from relay.core.presence import Observation, OutOfOffice, UserId
from relay.graph.push.certificates import FORMER_OPENS_FOR, Certificate, Certificates, CertificatesInvalid, make
from relay.graph.push.notifications import NoContent, NotOpened, decrypt_notification
from tests.support.clock import SteppedClock
from tests.webhook import graph

ADA = UserId("aaaaaaaa-0000-4000-8000-000000000001")
NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two certificates, and what else may lie around."""
    found: Path = tmp_path_factory.mktemp("certificates")
    (found / "b-old.pem").write_bytes(make("b-old", NOW - timedelta(days=300)))
    (found / "a-new.pem").write_bytes(make("a-new", NOW))
    (found / "README").write_text("not a certificate")
    (found / "..data").mkdir()
    return found


@pytest.fixture(scope="module")
def certificates(folder: Path) -> Certificates:
    return Certificates.load(folder)


def item(content: bytes, certificate: Certificate, **changes: Any) -> bytes:
    return json.dumps({"encryptedContent": {**graph.encrypted(content, certificate), **changes}}).encode()


def reason(raw: bytes, certificates: Certificates) -> str:
    with pytest.raises(NotOpened) as caught:
        decrypt_notification(raw, certificates)
    return caught.value.reason


@pytest.mark.parametrize("name", ["b-old", "a-new"])
def test_a_notification_is_opened_with_the_certificate_that_it_names(certificates: Certificates, name: str):
    certificate = certificates.of(name)
    assert certificate is not None
    assert decrypt_notification(item(graph.presence(ADA), certificate), certificates) == Observation(
        ADA, "Busy", "InACall"
    )


def test_all_that_a_poll_would_have_read_is_read(certificates: Certificates):
    content = {
        "id": ADA.upper(), "availability": "Available", "activity": "OutOfOffice", "sequenceNumber": "A0129311063",
        "statusMessage": {"message": {"content": "At lunch", "contentType": "text"}},
        "outOfOfficeSettings": {"message": "Away", "isOutOfOffice": True}, "workLocation": None,
    }  # fmt: skip
    found = decrypt_notification(item(json.dumps(content).encode(), certificates.newest), certificates)
    expected = Observation(ADA, "Available", "OutOfOffice", "At lunch", OutOfOffice(True, "Away"), "A0129311063")
    assert found == expected


def test_what_is_not_as_documented_is_read_as_far_as_it_can_be(certificates: Certificates):
    content = b'{"id": "%b", "availability": ["Busy"], "activity": 7, "statusMessage": "\\ud83d"}' % ADA.encode()
    found = decrypt_notification(item(content, certificates.newest), certificates)
    assert (found.user_id, found.availability, found.activity) == (ADA, "Busy", "")


def _flipped(text: str, at: int = 20) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return base64.b64encode(raw).decode()


def test_a_forgery_is_told_by_what_is_wrong_with_it(certificates: Certificates):
    newest = certificates.newest
    good = graph.encrypted(graph.presence(ADA), newest)
    short = {"dataKey": base64.b64encode(newest.private_key.public_key().encrypt(os.urandom(16), graph.OAEP)).decode()}
    forged = {
        "signature": {"dataSignature": _flipped(good["dataSignature"])},
        "signature, data": {"data": _flipped(good["data"])},
        "signature, cut": {"data": good["data"][:32]},
        "signature, empty": {"dataSignature": ""},
        "key": {"dataKey": _flipped(good["dataKey"])},
        "key, short": short,
        "key, none": {"dataKey": ""},
        "thumbprint": {"encryptionCertificateThumbprint": "00" * 20},
        "certificate": {"encryptionCertificateId": "unknown"},
        "certificate, path": {"encryptionCertificateId": "../a-new"},
        "thumbprint, other": {"encryptionCertificateId": "b-old"},
        "malformed": {"data": "not base64!"},
        "malformed, wide": {"dataKey": "ä"},
        "malformed, number": {"data": 7},
        "malformed, long": {"data": "A" * 300_000},
    }
    for name, changes in forged.items():
        raw = json.dumps({"encryptedContent": {**good, **changes}}).encode()
        assert (name, reason(raw, certificates)) == (name, name.partition(",")[0])


def test_padding_is_looked_at_only_behind_a_right_signature(certificates: Certificates):
    content = graph.encrypted(graph.presence(ADA), certificates.newest, pad=False)
    raw = json.dumps({"encryptedContent": content}).encode()
    assert reason(raw, certificates) == "padding"
    raw = json.dumps({"encryptedContent": {**content, "dataSignature": _flipped(content["dataSignature"])}}).encode()
    assert reason(raw, certificates) == "signature"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"id": 7}', b'{"id": "nobody"}', b"\xff", b"[" * 5000])
def test_a_content_of_nobody_is_none(certificates: Certificates, content: bytes):
    assert reason(item(content, certificates.newest), certificates) == "content"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b'{"encryptedContent": {}}', b'{"encryptedContent": 7}'])
def test_what_is_no_notification_is_called_so(certificates: Certificates, raw: bytes):
    assert reason(raw, certificates) == "malformed"


def test_a_basic_notification_says_only_who_changed(certificates: Certificates):
    with pytest.raises(NoContent) as caught:
        decrypt_notification(json.dumps({"resourceData": {"id": ADA.upper()}}).encode(), certificates)
    assert caught.value.user_id == ADA
    for nobody in ({}, {"resourceData": {}}, {"resourceData": {"id": "nobody"}}):
        assert reason(json.dumps(nobody).encode(), certificates) == "content"


# ------------------------------------------------------------------ certificates


def test_the_newest_is_the_one_that_begins_last(certificates: Certificates):
    assert certificates.newest.name == "a-new"
    assert [one.name for one in certificates.all()] == ["b-old", "a-new"]
    assert certificates.of("c") is None


class Rotated:
    """A folder with one file, whose certificate is replaced as cert-manager does it."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock(is_stopped=True)
        self.file = folder / "cert-manager.pem"
        self.file.write_bytes(make("x", NOW))
        self.certificates = Certificates.load(folder, clock=self.clock.monotonic)
        self.former = self.certificates.newest

    def replace(self, content: bytes) -> None:
        self.file.with_suffix(".new").write_bytes(content)
        self.file.with_suffix(".new").replace(self.file)
        self.clock.advance(60)
        self.certificates.reload_if_changed()


@pytest.fixture
def rotated(tmp_path: Path) -> Rotated:
    return Rotated(tmp_path)


def test_another_key_in_the_same_file_is_another_certificate_that_subscriptions_take_at_once(rotated: Rotated):
    rotated.replace(make("x", NOW + timedelta(days=1)))
    newest = rotated.certificates.newest
    assert newest.certificate_id != rotated.former.certificate_id
    assert rotated.certificates.of(rotated.former.certificate_id) is None, "what is not known is renewed at once"
    assert rotated.certificates.of(newest.certificate_id) is newest


def test_notifications_on_their_way_are_opened_with_the_former_key_for_some_minutes(rotated: Rotated):
    raw = item(graph.presence(ADA), rotated.former)
    rotated.replace(make("x", NOW + timedelta(days=1)))
    assert decrypt_notification(raw, rotated.certificates).user_id == ADA
    rotated.clock.advance(FORMER_OPENS_FOR.total_seconds() - 1)
    assert decrypt_notification(raw, rotated.certificates).user_id == ADA
    rotated.clock.advance(1)
    assert reason(raw, rotated.certificates) == "certificate"


def test_a_former_key_is_forgotten_at_the_next_change_after_its_time(rotated: Rotated):
    rotated.replace(make("x", NOW + timedelta(days=1)))
    rotated.clock.advance(FORMER_OPENS_FOR.total_seconds())
    second = rotated.certificates.newest
    rotated.replace(make("x", NOW + timedelta(days=2)))
    assert rotated.certificates.opening(rotated.former.certificate_id) is None
    assert rotated.certificates.opening(second.certificate_id) is second


def test_a_record_of_an_earlier_release_names_a_certificate_without_its_digits(rotated: Rotated):
    assert rotated.certificates.of("cert-manager") is rotated.former


def test_key_and_certificate_may_stand_in_any_order(tmp_path: Path):
    parts = make("x", NOW).split(b"-----BEGIN CERTIFICATE-----")
    (tmp_path / "x.pem").write_bytes(b"Bag Attributes\n-----BEGIN CERTIFICATE-----" + parts[1] + parts[0])
    assert Certificates.load(tmp_path).newest.name == "x"


def _key(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def test_a_folder_that_cannot_be_used_is_told_with_the_file_and_without_the_key(tmp_path: Path):
    good = make("x", NOW)
    certificate = good[good.index(b"-----BEGIN CERT") :]
    faults = {
        "is not the certificate's": _key(rsa.generate_private_key(65537, 2048)) + certificate,
        "2048 to 4096": _key(ec.generate_private_key(ec.SECP256R1())) + certificate,
        "without a password": _key(rsa.generate_private_key(65537, 2048), b"hunter2") + certificate,
        "no certificate": good[: good.index(b"-----BEGIN CERT")],
        "no private key": certificate,
        "has no": b"",
    }
    for said, content in faults.items():
        (tmp_path / "x.pem").write_bytes(content)
        with pytest.raises(CertificatesInvalid, match=said) as caught:
            Certificates.load(tmp_path)
        assert "x.pem" in str(caught.value)
        assert "PRIVATE KEY-----" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "no-folder", "empty"])
def test_a_folder_that_is_none_or_has_none_is_told(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CertificatesInvalid):
        Certificates.load(tmp_path / name)


def test_a_name_that_graph_may_not_like_is_refused(tmp_path: Path):
    (tmp_path / "mein schlüssel.pem").write_bytes(make("x", NOW))
    with pytest.raises(CertificatesInvalid, match="name"):
        Certificates.load(tmp_path)


def test_no_key_shows(certificates: Certificates):
    assert "private" not in repr(certificates.newest)
    assert certificates.newest.public not in repr(replace(certificates.newest))
