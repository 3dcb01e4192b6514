"""The file of colleagues, as exports and spreadsheets write it: read by line, found by any name, watched."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.agent.settings.reading import MOST_FAULTS
from suite.agent.users.directory import Directory
from suite.agent.users.reading import MOST_BYTES, MOST_COLLEAGUES, Colleague, UsersFile, load_users, read_colleagues
from suite.agent.users.watching import UsersWatch
from suite.chunking import MAX_USERS_A_STREAM

ADA = Colleague(login="ada", upn="ada@contoso.example", sip_uri="ada@pbx.example", extension="1001", voicemail="9001")
BEN = Colleague(login="ben", upn="ben@contoso.example")
HEAD = "login,Teams UPN,SIP URI,first extension,voicemail number\n"
ROW = "ada,ada@contoso.example,sip:ada@pbx.example,1001,9001\n"


def colleagues(text: str) -> tuple[Colleague, ...]:
    found = read_colleagues(text)
    assert found.colleagues is not None
    assert found.faults == ()
    return found.colleagues


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ROW,
        ROW,
        (HEAD + ROW).replace(",", ";"),
        (HEAD + ROW).replace(",", "\t"),
        "sep=;\n" + ROW.replace(",", ";"),
        (HEAD + ROW).replace("\n", "\r\n"),
        "\ufeff" + HEAD + ROW,
        HEAD + '"ada","ada@contoso.example","SIP:ada@pbx.example","=""1001""",9001\n',
        HEAD + " ada , ada@contoso.example , ada@pbx.example , (10) 01 , 90-01 \n",
        "# export of today\n\n" + HEAD + ";;;;\n\n" + ROW,
        "voicemail;Extension;sip;UPN;User\n9001;1001;ada@pbx.example;ada@contoso.example;ada\n",
        HEAD + ROW.rstrip("\n") + ",,,\n",
    ],
)
def test_a_row_is_found_however_the_file_is_laid_out(text: str):
    assert colleagues(text) == (ADA,)


def test_a_colleague_needs_a_login_or_a_upn_only():
    assert colleagues("ben;ben@contoso.example\n") == (BEN,)
    assert colleagues("upn\nben@contoso.example\n") == (Colleague(upn="ben@contoso.example"),)
    assert Colleague(upn="ben@contoso.example").id == "ben@contoso.example"


def test_quotes_keep_a_separator_and_quotes():
    assert colleagues('login;upn\n"o\'neill; ""pat""";pat@contoso.example\n')[0].login == 'o\'neill; "pat"'


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",,,1001,", "neither a login nor a UPN"),
        ("ada,ada.contoso.example,,,", "name@domain"),
        ("ada,ada@contoso.example,sip:ada,,", "sip:name@domain"),
        ("ada,ada@contoso.example,,4.9E+11,", "digits only"),
        ("ada,ada@contoso.example,,,٣٣", "digits only"),
        ('ada,"ada@contoso.example,,,', "quotes"),
        ("ada,ada@contoso.example,,,,,too much", "7 cells"),
        ("ben,other@contoso.example,,,", "line 2"),
        ("a" * 600 + ",ada@contoso.example,,,", "512"),
        ("ada\0,ada@contoso.example,,,", "printed"),
        ('"' + "a" * 200_000 + '",ada@contoso.example,,,', "too long"),
    ],
)
def test_a_wrong_row_is_told_by_its_line_and_costs_no_other(row: str, words: str):
    found = read_colleagues(f"{HEAD}ben,ben@contoso.example,,,\n{row}\neve,eve@contoso.example,,,\n")
    assert found.colleagues is not None
    assert [one.login for one in found.colleagues] == ["ben", "eve"]
    assert [(fault.line, words in fault.text, fault.breaks) for fault in found.faults] == [(3, True, False)]


def test_titles_that_are_not_known_or_doubled_are_told():
    found = read_colleagues("login;department;UPN;upn\nada;sales;x@x.org;ada@contoso.example\n")
    assert found.colleagues == (Colleague(login="ada", upn="ada@contoso.example"),)
    assert [fault.line for fault in found.faults] == [1, 1]


def test_a_file_without_a_good_row_cannot_be_used_and_is_told_in_bounded_words():
    found = read_colleagues(HEAD + "ada,nonsense,,,\n" * 5_000)
    assert found.colleagues is None
    assert len(found.faults) == MOST_FAULTS + 2


@settings(max_examples=40)
@given(st.text(alphabet=st.one_of(st.sampled_from(",;\t\"'\r\n\0=@a1"), st.characters()), max_size=80))
def test_no_text_is_refused(text: str):
    found = read_colleagues(text)
    assert all(one.id for one in found.colleagues or ())


def test_more_colleagues_than_a_stream_may_watch_are_refused():
    """A file of 1,000,000 rows is not read beyond the first row too many."""
    assert MOST_COLLEAGUES == MAX_USERS_A_STREAM
    rows = "".join(f"u{number}\n" for number in range(1_001)) + "x,y,z,z,z,z,z\n" * 999_000
    tracemalloc.start()
    found = read_colleagues(rows, most=1_000)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.colleagues, [fault.line for fault in found.faults]) == (None, [1_001])
    assert peak_bytes < len(rows) / 4


def test_a_file_that_is_too_large_damaged_or_missing_is_told(tmp_path: Path):
    file = tmp_path / "users.csv"
    assert load_users(file).colleagues is None
    with file.open("wb") as sparse:
        sparse.truncate(MOST_BYTES + 1)
    assert "too large" in load_users(file).faults[0].text
    file.write_bytes("ada".encode("utf-16")[:-1])
    assert load_users(file).colleagues is None
    file.write_bytes("login;upn\nJürgen;j@x.org".encode("cp1252"))
    assert load_users(file) == UsersFile(colleagues=(Colleague(login="Jürgen", upn="j@x.org"),))


def test_a_colleague_is_found_by_every_name_in_any_case():
    shared = Colleague(login="1001", extension="1001")
    directory = Directory([ADA, BEN, shared])
    for name in ("ADA", "ada@Contoso.example", "sip:ada@pbx.example", "SIP:ADA@PBX.example"):
        assert directory.find(name) is ADA
    assert directory.find("1001") is shared  # a login counts before another's extension
    assert directory.find("9001") is None
    assert (len(directory), list(directory)) == (3, [ADA, BEN, shared])


def test_a_new_version_of_the_file_is_noticed_once_it_stays_as_it_is(tmp_path: Path):
    file = tmp_path / "users.csv"
    file.write_text(HEAD + ROW)
    watch = UsersWatch(file)
    assert watch.load().colleagues == (ADA,)

    def become(text: str) -> UsersFile | None:
        file.write_text(text)
        assert watch.look() is None
        return watch.look()

    assert become(HEAD + "ben,ben@contoso.example,,,\n") == UsersFile(colleagues=(BEN,))
    assert watch.look() is None
    emptied = become(HEAD)
    assert emptied is not None
    assert emptied.colleagues is None
    file.unlink()
    watch.look()
    gone = watch.look()
    assert gone is not None
    assert gone.colleagues is None
