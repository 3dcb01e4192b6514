"""The details of gRPC errors, as google.rpc's own code encodes them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from suite.error_details import ErrorDetails, encode_error_details, parse_error_details


def encoded(*details) -> bytes:
    status = Status(code=8, message="Too many")
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status.SerializeToString()


@given(st.text(), st.dictionaries(st.text(), st.text()), st.integers(0, 10**6))
def test_what_google_rpc_encodes_is_read(reason, metadata, seconds):
    info = ErrorInfo(reason=reason, domain="presence.relay", metadata=metadata)
    status = encoded(BadRequest(), info, RetryInfo(retry_delay=Duration(seconds=seconds)))
    expected = ErrorDetails(reason, metadata, timedelta(seconds=seconds))
    assert parse_error_details(status, "presence.relay") == expected


def test_an_error_of_another_domain_has_no_reason_here():
    status = encoded(ErrorInfo(reason="QUOTA", domain="googleapis.com"), RetryInfo())
    assert parse_error_details(status, "presence.relay") == ErrorDetails()


@pytest.mark.parametrize("status", [b"", b"\xff", b"\x18\x01", b"\x1a\x03\x0a\xff\xff", b"\x1a\x02\x12\x05"])
def test_details_that_cannot_be_decoded_are_none(status):
    assert parse_error_details(status, "presence.relay") == ErrorDetails()


@given(st.binary())
def test_no_bytes_raise(status):
    parse_error_details(status, "presence.relay")


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()), st.integers(0, 10**6))
def test_what_is_encoded_here_is_what_google_rpc_reads(message, reason, metadata, seconds):
    delay = timedelta(seconds=seconds)
    status = Status.FromString(encode_error_details(14, message, reason, "presence.relay", metadata, delay))
    info, retry = ErrorInfo(), RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (status.code, status.message) == (14, message)
    assert info == ErrorInfo(reason=reason, domain="presence.relay", metadata=metadata)
    assert retry.retry_delay == Duration(seconds=seconds)
