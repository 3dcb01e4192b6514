"""Rights of files on Windows, as Windows writes them. Windows itself is not here: these are rules on its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.windows_rights import allows_others, private_list

ME = "S-1-5-21-3623811015-3361044348-30300820-1013"
SOMEBODY = "S-1-5-21-3623811015-3361044348-30300820-1014"
OPENING = [
    "FA",
    "FR",
    "FW",
    "GA",
    "GR",
    "GW",
    "CC",
    "DC",
    "CCDCLCSWRPWPDTLOCR",
    "0x1200a9",
    "0x1f01ff",
    "2032127",
    "WD",
    "WO",
]
HARMLESS = ["RC", "0x100080", "FX", "LO", "SD"]
OTHERS = ["WD", "BU", "AU", "IU", "LS", SOMEBODY, "S-1-1-0"]


@pytest.mark.parametrize(
    "sddl",
    [
        pytest.param(f"O:{ME}D:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;FR;;;{ME})", id="only the account and administrators"),
        pytest.param(f"O:BAG:SYD:P(A;;0x1200a9;;;{ME})", id="administrators own it, the account may read it"),
        pytest.param(f"O:{SOMEBODY}D:(A;;FA;;;{SOMEBODY})(A;;FR;;;{ME})", id="its owner is no other"),
        pytest.param(f"O:{ME}D:P", id="nobody may do anything"),
        pytest.param(
            f"O:{ME}D:(A;OICIIO;FA;;;CO)(A;OICIIO;GR;;;BU)(A;ID;FA;;;BA)", id="for files in a folder, not for itself"
        ),
        pytest.param(f"O:{ME}D:(D;;FA;;;WD)(A;;FA;;;OW)", id="denied to everybody"),
        pytest.param(f"O:{ME}D:(A;;0x100080;;;BU)", id="others see its attributes"),
    ],
)
def test_a_file_for_the_account_only_is_closed(sddl: str):
    assert not allows_others(sddl, ME)


@pytest.mark.parametrize(
    "sddl",
    [
        pytest.param(
            "O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)", id="as a new file below Program Files"
        ),
        pytest.param(
            f"O:{ME}D:AI(A;ID;0x1301bf;;;AU)(A;ID;FA;;;SY)", id="as a new file in a folder at the root of a disk"
        ),
        pytest.param(f"O:{ME}D:NO_ACCESS_CONTROL", id="no list, on a disk without rights"),
        pytest.param(f"O:{ME}", id="no list at all"),
        pytest.param("", id="nothing"),
        pytest.param(f'O:{ME}D:(XA;;FR;;;WD;(@User.clearance >= "3"))', id="others under a condition"),
        pytest.param(f"O:{ME}D:(A;;FR;;;WD", id="cut off"),
        pytest.param(f"O:{ME}D:(A;;??;;;WD)", id="rights that are not known"),
        pytest.param(f"O:{ME}D:(QQ;;FR;;;{ME})", id="an entry that is not known"),
    ],
)
def test_a_file_that_others_can_read_or_that_is_not_understood_is_open(sddl: str):
    assert allows_others(sddl, ME)


@given(st.sampled_from(OTHERS), st.sampled_from(OPENING), st.sampled_from(["", "ID", "OICI"]))
def test_one_entry_more_for_another_opens_a_private_file(other: str, right: str, flags: str):
    private = f"O:{ME}{private_list(ME)}"
    assert not allows_others(private, ME)
    assert allows_others(f"{private}(A;{flags};{right};;;{other})", ME)
    assert not allows_others(f"{private}(D;{flags};{right};;;{other})", ME)
    assert not allows_others(f"{private}(A;{flags}IO;{right};;;{other})", ME)


@given(st.sampled_from(OTHERS), st.sampled_from(HARMLESS))
def test_rights_that_show_no_content_open_nothing(other: str, right: str):
    assert not allows_others(f"O:{ME}{private_list(ME)}(A;;{right};;;{other})", ME)


@given(st.text(alphabet="ODGS:()ADFRXW;-0159xI ", max_size=60))
def test_whatever_the_text_is_it_is_read(sddl: str):
    assert allows_others(sddl, ME) in (True, False)
