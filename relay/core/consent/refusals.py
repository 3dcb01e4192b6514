"""Refusals of Entra and Graph in plain words: what each means, and who must act.

Microsoft's contract is `error` (with `suberror`); the AADSTS numbers are "subject to change" and only refine it
(https://learn.microsoft.com/entra/identity-platform/reference-error-codes). So every `error` has a default here, and a
number can make the sentence and the class more exact.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from relay.core.consent.microsoft_error import NO_ERROR, MicrosoftError


class RefusalClass(enum.Enum):
    """The party that must act on a refusal."""

    CONSENT_REQUIRED = enum.auto()
    """A person in the tenant. The grant does not work until then."""
    OURS = enum.auto()
    """The operator of the relay: the credential or registration is wrong, and no tenant is the cause."""
    TEMPORARY = enum.auto()
    """No one: Entra asks us to slow down."""
    UNREACHABLE = enum.auto()
    """No one: Entra has a fault."""
    DENIED = enum.auto()
    """Unknown: Graph accepts the account's token, but answers that the account may not read. Another account may."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The meaning of one refusal.

    Attributes:
        kind: the party that must act.
        sentence: the reason, in plain words for the person who must act.
        code: Microsoft's short name: `error`, or `error/suberror`.
        heals: whether it may end without a new consent, so that the grant is retried from time to time.
        passes: whether it may be over within a minute, so that it is not reported before that.
        by_graph: whether Graph refused a token that Entra had just issued. A new token proves nothing then.
        said: Microsoft's text.
    """

    kind: RefusalClass
    sentence: str
    code: str = ""
    heals: bool = False
    passes: bool = False
    by_graph: bool = False
    said: MicrosoftError = NO_ERROR


def classify(
    error: str, suberror: str = "", error_codes: Collection[int] = (), said: MicrosoftError = NO_ERROR
) -> Refusal:
    """Return the meaning of Entra's refusal. An unknown one counts as a fault of Entra, which never ends a grant."""
    code = f"{error}/{suberror}"[:200] if suberror else error[:200]
    # Some answers have the number only in the text.
    numbered = ((number, _by_number(number)) for number in (*error_codes, said.number))
    meaning = next((row for number, row in numbered if row is not None and _agrees(number, row, error)), None)
    if meaning is None:
        meaning = _BY_SUBERROR.get((error, suberror)) or _BY_ERROR.get(error, _UNKNOWN)
    return replace(meaning, code=code, said=said)


_CONSENT = RefusalClass.CONSENT_REQUIRED
_OURS = RefusalClass.OURS
_TEMPORARY = RefusalClass.TEMPORARY
_UNREACHABLE = RefusalClass.UNREACHABLE


def _by_number(number: int) -> Refusal | None:
    row = _BY_NUMBER.get(number)
    if row is None and any(number in policies for policies in _POLICIES):
        return _BY_NUMBER[_A_POLICY]
    return row


def _agrees(number: int, row: Refusal, error: str) -> bool:
    """Return True if a number may refine the meaning of this `error`.

    `invalid_client` does not end a tenant's consent: when our credential expires, every tenant is refused at once. The
    exception are numbers for something that is missing in one tenant.
    """
    return error != "invalid_client" or number in _LACKING or row.kind is not _CONSENT


_A_POLICY: Final = 53003
_POLICIES: Final = (range(53000, 54000), range(530000, 531000))
"""Numbers of Conditional Access and security policies. Microsoft adds some every year."""

_LACKING: Final = frozenset({650052})
"""A service principal is missing in the tenant; reported with `invalid_client`: https://github.com/PostHog/posthog/pull/43486"""

_UNKNOWN: Final = Refusal(_UNREACHABLE, "Microsoft refused the request for an unknown reason. The relay tries again.")

_BY_ERROR: Final[Mapping[str, Refusal]] = MappingProxyType(
    {
        "invalid_grant": Refusal(_CONSENT, "Microsoft no longer accepts this consent. Consent again."),
        "interaction_required": Refusal(_CONSENT, "Microsoft requires this account to sign in again. Consent again."),
        "login_required": Refusal(_CONSENT, "Microsoft requires this account to sign in again. Consent again."),
        "consent_required": Refusal(_CONSENT, "The organisation's consent is missing. Consent again."),
        "access_denied": Refusal(_CONSENT, "Consent was declined. Try again and accept the permissions."),
        "unauthorized_client": Refusal(
            _CONSENT, "The relay's application is not authorised in this organisation. Consent again.", heals=True
        ),
        "invalid_client": Refusal(_OURS, "Microsoft refuses the relay's own credential: it is wrong or has expired."),
        "invalid_request": Refusal(
            _OURS, "Microsoft cannot process the relay's request. Check the relay's app registration."
        ),
        "invalid_scope": Refusal(_OURS, "The requested permissions do not match the relay's app registration."),
        "invalid_resource": Refusal(
            _OURS, "The relay's app registration refers to a service that Microsoft does not recognise."
        ),
        "unsupported_grant_type": Refusal(_OURS, "Microsoft does not support the relay's token request."),
        "unsupported_response_type": Refusal(_OURS, "Microsoft does not support the relay's consent request."),
        "temporarily_unavailable": Refusal(
            _TEMPORARY, "Microsoft's sign-in service is busy and asks the relay to wait."
        ),
        "slow_down": Refusal(_TEMPORARY, "Microsoft's sign-in service asks the relay to wait."),
        "server_error": Refusal(_UNREACHABLE, "Microsoft's sign-in service has a problem. The relay tries again."),
    }
)

_BY_SUBERROR: Final[Mapping[tuple[str, str], Refusal]] = MappingProxyType(
    {
        ("invalid_grant", "consent_required"): Refusal(
            _CONSENT, "The consent was withdrawn, or was never given. Consent again."
        ),
        ("invalid_grant", "user_password_expired"): Refusal(
            _CONSENT, "The account's password has expired. Renew it and consent again."
        ),
    }
)


def _rows(
    kind: RefusalClass, sentence: str, *numbers: int, heals: bool = False, passes: bool = False
) -> Iterable[tuple[int, Refusal]]:
    return ((number, Refusal(kind, sentence, heals=heals, passes=passes)) for number in numbers)


_BY_NUMBER: Final[Mapping[int, Refusal]] = MappingProxyType(
    dict(
        (
            *_rows(
                _CONSENT,
                "The organisation's multi-factor rules changed, and this account must sign in again. Consent again.",
                *(50072, 50074, 50076, 50078, 50079, 50158),
            ),
            *_rows(
                _CONSENT,
                "An administrator or the account's owner revoked its sessions. Consent again.",
                *(50173,),
            ),
            *_rows(
                _CONSENT,
                "The account's password was changed, which ended its sessions. Consent again.",
                *(50089, 50132, 50133),
            ),
            *_rows(
                _CONSENT,
                "The consent was not used for too long and has expired. Consent again.",
                *(70008, 700082),
            ),
            *_rows(
                _CONSENT,
                "The organisation's sign-in frequency policy ended the consent. Consent again, and exclude this"
                " account from the policy.",
                *(70043,),
            ),
            *_rows(_CONSENT, "Microsoft no longer recognises this consent. Consent again.", 70000),
            *_rows(_CONSENT, "The consent was withdrawn, or was never given. Consent again.", 65001),
            *_rows(_CONSENT, "Consent was declined. Try again and accept the permissions.", 65004),
            *_rows(
                _CONSENT,
                "Only an administrator can consent in this organisation. Ask an administrator to open the onboarding page.",
                *(90094, 90095),
            ),
            *_rows(
                _CONSENT,
                "A Conditional Access or security policy of the organisation blocks this account. Exclude it from"
                " the policy, or consent with another account.",
                *(50131, 53000, 53001, 53002, 53003, 53011, 530032, 530035),
                heals=True,
            ),
            *_rows(
                _CONSENT,
                "The account is disabled. Enable it, or consent with another account.",
                *(50057,),
                heals=True,
            ),
            *_rows(
                _CONSENT,
                "The account does not belong to this organisation any more. Consent with another account.",
                *(50014, 50020, 50034, 51004),
            ),
            *_rows(
                _CONSENT,
                "The organisation requires users to be assigned to the application. Assign this account.",
                *(50105,),
                heals=True,
            ),
            *_rows(
                _CONSENT,
                "The account is locked, or its sign-in came from an address that Microsoft does not trust.",
                # Microsoft's first lock takes a minute: https://learn.microsoft.com/entra/identity/authentication/howto-password-smart-lockout
                *(50053,),
                heals=True,
                passes=True,
            ),
            *_rows(_CONSENT, "Microsoft cannot find this organisation. It may have been deleted.", 90002),
            *_rows(
                _OURS,
                "The organisation is in a different Microsoft cloud from the one that this relay is set up for.",
                *(90038, 900382, 900432),
            ),
            *_rows(
                _CONSENT,
                "The relay's application was removed from the organisation. Consent again.",
                *(500011, 650052, 700011, 700016),
            ),
            *_rows(
                _CONSENT,
                "The relay's application is disabled in the organisation. Enable it.",
                *(70001, 7000112),
                heals=True,
            ),
            *_rows(
                _OURS,
                "Microsoft refuses the relay's own credential: it is wrong or has expired.",
                *(70002, 700027, 700030, 7000215, 7000218, 7000222),
            ),
            *_rows(
                _OURS,
                "Microsoft refuses the relay's credential because the relay's clock differs from Microsoft's: set this"
                " machine's clock (NTP).",
                700024,
            ),
            *_rows(_OURS, "The relay's redirect URI is registered as `spa`; it must be of type `web`.", 700084),
            *_rows(
                _OURS,
                "The requested permissions do not match the relay's app registration.",
                *(65005, 70011, 650056, 650057),
            ),
            *_rows(
                _CONSENT,
                "This sign-in was used already or does not belong to this page. Start again.",
                *(54005, 501481, 700005),
            ),
            *_rows(
                _TEMPORARY, "Microsoft received too many identical requests and asks the relay to wait.", 50196, 90055
            ),
            *_rows(
                _UNREACHABLE,
                "Microsoft's sign-in service has a problem. The relay tries again.",
                *(50033, 90006, 90024, 90033, 90090),
            ),
        )
    )
)
"""AADSTS number -> its meaning, without `code`."""
