"""Switches for behaviour that Microsoft does not document, or that a test must change; all can be set at any time."""

from __future__ import annotations

import ast
import functools
import inspect
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=600_000)]
Span = tuple[Seconds, Seconds]


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Undocumented or changeable behaviour of the cloud, with its current values."""

    spelling: Literal["pascal", "lower_camel", "third"] = "pascal"
    """The published set of values that is sent: the older pages' (`Busy`/`InACall`), the current page's
    (`inACall`/`busy`), or that of Microsoft's SDKs (`InACall`/`Busy`)."""
    idle_values: bool = True
    """`AvailableIdle` and `BusyIdle` are sent; if not, the base state stays until Offline."""
    sequence_numbers: bool = True
    """Presences carry `sequenceNumber`."""
    unknown_ids: Literal["omit", "refuse_400", "presence_unknown"] = "omit"
    """The answer of a bulk read for an id that is unknown in the tenant."""
    deleted_ids: Literal["as_unknown", "omit", "refuse_400", "presence_unknown"] = "as_unknown"
    """The answer of a bulk read for a deleted person; `as_unknown`: the same as for an unknown id."""
    unlicensed_ids: Literal["omit", "presence_unknown"] = "omit"
    """The answer of a bulk read for a person without a licence for Teams."""
    guest_ids: Literal["omit", "presence_unknown", "refuse_400", "presence"] = "omit"
    """The answer of a bulk read for a guest; `presence`: that of the guest's account in this tenant."""
    duplicate_ids: Literal["once", "repeat", "refuse_400"] = "once"
    """The answer of a bulk read for an id that is named twice."""
    malformed_ids: Literal["refuse_400", "omit"] = "refuse_400"
    """The answer of a bulk read for an id that is not a GUID."""
    empty_ids: Literal["refuse_400", "empty"] = "refuse_400"
    """The answer to a bulk read without ids."""
    too_many_ids: Literal["refuse_400", "refuse_413", "first_650"] = "refuse_400"
    """The answer to a bulk read of more than 650 ids."""
    bulk_page_size: Annotated[int, msgspec.Meta(ge=0, le=650)] = 0
    """Presences on one page of a bulk read, before `@odata.nextLink`; 0: all on one page."""
    unknown_id: Literal["not_found_404", "refuse_400", "presence_unknown"] = "not_found_404"
    """The answer to the read of one presence for an id that is unknown in the tenant."""
    presence_by_upn: Literal["refuse_400", "not_found_404", "read"] = "refuse_400"
    """The answer to a presence path with a UPN in place of the GUID; reported to fail:
    https://github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/2945"""
    presence_select: Literal["refuse_400", "ignore", "honour"] = "refuse_400"
    """The effect of `$select` on a presence; reported to fail:
    https://github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/2945"""
    no_status_message: Literal["null", "absent"] = "null"
    """The value of `statusMessage` when there is none; both have been seen."""
    out_of_office_activity: Literal["when_available", "combined", "never"] = "when_available"
    """The activity of people who are out of office: only of those who are available, as in the state table; of others too, as
    in its `InACall + OOF`; or not at all, as https://github.com/microsoftgraph/microsoft-graph-docs/issues/9179 reports."""
    sequence_form: Literal["letter_and_10_digits", "20_digits", "16_hex"] = "letter_and_10_digits"
    """The form of `sequenceNumber`: as in the published sample, or otherwise sortable as text."""
    work_locations: bool = False
    """Presences have `workLocation`, which the page names but no sample shows."""
    count_bulk_as: Literal["one", "ids"] = "one"
    """The cost of one bulk read against the presence limit."""
    presence_limit: Annotated[int, msgspec.Meta(ge=0)] = 1500
    """Presence requests per application, tenant and window: https://learn.microsoft.com/graph/throttling-limits"""
    presence_window_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """The window of `presence_limit`, in seconds."""
    presence_window: Literal["fixed", "sliding"] = "fixed"
    """The window of `presence_limit`: fixed from the first request on, or sliding."""
    throttled_requests_count: bool = True
    """Throttled requests count against the limits too: "all requests accrue against your usage limits",
    https://learn.microsoft.com/graph/throttling"""
    retry_after: bool = True
    """A 429 has `Retry-After`; some of Graph's services send none."""
    global_limit: Annotated[int, msgspec.Meta(ge=1)] = 130_000
    """Requests of an application in all tenants and 10 s: https://learn.microsoft.com/graph/throttling-limits"""
    resource_units: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Resource units of the directory per application, tenant and 10 s; 0: as published, by the size of the tenant."""
    uncovered_properties: Literal["null", "absent"] = "null"
    """The value of a user's properties that the permissions do not cover."""
    app_user_read_basic: Literal["refuse_403", "admit"] = "refuse_403"
    """The answer to an application without a user that has `User.ReadBasic.All`; reported to be refused:
    https://learn.microsoft.com/answers/questions/6019739"""
    personal_accounts: Literal["refused", "admitted"] = "refused"
    """Personal accounts at `organizations` are refused or may sign in. Microsoft refuses them on its own page; a registration for
    personal accounts too, or an address with `common`, admits them."""
    unverified_publishers: Literal["allowed", "admin_needed"] = "allowed"
    """Users may consent to applications of unverified publishers, or an administrator is needed. Microsoft's risk-based step-up consent stops them
    where it finds a request risky, and when it does is not published:
    https://learn.microsoft.com/entra/identity-platform/publisher-verification-overview"""
    auth_time_claim: Literal["with_max_age", "always", "never"] = "with_max_age"
    """Id tokens have the time of the password (`auth_time`): if the request has `max_age`, as reported of it
    (https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/455), or also without, where the registration has
    the optional claim (https://learn.microsoft.com/entra/identity-platform/optional-claims-reference); `never` is for tests."""
    directory_roles_claim: bool = False
    """Id tokens have directory roles (`wids`), which the registration must request."""
    blocked_sign_in: Literal["redirect", "page"] = "redirect"
    """The place of the error for a person stopped by a policy after the password: at the application, or on a final
    page."""
    strong_authentication_error: Literal["interaction_required", "invalid_grant"] = "interaction_required"
    """The token endpoint's error where a second factor is missing; both have been seen."""
    replayed_code_ends_grant: bool = False
    """Redeeming a code again ends the refresh tokens of the first time, as RFC 6749 advises."""
    graph_token_version: Literal[1, 2] = 1
    """The form of Graph's access tokens; they are of version 1, and applications are not to look into them."""
    access_token_s: Annotated[int, msgspec.Meta(ge=1)] = 3599
    """Lifetime of an access token, in seconds. Microsoft's default is somewhere between 60 and 90 minutes:
    https://learn.microsoft.com/entra/identity-platform/access-tokens#token-lifetime"""
    authorization_code_s: Seconds = 600.0
    """Lifetime of a code, in seconds; "about 10 minutes":
    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow"""
    device_code_s: Seconds = 900.0
    """Lifetime of a device's codes, in seconds: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code"""
    device_code_interval_s: Annotated[int, msgspec.Meta(ge=1)] = 5
    """Seconds between two polls of a device."""
    password_grant: bool = True
    """An account's name and password alone give tokens (ROPC), which tenants and policies can forbid:
    https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc"""
    cae_token_s: Annotated[int, msgspec.Meta(ge=1)] = 100_800
    """Lifetime of an access token for applications with continuous access evaluation, in seconds: "up to 28 hours",
    https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation"""
    extra_fields: bool = False
    """Presences have fields that a reader does not expect, `workLocation` among them."""
    graph_latency_ms: Milliseconds = 0.0
    """Latency of Graph, in milliseconds."""
    token_latency_ms: Milliseconds = 0.0
    """Latency of the token endpoint, in milliseconds."""
    graph_latency_ms_of: dict[str, Milliseconds] = msgspec.field(default_factory=dict)
    """Latency of Graph for single tenants: tenant id -> milliseconds."""
    token_latency_ms_of: dict[str, Milliseconds] = msgspec.field(default_factory=dict)
    """Latency of the token endpoint for single tenants: tenant id -> milliseconds."""
    linger_s: Span = (120.0, 420.0)
    """Minimum and maximum time that the last state stays after everything was switched off, in world seconds. Assumed:
    "a few minutes" is all that is published."""
    idle_s: Span = (240.0, 720.0)
    """Minimum and maximum time that the idle state then stays until Offline, in world seconds. Assumed."""
    inactive_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 300.0
    """Time without a key press until a person at a desktop is Away, in world seconds. Third parties measure about five
    minutes; an older page says fifteen: https://learn.microsoft.com/microsoftteams/presence-admins"""

    # Change notifications

    subscription_scope: Literal["user", "tenant"] = "user"
    """The owner of an application's one presence subscription: each signed-in user, as the page says, or the whole tenant, as
    https://github.com/microsoftgraph/microsoft-graph-docs/issues/16728 reports."""
    second_subscription: Literal["conflict_409", "forbidden_403"] = "conflict_409"
    """The refusal of a second subscription: as reported for presence, or as Microsoft refuses what exceeds a quota."""
    subscription_unknown_ids: Literal["accept", "refuse_400"] = "accept"
    """The answer to a subscription with an id that is unknown in the tenant; reported: deleted accounts make it fail:
    https://github.com/microsoftgraph/msgraph-beta-sdk-dotnet/issues/352"""
    client_state_required: bool = False
    """A subscription needs `clientState`; Microsoft's pages contradict each other."""
    renewal_status: Literal[200, 204] = 200
    """The status of a renewal; 204 without a body is that of the older text."""
    renewal_handshake: bool = False
    """A renewal repeats the handshake with the notification URL."""
    handshake_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    """Time for the handshake with a notification URL, in real seconds."""
    subscription_page_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """Subscriptions on one page of their list."""
    notification_delay_s: Span = (8.0, 60.0)
    """Average and maximum delay of a notification after its change, in world seconds; (0, 0): none.
    "Average less than 10 seconds, maximum 1 minute": https://learn.microsoft.com/graph/change-notifications-overview#latency"""
    notification_gather_ms: Annotated[float, msgspec.Meta(ge=0, le=60_000)] = 20.0
    """Time that a notification waits for others to the same URL, in real milliseconds."""
    notification_items: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """Maximum number of notifications in one POST."""
    notification_content: Literal["documented", "presence"] = "documented"
    """The encrypted content of a rich notification: the documented five fields, or a presence as it is read."""
    notification_sequence_numbers: bool = False
    """The documented content has `sequenceNumber` too."""
    notification_resource: Literal["presence", "user", "filter"] = "presence"
    """The `resource` of a notification: `communications/presences/{id}`, `users/{id}/presence`, or the
    resource that the subscription requested, as https://devblogs.microsoft.com/microsoft365dev/breaking-changes-to-microsoft-graph-presence-and-online-meeting-basic-change-notifications
    announces."""
    validation_token_version: Literal["1.0", "2.0", "mixed"] = "1.0"
    """The form of validation tokens: the documented one, that of Microsoft's Java helper, or one after the other."""
    lifecycle_validation_tokens: bool = False
    """Lifecycle notifications of rich subscriptions have validation tokens; the documented payload has none."""
    unauthorised_notifications: Literal["held", "lost"] = "held"
    """Notifications while the subscription's access token is expired: retried for four hours, as the webhook page
    says, or lost, as the lifecycle page says."""
    reauthorization_lead_s: Seconds = 900.0
    """Time before the end of a token or subscription at which its application gets a request to reauthorise, in world seconds."""
    reauthorization_every_s: Annotated[float, msgspec.Meta(ge=1)] = 900.0
    """Time between two requests to reauthorise, in world seconds."""
    notification_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 3.0
    """Time for the answer to a notification, in real seconds; a slower answer counts as slow."""
    notification_retry_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    """Time for the answer to a repeated notification, in real seconds; a slower answer counts for the drop state."""
    endpoint_scored_after: Annotated[int, msgspec.Meta(ge=0)] = 100
    """Minimum number of answers in ten minutes by which an endpoint is judged; 0: never judged."""

    def changed(self, **changes: Any) -> Switches:
        """Return these switches with some of them changed.

        Raises:
            msgspec.ValidationError: a name or value is invalid; the message names it.
        """
        return msgspec.convert({**msgspec.structs.asdict(self), **changes}, Switches)


class Described(NamedTuple):
    """The description of one switch: its name, its effect, and its JSON Schema."""

    name: str
    about: str
    kind: dict[str, Any]


@functools.cache
def described() -> tuple[Described, ...]:
    """Return every switch with its description, in order: the text below each field of `Switches`."""
    lines = ast.parse(inspect.getsource(Switches)).body[0]
    assert isinstance(lines, ast.ClassDef)
    words: dict[str, str] = {}
    for field, below in zip(lines.body, lines.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            words[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    kinds = msgspec.json.schema(Switches)["$defs"]["Switches"]["properties"]
    return tuple(Described(name, words.get(name, ""), kinds[name]) for name in Switches.__struct_fields__)
