"""`entra/deaths.toml` is complete, well formed, and says what was seen of Microsoft's answers."""

from __future__ import annotations

import pytest

from emulator.entra.refusals import ALL_DEATHS, APPLICATION_DEATHS, DEATHS, SURVIVED, TENANT_DEATHS

CODES = {
    50076, 50079, 50072, 50074, 50078, 50158, 50173, 50132, 50133, 50089, 70008, 700082, 70043, 70000, 700084, 65001, 65004,
    90094, 90095, 53003, 53000, 53001, 53002, 50131, 530032, 530035, 53011, 50057, 50034, 51004, 50020, 50014, 50105, 50053,
    90002, 90038, 900432, 900382, 700016, 700011, 500011, 650052, 7000112, 70001, 7000215, 7000222, 70002, 700027, 700030,
    7000218, 54005, 501481, 700005, 50196, 90055, 50033, 90006, 90024, 90033, 90090, 650057, 65005, 650056, 70011,
}  # fmt: skip

# Answers that were published, by Microsoft or by who got them: number -> error, suberror, status.
SEEN = {
    70043: ("invalid_grant", "token_expired", 400),  # https://github.com/nais/device/issues/45
    90033: ("temporarily_unavailable", "", 503),  # https://github.com/Azure/azure-sdk-for-python/issues/14241
    650052: ("invalid_client", "", 400),  # https://github.com/PostHog/posthog/pull/43486
    # https://learn.microsoft.com/entra/msal/dotnet/advanced/client-and-server-throttling
    50196: ("invalid_grant", "", 400),
    53003: ("invalid_grant", "message_only", 400),
    700016: ("unauthorized_client", "", 400),
    7000215: ("invalid_client", "", 401),
    90002: ("invalid_tenant", "", 400),
}


def test_every_documented_refusal_is_there_with_all_that_is_said_of_it() -> None:
    assert {death.code for death in ALL_DEATHS} == CODES
    for death in ALL_DEATHS:
        assert death.name
        assert death.meaning
        assert death.source.startswith("https://")
        assert death.what_to_do.endswith(".")
        assert death.text.endswith(".")
        assert bool(death.kind) == bool(death.whose)


def test_no_two_deaths_share_a_name() -> None:
    kinds = [death.kind for death in ALL_DEATHS if death.kind]
    assert len(kinds) == len(set(kinds)) == len(DEATHS) + len(APPLICATION_DEATHS) + len(TENANT_DEATHS)
    assert not SURVIVED & set(kinds)


@pytest.mark.parametrize("code", sorted(SEEN))
def test_what_was_seen_of_microsofts_answers_is_what_the_file_says(code: int) -> None:
    (death,) = [death for death in ALL_DEATHS if death.code == code]
    assert (death.error, death.suberror, death.status) == SEEN[code]
