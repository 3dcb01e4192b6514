"""The core's enums are the wire's."""

from __future__ import annotations

import pytest

from relay.api.presence.v1 import presence_pb2 as api
from relay.core import presence


@pytest.mark.parametrize(
    ("core", "wire", "prefix"),
    [
        (presence.Availability, api.Availability, "AVAILABILITY_"),
        (presence.ConsoleStatus, api.ConsoleStatus, "CONSOLE_STATUS_"),
        (presence.Source, api.Source, "SOURCE_"),
        (presence.Status, api.Status, "STATUS_"),
    ],
)
def test_names_and_numbers_are_those_of_the_wire(core, wire, prefix):
    ours = {member.name: member.value for member in core if member.value != 0}
    theirs = {name.removeprefix(prefix): number for name, number in wire.items() if number != 0}
    assert ours == theirs
