"""What the people of a tenant see and do on its page."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

import pytest
from httpx import Response
from redis.asyncio import Redis

from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.errors import SuiteKeyRevoked, TenantRemoved
from relay.http.paths import TENANT
from relay.store.custody.audit import AuditLog
from relay.store.presence.connected import ConnectedSuites, OpenStreams
from relay.store.sealing import notify_secrets
from relay.store.server import keys
from tests.emulator.driver import form
from tests.onboarding.person import ACCOUNT, Person, filled
from tests.onboarding.site import Site
from tests.support.topology import raw_client
from tests.support.waiting import eventually

Meet = Callable[..., Awaitable[Person]]
BEN = "ben@contoso.example"
SUITES = f"{TENANT}/suites"
SETTINGS = f"{TENANT}/settings"


@pytest.fixture
async def admin(site: Site, person: Person) -> Person:
    """Contoso is connected, and its service account is signed in."""
    await person.connect()
    await person.enter_at_once()
    assert person.heading == "Contoso Ltd"
    return person


async def told(site: Site) -> list[str]:
    page = await AuditLog(site.store).page(site.tenant_id())
    return [str(entry.entry.kind) for entry in page.entries]


async def consent(person: Person, form_id: str, account: str) -> None:
    """Go to Microsoft by a form of the page, and come back with somebody's consent."""
    await person.submit(form_id)
    await to_microsoft_and_back(person, account)


async def to_microsoft_and_back(person: Person, account: str) -> None:
    person.page = await person.client.get(person.microsoft_url())
    await person.answer(await person.sign_in(account))


async def post(person: Person, path: str, **values: str) -> None:
    """Send a form of the page's session to an address."""
    _, fields = form(person.page.text, "sign-out")
    person.page = await person.client.post(f"{person.site.url}{path}", data={"token": fields["token"], **values})


# Accounts


async def test_the_overview_says_how_it_fares(admin: Person):
    assert "Connected since" in admin.text
    assert "Change notifications cover 650 users" in admin.text
    assert ACCOUNT in admin.text
    assert "Granted" in admin.text


async def test_a_standby_is_added_replaced_and_withdrawn(admin: Person):
    site = admin.site
    await consent(admin, "add", BEN)
    assert admin.notice == "Account added"
    assert "Change notifications cover 1,300 users" in admin.text
    ben = site.cloud.person(BEN).oid
    await post(admin, f"{TENANT}/accounts/{ben}/replace")
    await to_microsoft_and_back(admin, "chloe@contoso.example")
    assert admin.notice == "The account was replaced"
    assert sorted(grant.upn for grant in await site.vault.list(site.tenant_id())) == ["chloe@contoso.example", ACCOUNT]
    chloe = site.cloud.person("chloe@contoso.example").oid
    await admin.get(f"{TENANT}/accounts/{chloe}/withdraw")
    assert "It is the last account" not in admin.text
    await admin.submit("confirm")
    assert admin.notice == "The account was withdrawn"
    assert [grant.upn for grant in await site.vault.list(site.tenant_id())] == [ACCOUNT]
    withdrawn, *replaced, added = (await told(site))[:4]
    assert (added, sorted(replaced), withdrawn) == (
        "grant-added",
        ["grant-added", "grant-withdrawn"],
        "grant-withdrawn",
    )


async def test_withdrawing_the_last_account_says_what_happens_first(admin: Person):
    site = admin.site
    mine = site.cloud.person(ACCOUNT).oid
    await admin.get(f"{TENANT}/accounts/{mine}/withdraw")
    assert "It is the last account" in admin.text
    assert "suites show every colleague as unknown" in admin.text
    assert "You stay a manager" in admin.text
    await admin.submit("confirm")
    assert await site.vault.list(site.tenant_id()) != []
    await admin.again()
    assert (admin.page.status_code, admin.notice) == (200, "The last account was withdrawn")
    assert await site.vault.list(site.tenant_id()) == []
    assert await site.tenants.load(site.tenant_id()) is not None


async def test_one_button_cures_a_dead_consent_and_nothing_else_changes(admin: Person):
    site, tenant_id = admin.site, admin.site.tenant_id()
    (grant,) = await site.vault.list(tenant_id)
    await site.vault.set_state(tenant_id, grant.account_id, grant.version, GrantState.DEAD, "invalid_grant")
    await site.tenants.happened(tenant_id, TenantEvent.LAST_GRANT_DIED)
    before = await site.suite_keys.list(tenant_id)
    settings = (await site.tenants.load(tenant_id)).settings  # type: ignore[union-attr]
    await admin.get(TENANT)
    assert "No account can read presence any more" in admin.text
    assert "Microsoft no longer accepts this consent" in admin.text
    await consent(admin, "cure", ACCOUNT)
    assert admin.notice == "The account works again"
    assert "No account can read presence any more" not in admin.text
    tenant = await site.tenants.load(tenant_id)
    assert tenant is not None
    assert tenant.state is TenantState.ACTIVE
    assert tenant.settings == settings
    assert await site.suite_keys.list(tenant_id) == before
    (cured,) = await site.vault.list(tenant_id)
    assert (cured.state, cured.created) == (GrantState.HEALTHY, grant.created)


async def test_a_cure_by_an_account_of_another_tenant_is_refused(admin: Person):
    site = admin.site
    before = await site.vault.list(site.tenant_id())
    await consent(admin, "add", "olga@fabrikam.example")
    assert admin.notice == "That account belongs to another organisation"
    assert "olga@fabrikam.example" in admin.text
    assert await site.vault.list(site.tenant_id()) == before
    assert await site.tenants.load(site.tenant_id("fabrikam.example")) is None


async def test_a_consent_that_was_declined_changes_nothing_and_is_told_once(admin: Person):
    await admin.submit("add")
    admin.page = await admin.client.get(admin.microsoft_url())
    await admin.answer(await admin.sign_in("emma@contoso.example", decision="decline"))
    assert admin.notice == "The permissions were declined"
    await admin.get(TENANT)
    assert admin.notice == ""


async def test_a_consent_is_kept_for_the_session_that_asked_and_only_while_it_lasts(admin: Person, raw: Redis):
    site = admin.site
    page = admin.page
    await admin.submit("add")
    admin.page = await admin.client.get(admin.microsoft_url())
    answer = await admin.sign_in(BEN)
    back, admin.page = admin.page, page
    await admin.submit("sign-out")
    admin.page = back
    await admin.answer(answer)
    assert admin.heading == "Your organisation’s page"
    assert len(await site.vault.list(site.tenant_id())) == 1


async def test_accounts_of_other_tenants_are_unknown(admin: Person, meet: Meet):
    fabrikam = await meet()
    await fabrikam.connect("presence-relay@fabrikam.example", domain="fabrikam.example", organisation="Fabrikam")
    theirs = admin.site.cloud.person("presence-relay@fabrikam.example").oid
    for step in ("replace", "withdraw"):
        await post(admin, f"{TENANT}/accounts/{theirs}/{step}")
        assert admin.notice == "This entry no longer exists"
    for oid in (theirs, "x" * 3000, "../..", "%00"):
        await admin.get(f"{TENANT}/accounts/{oid}/withdraw")
        assert admin.page.status_code in (200, 404)
        assert "Withdraw presence-relay@fabrikam" not in admin.text
    assert len(await admin.site.vault.list(admin.site.tenant_id("fabrikam.example"))) == 1


# Suites


async def make_key(person: Person, label: str = "Reception") -> str:
    await person.get(SUITES)
    await person.submit("new-key", label=label)
    assert str(person.page.url).endswith("/suites/key")
    return person.key


async def test_a_key_is_made_shown_once_and_works(admin: Person):
    site = admin.site
    key = await make_key(admin)
    record = await site.suite_keys.verify(key)
    assert (record.label, record.is_provisional, record.tenant_id) == ("Reception", False, site.tenant_id())
    await admin.get(f"{SUITES}/key")
    assert admin.key == ""
    assert "The suite key was shown" in admin.text
    assert (await told(site))[0] == "key-made"
    await admin.get(SUITES)
    assert f"psk_{record.key_id[:6]}…" in admin.text
    assert record.key_id not in admin.text


async def test_the_page_says_who_is_connected_with_which_program(admin: Person):
    site = admin.site
    record = await site.suite_keys.verify(await make_key(admin))
    await site.suite_keys.touch(record.key_id, "console", "7.2.1")
    await ConnectedSuites(site.store).say("edge-1", {site.tenant_id(): {record.key_id: OpenStreams(1, 1234)}})
    await admin.get(SUITES)
    assert "console 7.2.1" in admin.text
    assert "Last seen now Users watched 1,234" in admin.text


async def test_a_suite_is_renamed(admin: Person):
    record = await admin.site.suite_keys.verify(await make_key(admin))
    await admin.get(SUITES)
    await post(admin, f"{SUITES}/{record.key_id}/rename", label="Milan <b>")
    assert admin.notice == "The suite was renamed"
    assert "Milan <b>" in admin.text
    await post(admin, f"{SUITES}/{record.key_id}/rename", label="bad\nname")
    assert admin.page.status_code == 422


async def test_rotation_gives_a_new_key_now_and_ends_the_old_one_after_the_overlap(admin: Person):
    site = admin.site
    old = await site.suite_keys.verify(await make_key(admin))
    await admin.get(f"{SUITES}/{old.key_id}/rotate")
    assert (await site.suite_keys.list(site.tenant_id()))[-1].expires is None
    await admin.submit("rotate", overlap="3d")
    new = await site.suite_keys.verify(admin.key)
    assert new.label == old.label
    assert "The old key works until" in admin.text
    ending = next(key for key in await site.suite_keys.list(site.tenant_id()) if key.key_id == old.key_id)
    assert ending.expires is not None
    assert timedelta(days=2, hours=23) < ending.expires - new.created <= timedelta(days=3, minutes=1)
    assert (await told(site))[0] == "key-rotated"
    await admin.get(SUITES)
    assert "replaced by another key" in admin.text
    await admin.get(f"{SUITES}/{old.key_id}/rotate")
    assert admin.notice == "This key is already ending"


async def test_an_overlap_that_is_not_offered_rotates_nothing(admin: Person):
    site = admin.site
    old = await site.suite_keys.verify(await make_key(admin))
    for overlap in ("8d", "", "-1", "9" * 5000, "7d\n"):
        await admin.get(f"{SUITES}/{old.key_id}/rotate")
        await admin.submit("rotate", overlap=overlap)
        assert admin.page.status_code == 422
    assert next(key for key in await site.suite_keys.list(site.tenant_id()) if key.key_id == old.key_id).expires is None


async def test_a_key_is_revoked_at_once_after_a_question(admin: Person):
    site, key = admin.site, await make_key(admin)
    record = await site.suite_keys.verify(key)
    await admin.get(f"{SUITES}/{record.key_id}/revoke")
    await site.suite_keys.verify(key)
    await admin.submit("confirm")
    assert admin.notice == "The key was revoked"
    with pytest.raises(SuiteKeyRevoked):
        await site.suite_keys.verify(key)
    assert (await told(site))[0] == "key-revoked"
    await admin.get(SUITES)
    assert "Keys that have ended" in admin.text


async def test_a_lost_key_is_replaced_by_another_and_ends(admin: Person):
    site, lost = admin.site, await make_key(admin)
    await admin.get(f"{SUITES}/key")
    await admin.submit("another-key")
    assert (await site.suite_keys.verify(admin.key)).label == "Reception"
    with pytest.raises(SuiteKeyRevoked):
        await site.suite_keys.verify(lost)


async def test_double_click_and_back_button_make_one_key(admin: Person):
    site = admin.site
    before = len(await site.suite_keys.list(site.tenant_id()))
    await admin.get(SUITES)
    page = admin.page
    action, fields = form(page.text, "new-key")
    url = f"{site.url}{action}"
    answers = await asyncio.gather(*(admin.client.post(url, data={**fields, "label": "Twice"}) for _ in range(4)))
    shown = [found for answer in answers if (found := re.search(r"psk_[0-9a-f]{16}_[\w-]{43}", answer.text))]
    assert len(shown) == 1
    working = [key for key in await site.suite_keys.list(site.tenant_id()) if key.revoked is None]
    assert len(working) == before + 1
    assert (await site.suite_keys.verify(shown[0].group())).label == "Twice"
    # Back, and sent again: the page of the key that was made, and no second one.
    admin.page = page
    await admin.submit("new-key", label="Twice")
    assert "The suite key was shown" in admin.text
    assert len([key for key in await site.suite_keys.list(site.tenant_id()) if key.revoked is None]) == before + 1


async def test_more_keys_than_anybody_needs_are_not_made(admin: Person):
    site = admin.site
    for number in range(99):
        await site.suite_keys.issue(site.tenant_id(), f"suite {number}")
    await admin.get(SUITES)
    await admin.submit("new-key", label="One too many")
    assert admin.notice == "There are too many keys"
    assert len(await site.suite_keys.list(site.tenant_id())) == 100


async def test_a_double_click_does_everything_once(admin: Person):
    site = admin.site
    await consent(admin, "add", BEN)
    record = await site.suite_keys.verify(await make_key(admin))
    _, fields = form(admin.page.text, "sign-out")

    async def twice(path: str, **values: str) -> None:
        data = {**fields, **values}
        answers = await asyncio.gather(*(admin.client.post(f"{site.url}{path}", data=data) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {200}

    await twice(f"{SUITES}/{record.key_id}/rename", label="Milan")
    await twice(f"{SETTINGS}/passing", pass_out_of_office="on", seen="{}")
    await twice(f"{SUITES}/{record.key_id}/revoke")
    await twice(f"{TENANT}/accounts/{site.cloud.person(BEN).oid}/withdraw")
    for kind in ("settings-changed", "key-revoked", "grant-withdrawn"):
        assert (await told(site)).count(kind) == 1, kind
    await twice(f"{TENANT}/leave", domain="contoso.example")
    await admin.get(f"{TENANT}/leave")
    await admin.submit("leave-form", domain="contoso.example")
    await admin.again()
    assert await site.tenants.load(site.tenant_id()) is None


async def test_going_back_and_sending_again_harms_nothing(admin: Person):
    site = admin.site
    record = await site.suite_keys.verify(await make_key(admin))
    await admin.get(f"{SUITES}/{record.key_id}/rotate")
    rotating = admin.page
    await admin.submit("rotate", overlap="1d")
    keys_made = len(await site.suite_keys.list(site.tenant_id()))
    admin.page = rotating
    await admin.submit("rotate", overlap="7d")
    assert "The suite key was shown" in admin.text
    assert len(await site.suite_keys.list(site.tenant_id())) == keys_made
    await admin.get(f"{SUITES}/{record.key_id}/revoke")
    asking = admin.page
    for _ in range(2):
        admin.page = asking
        await admin.submit("confirm")
        assert admin.notice == "The key was revoked"
    assert (await told(site)).count("key-revoked") == 1


async def test_a_refusal_on_a_tenants_page_leads_back_to_it(admin: Person):
    await post(admin, f"{SUITES}/new", token="x" * 43, label="x")
    assert admin.page.status_code == 403
    assert f'href="{TENANT}"' in admin.page.text


async def test_a_page_that_is_fetched_ahead_does_not_use_the_key_up(admin: Person):
    await admin.get(SUITES)
    admin.client.follow_redirects = False
    await admin.submit("new-key", label="Ahead")
    admin.client.follow_redirects = True
    ahead = await admin.client.get(f"{admin.site.url}{SUITES}/key", headers={"sec-purpose": "prefetch"})
    assert "psk_" not in ahead.text
    await admin.get(f"{SUITES}/key")
    assert admin.key


async def test_keys_of_other_tenants_are_unknown(admin: Person, meet: Meet):
    fabrikam = await meet()
    theirs = await fabrikam.connect("presence-relay@fabrikam.example", domain="fabrikam.example")
    record = await admin.site.suite_keys.verify(theirs)
    for step, values in (("rename", {"label": "mine"}), ("rotate", {"overlap": "0"}), ("revoke", {})):
        await admin.get(SUITES)
        await post(admin, f"{SUITES}/{record.key_id}/{step}", **values)
        assert admin.notice == "This entry no longer exists"
    assert await admin.site.suite_keys.verify(theirs) == record


async def test_a_suites_name_is_one_line_that_can_be_seen(admin: Person):
    for label in ("", " ", "x" * 101, "a\x00b", "a\nb", "\u202eevil", "x" * 200_000):
        await admin.get(SUITES)
        await admin.submit("new-key", label=label)
        assert admin.page.status_code in (413, 422)
    assert len(await admin.site.suite_keys.list(admin.site.tenant_id())) == 1


# Settings


async def settings_of(site: Site) -> dict[str, str]:
    tenant = await site.tenants.load(site.tenant_id())
    assert tenant is not None
    return dict(tenant.settings)


async def save(person: Person, group: str, **values: str) -> None:
    """Send a group's form as a browser does, with everything in it."""
    await person.get(SETTINGS)
    await send(person, group, **values)


async def send(person: Person, group: str, **values: str) -> None:
    fields = filled(person.page.text, f"{SETTINGS}/{group}")
    person.page = await person.client.post(f"{person.site.url}{SETTINGS}/{group}", data={**fields, **values})


async def test_free_texts_are_off_until_they_are_turned_on(admin: Person):
    await admin.get(SETTINGS)
    assert "checked" not in admin.page.text
    await save(admin, "passing", pass_status_message="on")
    assert admin.notice == "Saved"
    settings = await settings_of(admin.site)
    assert settings["pass_status_message"] == "on"
    assert settings.keys().isdisjoint({"pass_out_of_office", "pass_names"})
    await save(admin, "passing", pass_names="on")
    assert (await settings_of(admin.site))["pass_names"] == "on"
    assert (await told(admin.site))[0] == "settings-changed"


async def test_whom_suites_may_watch_is_checked_tidied_and_carried_out(admin: Person):
    site = admin.site
    await save(
        admin, "watching", watch_domains="Contoso.example\r\nfabrikam.example", watch_only="", watch_never="Emma@x.de"
    )
    settings = await settings_of(site)
    assert settings["watch_domains"] == "contoso.example\nfabrikam.example"
    assert settings["watch_never"] == "emma@x.de"
    assert await raw_client(site.store).exists(keys.tenant_unenforced(site.tenant_id()))
    await save(admin, "watching", watch_domains="not a domain", watch_only="x y", watch_never="")
    assert admin.page.status_code == 422
    assert "“not” is not a domain such as contoso.com" in admin.text
    assert await settings_of(site) == settings


async def test_rows_of_the_mapping_are_overridden_and_given_back(admin: Person):
    await save(admin, "mapping", **{"map:Away": "OFFLINE", "map:Busy / InACall + OOF": "BUSY"})
    settings = await settings_of(admin.site)
    assert (settings["map:Away"], settings["map:Busy / InACall + OOF"]) == ("OFFLINE", "BUSY")
    await save(admin, "mapping", **{"map:Away": ""})
    settings = await settings_of(admin.site)
    assert "map:Away" not in settings
    assert settings["map:Busy / InACall + OOF"] == "BUSY"
    await save(admin, "mapping", **{"map:Away": "NOTHING"})
    assert admin.page.status_code == 422


async def test_a_row_that_an_operator_spelled_otherwise_is_shown_and_changed(admin: Person):
    site = admin.site
    tenant = await site.tenants.load(site.tenant_id())
    assert tenant is not None
    await site.tenants.put(replace(tenant, settings={**tenant.settings, "map:away": "OFFLINE"}))
    await admin.get(SETTINGS)
    assert admin.page.text.count("selected") >= 1
    await send(admin, "mapping", **{"map:Away": "BUSY"})
    settings = await settings_of(site)
    assert settings["map:Away"] == "BUSY"
    assert "map:away" not in settings


async def test_the_contact_is_changed_and_opens_the_page(admin: Person, meet: Meet):
    ben = await meet()
    await ben.enter_at_once(BEN)
    assert ben.page.status_code == 403
    await save(admin, "contact", contact_name="Ben Brandt", contact_email=BEN, language="it")
    await ben.get(TENANT)
    assert ben.page.status_code == 403, "the contact comes with a sign-in"
    await ben.enter(BEN)
    assert ben.page.status_code == 200
    await save(admin, "contact", contact_email="nobody", language="xx")
    assert admin.page.status_code == 422
    assert (await settings_of(admin.site))["language"] == "it"


async def test_where_to_call_is_checked_and_the_secret_is_never_shown(admin: Person):
    secret = "a-long-random-secret"
    await save(admin, "notifying", notify_url="https://ops.contoso.example/relay", notify_secret=secret)
    kept = (await settings_of(admin.site))["notify_secret"]
    assert secret not in kept
    assert notify_secrets.opened(admin.site.ring, admin.site.tenant_id(), kept) == secret
    await admin.get(SETTINGS)
    assert secret not in admin.page.text
    await save(admin, "notifying", notify_url="https://ops.contoso.example/other", notify_secret="")
    assert (await settings_of(admin.site))["notify_secret"] == kept
    for url in ("http://x.example", "https://", "javascript:alert(1)", "https://u:p@x.example/", "https://[", "x"):
        await save(admin, "notifying", notify_url=url)
        assert admin.page.status_code == 422, url
    await save(admin, "notifying", notify_url="")
    assert not {"notify_url", "notify_secret"} & set(await settings_of(admin.site))
    page = await AuditLog(admin.site.store).page(admin.site.tenant_id())
    assert secret not in str(page)


async def test_two_administrators_at_once_lose_nothing_and_the_second_is_told(admin: Person, meet: Meet):
    site = admin.site
    second = await meet()
    await second.enter("ada@contoso.example")
    for person in (admin, second):
        await person.get(SETTINGS)
    await send(admin, "watching", watch_domains="contoso.example")
    # The second changed another field: both are kept.
    await send(second, "watching", watch_never="emma@contoso.example")
    assert second.notice == "Saved"
    assert (await settings_of(site))["watch_domains"] == "contoso.example"
    for person in (admin, second):
        await person.get(SETTINGS)
    await send(admin, "watching", watch_domains="fabrikam.example")
    await send(second, "watching", watch_domains="litware.example")
    assert second.page.status_code == 409
    assert "Someone else changed these settings" in second.text
    assert "fabrikam.example" in second.text
    assert "litware.example" in second.page.text, "what was typed is not lost"
    assert (await settings_of(site))["watch_domains"] == "fabrikam.example"
    await send(second, "watching")
    assert (await settings_of(site))["watch_domains"] == "litware.example"
    assert (await settings_of(site))["watch_never"] == "emma@contoso.example"


FIELDS = [
    ("watching", "watch_domains"), ("watching", "watch_only"), ("watching", "watch_never"), ("contact", "contact_name"),
    ("contact", "contact_email"), ("contact", "language"), ("notifying", "notify_url"), ("notifying", "notify_secret"),
    ("mapping", "map:Away"), ("watching", "seen"), ("passing", "seen"),
]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\x00\x1b[31m", "\u202e", "x" * 1_000_000, "[" * 50_000, '{"a":1}', "[]"]
)
async def test_whatever_is_typed_is_refused_or_shown_as_text(admin: Person, text: str):
    for group, field in FIELDS:
        before = await settings_of(admin.site)
        await save(admin, group, **{field: text})
        assert admin.page.status_code in (200, 409, 413, 422)
        assert "<script>alert" not in admin.page.text
        after = await settings_of(admin.site)
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        assert set(changed) <= {field}
        assert not any(ord(character) < 32 and character != "\n" for value in changed.values() for character in value)


async def test_other_groups_and_other_settings_cannot_be_set(admin: Person):
    await admin.get(SETTINGS)
    before = await settings_of(admin.site)
    await post(admin, f"{SETTINGS}/nothing", x="1")
    assert admin.page.status_code == 404
    await admin.get(SETTINGS)
    await post(admin, f"{SETTINGS}/passing", state="removed", tenant_id="x")
    assert await settings_of(admin.site) == before


# The log


async def saved_log(person: Person, kind: str) -> Response:
    """Download the log. A download that took long is followed by a pause as long, which a busy machine shows."""

    async def download() -> Response | None:
        saved = await person.client.get(f"{person.site.url}{TENANT}/log/export.{kind}")
        return None if saved.status_code == HTTPStatus.TOO_MANY_REQUESTS else saved

    return await eventually(download)


async def test_the_log_is_shown_and_saved(admin: Person, meet: Meet):
    await make_key(admin, "=cmd|' /C calc'!A0")
    await admin.get(f"{TENANT}/log")
    assert "Suite key made" in admin.text
    assert "Organisation connected" in admin.text
    saved = await saved_log(admin, "csv")
    assert saved.headers["content-disposition"].startswith("attachment; filename=")
    rows = list(csv.DictReader(io.StringIO(saved.text)))
    assert rows[0]["what"] == "key-made"
    assert rows[0]["subject"].startswith("'=")
    lines = (await saved_log(admin, "jsonl")).text.splitlines()
    assert json.loads(lines[0])["what"] == "key-made"
    await admin.get(f"{TENANT}/log/export.exe")
    assert admin.page.status_code == 404
    stranger = await meet()
    await stranger.get(f"{TENANT}/log/export.csv")
    assert stranger.heading == "Your organisation’s page"


async def test_a_cursor_that_is_none_begins_anew(admin: Person):
    for after in ("x", "0-0_0-0", "9" * 5000, "%00"):
        await admin.get(f"{TENANT}/log?after={after}")
        assert admin.page.status_code == 200


# Leaving


async def test_leaving_deletes_everything_and_says_what(admin: Person, raw: Redis):
    site, tenant_id = admin.site, admin.site.tenant_id()
    key = await make_key(admin)
    for typed in ("", "contoso", "fabrikam.example", "x" * 100_000):
        await admin.get(f"{TENANT}/leave")
        await admin.submit("leave-form", domain=typed)
        assert admin.page.status_code == 422
        assert await site.tenants.load(tenant_id) is not None
    await admin.submit("leave-form", domain=" Contoso.example ")
    assert await site.tenants.load(tenant_id) is not None
    await admin.again()
    assert admin.heading == "Contoso Ltd has left"
    assert ACCOUNT in admin.text
    assert "2 suite keys" in admin.text
    assert "Microsoft Entra admin center" in admin.text
    assert "as soon as the relay’s worker runs again" in admin.text, "no worker is there"
    assert await site.tenants.load(tenant_id) is None
    with pytest.raises(TenantRemoved):
        await site.suite_keys.verify(key)
    left = {name.split(b":", 1)[-1] for name in await raw.keys(f"*{tenant_id}*")}
    assert left == set(), "nothing is kept under the tenant's name"
    await site.tenants.has_gone(tenant_id)
    await admin.get(f"{TENANT}/left")
    assert "as soon as the relay’s worker runs again" not in admin.text
    await admin.get(TENANT)
    assert admin.heading == "Contoso Ltd has left"


async def test_somebody_elses_page_after_leaving_says_that_nobody_is_connected(admin: Person, meet: Meet):
    ada = await meet()
    await ada.enter("ada@contoso.example")
    await admin.get(f"{TENANT}/leave")
    await admin.submit("leave-form", domain="contoso.example")
    await admin.again()
    await ada.get(SUITES)
    assert (ada.page.status_code, ada.heading) == (403, "Your organisation is not connected")
    await ada.get(f"{TENANT}/left")
    assert ada.heading == "Your organisation is not connected"


async def test_a_tenant_that_comes_back_begins_with_nothing_of_before(admin: Person):
    old = await make_key(admin)
    await admin.get(f"{TENANT}/leave")
    await admin.submit("leave-form", domain="contoso.example")
    await admin.again()
    await admin.connect()
    with pytest.raises(SuiteKeyRevoked):
        await admin.site.suite_keys.verify(old)
    await admin.get(TENANT)
    assert admin.heading == "Contoso Ltd"


# All forms


FORMS = [
    f"{TENANT}/accounts/add", f"{TENANT}/accounts/x/renew", f"{TENANT}/accounts/x/replace", f"{TENANT}/accounts/x/withdraw",
    f"{SUITES}/new", f"{SUITES}/x/rename", f"{SUITES}/x/rotate", f"{SUITES}/x/revoke", f"{SETTINGS}/passing",
    f"{SETTINGS}/watching", f"{SETTINGS}/mapping", f"{SETTINGS}/contact", f"{SETTINGS}/notifying", f"{TENANT}/leave",
]  # fmt: skip


async def test_a_form_needs_its_session_its_token_and_our_own_page(admin: Person, meet: Meet):
    _, fields = form(admin.page.text, "sign-out")
    before = await raw_client(admin.site.store).hgetall(keys.tenant(admin.site.tenant_id()))
    stranger, ben = await meet(), await meet()
    await ben.enter_at_once(BEN)
    _, bens = form(ben.page.text, "sign-out")
    for path in FORMS:
        url = admin.site.url + path
        await refuses(admin, url, fields)
        answer = await stranger.client.post(url, data=fields)
        assert answer.status_code == 403
        assert "You were signed out" in answer.text
        assert (await ben.client.post(url, data=bens)).status_code == 403
        answer = await admin.client.post(url, content=b"x" * 1_000_000, headers={"content-type": "text/plain"})
        assert answer.status_code in (400, 413)
    assert await raw_client(admin.site.store).hgetall(keys.tenant(admin.site.tenant_id())) == before


async def refuses(admin: Person, url: str, fields: dict[str, str]) -> None:
    for data, headers in (
        ({}, {}),
        ({"token": "x" * 43}, {}),
        (fields, {"origin": "https://evil.example"}),
        (fields, {"origin": "null"}),
        (fields, {"sec-fetch-site": "cross-site"}),
    ):
        answer = await admin.client.post(url, data={**data, "domain": "contoso.example", "label": "x"}, headers=headers)
        assert answer.status_code in (400, 403), headers


async def test_no_page_can_be_framed_stored_or_scripted(admin: Person):
    for path in (TENANT, SUITES, SETTINGS, f"{TENANT}/log", f"{TENANT}/leave"):
        await admin.get(path)
        headers = admin.page.headers
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert " style=" not in admin.page.text
        assert not re.search(r"\son\w+=", admin.page.text)
