"""What is read of a certificate, compared with a library that reads all of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.doctor.certificate import read_certificate

KEY = ec.generate_private_key(ec.SECP256R1())
SOON = dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
LATE = dt.datetime(2050, 1, 1, tzinfo=dt.UTC)
"""From here on, a certificate has another form of time."""


def made(subject: x509.Name, issuer: x509.Name, *extensions: x509.ExtensionType, until: dt.datetime = LATE) -> bytes:
    builder = x509.CertificateBuilder(
        issuer, subject, KEY.public_key(), 7, dt.datetime(1999, 1, 2, tzinfo=dt.UTC), until
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def named(*values: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in values])


NOBODY = x509.Name([])
ADA = named((NameOID.COMMON_NAME, "ada.example.com"))


@pytest.mark.parametrize("until", [SOON, LATE])
def test_names_signer_and_dates(until):
    issuer = named((NameOID.ORGANIZATION_NAME, "Inspections Ltd"), (NameOID.COMMON_NAME, "Prüf CA"))
    names = x509.SubjectAlternativeName(
        [x509.DNSName("relay.example.com"), x509.DNSName("*.example.org"), x509.IPAddress(ipaddress.ip_address("::1"))]
    )
    found = read_certificate(made(ADA, issuer, x509.BasicConstraints(ca=False, path_length=None), names, until=until))
    assert (found.issuer, found.subject) == ("Prüf CA, Inspections Ltd", "ada.example.com")
    assert found.names == ("relay.example.com", "*.example.org", "::1")
    assert (found.not_before, found.not_after) == (dt.datetime(1999, 1, 2, tzinfo=dt.UTC), until)
    assert not found.is_self_signed


def test_a_certificate_without_other_names_is_for_its_common_name():
    assert read_certificate(made(ADA, NOBODY)).names == ("ada.example.com",)


def test_a_certificate_that_says_nothing():
    found = read_certificate(made(NOBODY, NOBODY))
    assert (found.issuer, found.names, found.is_self_signed) == ("nobody", (), True)


def test_a_name_in_letters_of_two_bytes():
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Zürich", _type=_ASN1Type.BMPString)])
    assert read_certificate(made(ADA, issuer)).issuer == "Zürich"


GOOD = trustme.CA().issue_cert("relay.example.com").cert_chain_pems[0].bytes()
DER = x509.load_pem_x509_certificate(GOOD).public_bytes(serialization.Encoding.DER)


@settings(max_examples=150)
@given(at=st.integers(0, len(DER) - 1), byte=st.integers(0, 255), length=st.integers(0, len(DER)))
def test_a_damaged_certificate_is_refused_or_read_and_nothing_else(at, byte, length):
    damaged = (DER[:at] + bytes((byte,)) + DER[at + 1 :])[:length]
    with contextlib.suppress(ValueError):
        read_certificate(damaged)


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x00", b"\x30\x02\x30\x00", b"\x30\x84\xff\xff\xff\xff", b"\x30" * 70_000]
)
def test_what_is_no_certificate_is_refused(data):
    with pytest.raises(ValueError):
        read_certificate(data)
