"""Switches for what Microsoft does not document, or what a test wants otherwise; all can be changed at any time."""

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
    """The cloud's open questions and their answers for now."""

    spelling: Literal["pascal", "lower_camel", "third"] = "pascal"
    """Which of the three published sets of values is sent: the older pages' (`Busy`/`InACall`), the current page's
    (`inACall`/`busy`), or that of Microsoft's SDKs (`InACall`/`Busy`)."""
    idle_values: bool = True
    """Whether `AvailableIdle` and `BusyIdle` are still sent; if not, the base state stays until Offline."""
    sequence_numbers: bool = True
    """Whether presences carry `sequenceNumber`."""
    unknown_ids: Literal["omit", "refuse_400", "presence_unknown"] = "omit"
    """What a bulk read says of an id that is nobody's in the tenant."""
    deleted_ids: Literal["as_unknown", "omit", "refuse_400", "presence_unknown"] = "as_unknown"
    """What a bulk read says of somebody who was deleted; `as_unknown`: as of an id that never was anybody's."""
    unlicensed_ids: Literal["omit", "presence_unknown"] = "omit"
    """What a bulk read says of a person without a licence for Teams."""
    guest_ids: Literal["omit", "presence_unknown", "refuse_400", "presence"] = "omit"
    """What a bulk read says of a guest; `presence`: what the guest's account in this tenant shows."""
    duplicate_ids: Literal["once", "repeat", "refuse_400"] = "once"
    """What a bulk read does with an id that is named twice."""
    malformed_ids: Literal["refuse_400", "omit"] = "refuse_400"
    """What a bulk read does with an id that is no GUID."""
    empty_ids: Literal["refuse_400", "empty"] = "refuse_400"
    """What a bulk read without ids is answered with."""
    too_many_ids: Literal["refuse_400", "refuse_413", "first_650"] = "refuse_400"
    """What a bulk read of more than 650 ids is answered with."""
    bulk_page_size: Annotated[int, msgspec.Meta(ge=0, le=650)] = 0
    """After how many presences a bulk read goes on behind `@odata.nextLink`; 0: never."""
    unknown_id: Literal["not_found_404", "refuse_400", "presence_unknown"] = "not_found_404"
    """What the read of one presence says of an id that is nobody's in the tenant."""
    presence_by_upn: Literal["refuse_400", "not_found_404", "read"] = "refuse_400"
    """What a presence path with a UPN in place of the GUID is answered with; it is reported to fail:
    https://github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/2945"""
    presence_select: Literal["refuse_400", "ignore", "honour"] = "refuse_400"
    """What `$select` does on a presence; it is reported to fail:
    https://github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/2945"""
    no_status_message: Literal["null", "absent"] = "null"
    """What stands for `statusMessage` when there is none; both have been seen."""
    out_of_office_activity: Literal["when_available", "combined", "never"] = "when_available"
    """Whether activity says that somebody is out of office: of who is available, as the state table has it; of others too, as
    in its `InACall + OOF`; or not at all, as https://github.com/microsoftgraph/microsoft-graph-docs/issues/9179 reports."""
    sequence_form: Literal["letter_and_10_digits", "20_digits", "16_hex"] = "letter_and_10_digits"
    """How `sequenceNumber` is written: as in the published sample, or otherwise sortable as text."""
    work_locations: bool = False
    """Whether presences carry `workLocation`, which the page names and no sample shows."""
    count_bulk_as: Literal["one", "ids"] = "one"
    """How much of the presence limit one bulk read uses up."""
    presence_limit: Annotated[int, msgspec.Meta(ge=0)] = 1500
    """Presence requests per application, tenant and window: https://learn.microsoft.com/graph/throttling-limits"""
    presence_window_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """The window of that limit."""
    presence_window: Literal["fixed", "sliding"] = "fixed"
    """Whether the window begins with the first request and then ends, or goes along with the time."""
    throttled_requests_count: bool = True
    """Whether requests that are refused for their number count as well: "all requests accrue against your usage limits",
    https://learn.microsoft.com/graph/throttling"""
    retry_after: bool = True
    """Whether a 429 says when to come back; some of Graph's services do not."""
    global_limit: Annotated[int, msgspec.Meta(ge=1)] = 130_000
    """Requests of an application in all tenants and 10 s: https://learn.microsoft.com/graph/throttling-limits"""
    resource_units: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Resource units of the directory per application, tenant and 10 s; 0: as published, by the size of the tenant."""
    uncovered_properties: Literal["null", "absent"] = "null"
    """What stands for a user's properties that the permissions do not cover."""
    app_user_read_basic: Literal["refuse_403", "admit"] = "refuse_403"
    """What an application by itself may read with `User.ReadBasic.All`. It is reported to be refused:
    https://learn.microsoft.com/answers/questions/6019739"""
    personal_accounts: Literal["refused", "admitted"] = "refused"
    """Whether personal accounts may sign in at `organizations`. Microsoft keeps them on its own page; a registration for
    personal accounts as well, or an address with `common`, lets them through."""
    unverified_publishers: Literal["allowed", "admin_needed"] = "allowed"
    """Whether users may consent to applications of unverified publishers. Microsoft's risk-based step-up consent stops them
    where it finds a request risky, and when it does is not published:
    https://learn.microsoft.com/entra/identity-platform/publisher-verification-overview"""
    auth_time_claim: Literal["with_max_age", "always", "never"] = "with_max_age"
    """When id tokens tell when the password was typed (`auth_time`): when the request has `max_age`, as reported of it
    (https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/455), or also without, where the registration has
    the optional claim (https://learn.microsoft.com/entra/identity-platform/optional-claims-reference); `never` is for trying."""
    directory_roles_claim: bool = False
    """Whether id tokens tell directory roles (`wids`), which the registration must ask for."""
    blocked_sign_in: Literal["redirect", "page"] = "redirect"
    """Where somebody is told whom a policy stops after the password: at the application, or on a page that goes no further."""
    strong_authentication_error: Literal["interaction_required", "invalid_grant"] = "interaction_required"
    """What the token endpoint answers where a second factor is missing; both have been seen."""
    replayed_code_ends_grant: bool = False
    """Whether redeeming a code again ends the refresh tokens of the first time, as RFC 6749 advises."""
    graph_token_version: Literal[1, 2] = 1
    """The form of Graph's access tokens; they are of version 1, and applications are not to look into them."""
    access_token_s: Annotated[int, msgspec.Meta(ge=1)] = 3599
    """How long an access token lives. Microsoft's default is somewhere between 60 and 90 minutes:
    https://learn.microsoft.com/entra/identity-platform/access-tokens#token-lifetime"""
    authorization_code_s: Seconds = 600.0
    """How long a code can be redeemed; "about 10 minutes":
    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow"""
    device_code_s: Seconds = 900.0
    """How long a device's codes can be used: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code"""
    device_code_interval_s: Annotated[int, msgspec.Meta(ge=1)] = 5
    """How often a device may ask whether somebody has signed in."""
    password_grant: bool = True
    """Whether an account's name and password alone give tokens (ROPC), which tenants and policies can forbid:
    https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc"""
    cae_token_s: Annotated[int, msgspec.Meta(ge=1)] = 100_800
    """How long one lives for applications with continuous access evaluation: "up to 28 hours",
    https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation"""
    extra_fields: bool = False
    """Whether presences carry fields that a reader does not expect, `workLocation` among them."""
    graph_latency_ms: Milliseconds = 0.0
    """How long Graph takes for an answer."""
    token_latency_ms: Milliseconds = 0.0
    """How long the token endpoint takes for an answer."""
    graph_latency_ms_of: dict[str, Milliseconds] = msgspec.field(default_factory=dict)
    """The same for single tenants: tenant id -> latency, in place of the general one."""
    token_latency_ms_of: dict[str, Milliseconds] = msgspec.field(default_factory=dict)
    """The same for single tenants: tenant id -> latency, in place of the general one."""
    linger_s: Span = (120.0, 420.0)
    """How long the last state stays after everything was switched off, least and most, in the world's seconds. Assumed:
    "a few minutes" is all that is published."""
    idle_s: Span = (240.0, 720.0)
    """How long the idle state then stays until Offline, least and most, in the world's seconds. Assumed."""
    inactive_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 300.0
    """After how many of the world's seconds without a key pressed a desktop's person is Away. Third parties measure about five
    minutes; an older page says fifteen: https://learn.microsoft.com/microsoftteams/presence-admins"""

    # Change notifications

    subscription_scope: Literal["user", "tenant"] = "user"
    """Who may have one presence subscription an application: each signed-in user, as the page says, or the whole tenant, as
    https://github.com/microsoftgraph/microsoft-graph-docs/issues/16728 reports."""
    second_subscription: Literal["conflict_409", "forbidden_403"] = "conflict_409"
    """How a second one is refused: as reported for presence, or as Microsoft refuses what exceeds a quota."""
    subscription_unknown_ids: Literal["accept", "refuse_400"] = "accept"
    """What a subscription does with an id that is nobody's in the tenant; deleted accounts are reported to make it fail:
    https://github.com/microsoftgraph/msgraph-beta-sdk-dotnet/issues/352"""
    client_state_required: bool = False
    """Whether a subscription needs `clientState`; one of Microsoft's pages says so, another says not."""
    renewal_status: Literal[200, 204] = 200
    """What a renewal is answered with; 204 without a body is the older text's."""
    renewal_handshake: bool = False
    """Whether a renewal asks the notification URL again to prove itself."""
    handshake_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    """How long a notification URL has to prove itself, in real seconds."""
    subscription_page_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """How many subscriptions a page of their list holds."""
    notification_delay_s: Span = (8.0, 60.0)
    """How long after a change its notification is sent, on average and at most, in the world's seconds; (0, 0): at once.
    "Average less than 10 seconds, maximum 1 minute": https://learn.microsoft.com/graph/change-notifications-overview#latency"""
    notification_gather_ms: Annotated[float, msgspec.Meta(ge=0, le=60_000)] = 20.0
    """How long a notification waits for others to the same URL, in real milliseconds."""
    notification_items: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """How many notifications one POST holds at most."""
    notification_content: Literal["documented", "presence"] = "documented"
    """What is encrypted in a rich notification: the documented five fields, or a presence as it is read."""
    notification_sequence_numbers: bool = False
    """Whether the documented content carries `sequenceNumber` as well."""
    notification_resource: Literal["presence", "user", "filter"] = "presence"
    """What a notification calls its `resource`: `communications/presences/{id}`, `users/{id}/presence`, or whatever the
    subscription asked for, as https://devblogs.microsoft.com/microsoft365dev/breaking-changes-to-microsoft-graph-presence-and-online-meeting-basic-change-notifications
    announces."""
    validation_token_version: Literal["1.0", "2.0", "mixed"] = "1.0"
    """The form of validation tokens: the documented one, that of Microsoft's Java helper, or one after the other."""
    lifecycle_validation_tokens: bool = False
    """Whether lifecycle notifications of rich subscriptions carry validation tokens; the documented payload has none."""
    unauthorised_notifications: Literal["held", "lost"] = "held"
    """What becomes of notifications while the subscription's access token is over: tried for four hours, as the webhook page
    says, or lost, as the lifecycle page says."""
    reauthorization_lead_s: Seconds = 900.0
    """How long before the token or the subscription ends its application is asked to reauthorise, in the world's seconds."""
    reauthorization_every_s: Annotated[float, msgspec.Meta(ge=1)] = 900.0
    """How often it is asked again, in the world's seconds."""
    notification_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 3.0
    """How long an endpoint has to answer a notification, in real seconds; an answer that takes longer counts as slow."""
    notification_retry_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    """How long it has when a notification is repeated; an answer that takes longer counts for the drop state."""
    endpoint_scored_after: Annotated[int, msgspec.Meta(ge=0)] = 100
    """How many answers of ten minutes an endpoint is judged by at least; 0: endpoints are never judged."""

    def changed(self, **changes: Any) -> Switches:
        """These switches with some of them set otherwise.

        Raises:
            msgspec.ValidationError: a name or value is none; it says which.
        """
        return msgspec.convert({**msgspec.structs.asdict(self), **changes}, Switches)


class Described(NamedTuple):
    """One switch in words: its name, what it decides, and its JSON Schema."""

    name: str
    about: str
    kind: dict[str, Any]


@functools.cache
def described() -> tuple[Described, ...]:
    """Every switch in words, in order. The words are those below each field of `Switches`."""
    lines = ast.parse(inspect.getsource(Switches)).body[0]
    assert isinstance(lines, ast.ClassDef)
    words: dict[str, str] = {}
    for field, below in zip(lines.body, lines.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            words[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    kinds = msgspec.json.schema(Switches)["$defs"]["Switches"]["properties"]
    return tuple(Described(name, words.get(name, ""), kinds[name]) for name in Switches.__struct_fields__)
