"""The protocol: its enums are the code's, its reasons are understood, its names are nobody else's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from presence_api.v1 import error_reason_pb2, presence_pb2, presence_service_pb2
from relay.core import presence
from relay.edge.errors import Busy, wire_error
from suite.channel import Target
from suite.explain import Ending, explain

PROTOS = Path(__file__).parent.parent / "protos"

OTHERS_NAMES = {
    # Grpc.Core and System of .NET, io.grpc and java.lang, which a program of a suite has at hand beside the protocol's.
    *("Status", "StatusCode", "Metadata", "Channel", "Server", "Client", "Context", "Deadline", "Attribute"),
    *(
        "Action",
        "Buffer",
        "Range",
        "Index",
        "Version",
        "Environment",
        "Process",
        "Thread",
        "Object",
        "Record",
        "Module",
    ),
    # What programs themselves, their namespaces and Microsoft's own libraries call things.
    *("Start", "Answer", "Source", "Resolved", "Change", "Presence", "User", "Event", "Message", "Error", "Reason"),
}
"""What no name of the protocol may be where it stands without a message around it."""

TOP_LEVEL = {
    **error_reason_pb2.DESCRIPTOR.enum_types_by_name,
    **{
        name: descriptor
        for file in (presence_pb2.DESCRIPTOR, presence_service_pb2.DESCRIPTOR)
        for found in (file.message_types_by_name, file.enum_types_by_name)
        for name, descriptor in found.items()
    },
}


@pytest.mark.parametrize(
    ("core", "wire", "prefix"),
    [
        (presence.Availability, presence_pb2.Availability, "AVAILABILITY_"),
        (presence.ConsoleStatus, presence_pb2.ConsoleStatus, "CONSOLE_STATUS_"),
        (presence.Source, presence_pb2.PresenceSource, "PRESENCE_SOURCE_"),
        (presence.Status, presence_pb2.UnknownReason, "UNKNOWN_REASON_"),
    ],
)
def test_names_and_numbers_are_those_of_the_wire(core, wire, prefix):
    ours = {member.name: member.value for member in core if member.value != 0}
    theirs = {name.removeprefix(prefix): number for name, number in wire.items() if number != 0}
    assert ours == theirs


def test_no_name_is_a_word_that_languages_and_suites_use_themselves():
    assert not OTHERS_NAMES & TOP_LEVEL.keys()


def test_no_enum_value_can_be_a_macro_of_windows():
    # winnt.h and winerror.h define STATUS_…, ERROR_… and SEVERITY_…; a macro replaces a value whatever it stands in.
    values = [value.name for found in TOP_LEVEL.values() for value in getattr(found, "values", ())]
    assert values
    taken = ("STATUS_", "ERROR_", "SEVERITY_", "SOURCE_")
    assert [name for name in values if name.startswith(taken) and not name.startswith("ERROR_REASON_")] == []


def test_the_protocol_has_one_name_for_languages_that_want_a_domain():
    for file in (error_reason_pb2.DESCRIPTOR, presence_pb2.DESCRIPTOR, presence_service_pb2.DESCRIPTOR):
        options = file.GetOptions()
        assert options.go_package == "presence.relay/api/v1;presencev1"
        assert options.java_package == "relay.presence.api.v1"


def test_the_reason_on_the_wire_is_the_name_in_the_enum():
    reason = wire_error(Busy("Too many")).reason
    assert error_reason_pb2.ErrorReason.Value(reason) == error_reason_pb2.ERROR_REASON_BUSY


@pytest.mark.parametrize("reason", [name for name, number in error_reason_pb2.ErrorReason.items() if number])
def test_the_suite_has_words_of_its_own_for_every_reason(reason):
    target = Target(host="relay.example", port=443, ca_pem=None, server_name=None, proxy=None)
    unheard_of = explain(Ending(grpc.StatusCode.UNKNOWN, reason="ERROR_REASON_UNHEARD_OF"), target)
    assert explain(Ending(grpc.StatusCode.UNKNOWN, reason=reason), target) != unheard_of


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("string upn = 1;", "string name = 1;"),
        ("string upn = 1;", "string upn = 15;"),
        ("  UNKNOWN_REASON_STALE = 10;\n", ""),
        ("OutOfOffice", "Absence"),
        ("presence.relay/api/v1", "presence.relay/api"),
    ],
)
def test_what_was_promised_to_suites_cannot_be_taken_back(tmp_path: Path, before: str, after: str):
    assert "presence.proto" in _broken(tmp_path, before, after)


def test_more_may_be_said_than_was_promised(tmp_path: Path):
    assert _broken(tmp_path, "bool idle = 5;", "bool idle = 5;\n  string more = 999;") == ""


def _broken(folder: Path, before: str, after: str) -> str:
    """What buf finds broken when one text in the protos is another."""
    shutil.copytree(PROTOS, folder, dirs_exist_ok=True)
    file = folder / "relay/api/presence/v1/presence.proto"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    command = [Path(sys.executable).with_name("buf"), "breaking", folder, "--against", PROTOS / "v1.txtpb"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
