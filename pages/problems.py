"""The problems that pages can show: what happened, and what to do next.

Pages add Microsoft's error text where it has more detail. They never show texts of exceptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.core.consent.microsoft_error import NO_ERROR, MicrosoftError
from relay.errors import CredentialRejected, NotSaved, RelayError, Retryable, StoreUnavailable
from relay.graph.auth.consent import ConsentProblem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem.

    Attributes:
        title: what happened, in a few words.
        text: what happened.
        remedy: what to do next.
        status: the HTTP status of a page that shows nothing else.
        shows_detail: whether the page also shows Microsoft's error text.
    """

    title: str
    text: str
    remedy: str
    status: int = 400
    shows_detail: bool = False


class ProblemError(Exception):
    """Ends a request with a problem page.

    Attributes:
        problem: a key of `PROBLEMS`.
        flow_id: the flow that the page links back to; empty: the first page.
        retry_after_s: seconds until a retry makes sense, if known.
        sentence: the meaning of Microsoft's refusal, a message; empty if there was none.
        said: Microsoft's error text.
    """

    def __init__(
        self,
        problem: str,
        flow_id: str = "",
        retry_after_s: int = 0,
        *,
        sentence: str = "",
        said: MicrosoftError = NO_ERROR,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.flow_id = flow_id
        self.retry_after_s = retry_after_s
        self.sentence = sentence
        self.said = said

    @classmethod
    def from_error(cls, error: RelayError, flow_id: str = "") -> Self:
        """Return the problem page of a relay error."""
        return cls(problem_of(error), flow_id, sentence=sentence_of(error), said=microsoft_error_of(error))


def problem_of(error: RelayError) -> str:
    """Return the key of the problem that pages show for a relay error."""
    if isinstance(error, StoreUnavailable):
        return "store_away"
    if isinstance(error, NotSaved):
        return "not_saved"
    if isinstance(error, Retryable):
        return "microsoft_away"
    return "credential" if isinstance(error, CredentialRejected) else "fault"


def sentence_of(error: RelayError) -> str:
    """Return the meaning of Microsoft's refusal behind an error, a message; empty when there is none."""
    refusal = getattr(error, "refusal", None)
    return "" if refusal is None else refusal.sentence


def microsoft_error_of(error: RelayError) -> MicrosoftError:
    """Return Microsoft's error behind a relay error."""
    refusal = getattr(error, "refusal", None)
    return NO_ERROR if refusal is None else refusal.said


OF_CONSENT: Final[Mapping[ConsentProblem, str]] = {
    ConsentProblem.DECLINED: "declined",
    ConsentProblem.ADMIN_NEEDED: "admin_needed",
    ConsentProblem.APPROVAL_ASKED: "approval_asked",
    ConsentProblem.NOT_OURS: "sign_in_stale",
    ConsentProblem.PERSONAL_ACCOUNT: "personal_account",
    ConsentProblem.OTHER_TENANT: "other_tenant",
    ConsentProblem.PERMISSIONS_MISSING: "permissions_missing",
    ConsentProblem.UNTRUSTED: "untrusted",
    ConsentProblem.REFUSED: "refused",
}

PROBLEMS: Final[Mapping[str, Problem]] = {
    # An operator's sign-in to the console
    "no_role": Problem(
        "This account is not an operator’s",
        "You signed in, but the account has no app role or group that gives access to this console.",
        "Ask an administrator of your Entra tenant to assign you the role, then sign in again. Or sign in with another account.",
        403,
        shows_detail=True,
    ),
    "read_only": Problem(
        "You cannot make changes in this console",
        "Your role lets you view this console only. Nothing was changed.",
        "Ask an operator whose role allows changes to do this, or ask an administrator of your Entra tenant for that role.",
        403,
    ),
    "too_many_groups": Problem(
        "Microsoft does not say which groups you are in",
        "The account is in more than 200 groups, so Microsoft leaves them out of its answer.",
        "Ask an administrator of your Entra tenant to assign you the app role instead.",
        403,
        shows_detail=True,
    ),
    "wrong_token": Problem(
        "The token is wrong",
        "The console was started with a different token.",
        "Copy the token again, or open the link that the relay printed when it started.",
        403,
    ),
    "unknown_tenant": Problem(
        "There is no such tenant",
        "No tenant of this relay has this id. It may have left.",
        "Look for it in the list of tenants.",
        404,
    ),
    # Attempts at Microsoft; shown on the page of the step, above the button to try again
    "declined": Problem(
        "The permissions were declined",
        "Microsoft reports that the request was cancelled. Nothing was granted and nothing was stored.",
        "If that was a mistake, sign in again and choose Accept. If you want to ask a colleague first, close this page.",
    ),
    "admin_needed": Problem(
        "An administrator has to agree",
        "Only administrators of your organisation can grant permissions to applications. Nothing was stored.",
        "If you are an administrator, consent for the organisation below. If not, send the link below to an "
        "administrator. Afterwards any account of the organisation can sign in here. You can come back to this page "
        "for 14 days.",
    ),
    "approval_asked": Problem(
        "An administrator has to approve this",
        "Microsoft offers to ask an administrator of your organisation for approval. Nothing was stored.",
        "If you asked for approval, come back to this page with this browser after an administrator has approved it, "
        "and sign in again. You can come back for 14 days. Or send the link below to an administrator.",
    ),
    "sign_in_stale": Problem(
        "This sign-in has expired",
        "Microsoft’s answer was too old, or it had been used already.",
        "Sign in again.",
    ),
    "personal_account": Problem(
        "That was a personal account",
        "Personal Microsoft accounts, such as those of Outlook.com, belong to no organisation, so there are no colleagues "
        "whose presence could be read. Nothing was stored.",
        "Sign in again and choose a work account. If Microsoft does not offer it, choose “Use another account”.",
    ),
    "other_tenant": Problem(
        "That account belongs to another organisation",
        "The account belongs to a different organisation from the one in your form. This also happens to guests: "
        "Microsoft signs a guest in to the organisation that the account comes from. Nothing was stored.",
        "Sign in again with an account of the organisation itself, or start again if the domain in the form is wrong.",
        shows_detail=True,
    ),
    "other_account": Problem(
        "A different account signed in",
        "This action cannot be undone, so Microsoft asked for your password again. A different account signed in. "
        "Nothing was changed.",
        "Try again, and sign in with the account that you are signed in with here.",
        shows_detail=True,
    ),
    "signed_in_before": Problem(
        "Microsoft did not ask for your password again",
        "This action cannot be undone, and Microsoft’s answer is about an earlier sign-in. Nothing was changed.",
        "Try again, and type your password when Microsoft asks for it.",
    ),
    "auth_time_missing": Problem(
        "Microsoft did not send the time of your sign-in",
        "This action cannot be undone, so the relay must know when you signed in. Nothing was changed.",
        "Tell the relay operator: the claim auth_time is missing.",
    ),
    "permissions_missing": Problem(
        "A permission is missing",
        "Microsoft’s consent does not cover everything the relay needs: reading presence, reading the names of users,"
        " and doing so while no one is signed in. Nothing was stored.",
        "Sign in again and accept all permissions. If an administrator chose which ones to grant, ask for all of them.",
        shows_detail=True,
    ),
    "untrusted": Problem(
        "Microsoft’s answer could not be verified",
        "It does not prove who signed in, so we did not use it.",
        "Sign in again. If this happens again, tell the relay operator.",
    ),
    "refused": Problem(
        "Microsoft refused the sign-in",
        "Nothing was stored.",
        "Fix the problem above or choose another account, then sign in again.",
        shows_detail=True,
    ),
    "proof_refused": Problem(
        "Reading presence did not work",
        "Microsoft recorded the consent, but does not let this account read the presence of colleagues. Nothing was stored.",
        "Sign in again with the account of a full member of the organisation. Guests usually cannot see other users.",
    ),
    "requests_full": Problem(
        "There are too many open requests",
        "Your organisation is already connected, and its managers have many open requests. Nothing was stored.",
        "Ask a manager to answer the open requests or to add your account, then come back.",
    ),
    "no_key": Problem(
        "You cannot make another key here",
        "This account is no longer a manager, or the organisation has too many suite keys.",
        "Open your organisation’s page, or ask a manager.",
        403,
    ),
    "interrupted": Problem(
        "The check was interrupted",
        "Our server stopped during the check. Completed steps are not lost.",
        "Try again.",
    ),
    # Separate pages
    "domain_unknown": Problem("", "Microsoft has no organisation with this domain. Check the spelling.", ""),
    "domain_personal": Problem("", "This is a domain of personal accounts. Enter the domain of your organisation.", ""),
    "link_gone": Problem(
        "This link no longer works",
        "It was used before, it has expired, or part of it is missing.",
        "Ask the sender for a new link, or start from the first page with the domain of your organisation.",
        404,
    ),
    "not_invited": Problem(
        "You need an invitation",
        "You can connect an organisation only with an invitation link from the relay operator.",
        "Ask the relay operator for a link. The operator’s name is at the top of this page.",
        403,
    ),
    "turned_away": Problem(
        "Your organisation was not accepted",
        "The relay operator has removed or refused your organisation. Nothing was stored.",
        "If you think this is a mistake, ask the relay operator.",
        403,
        shows_detail=True,
    ),
    "sign_up_limit_reached": Problem(
        "Too many organisations are connecting right now",
        "This relay connects a limited number of organisations at a time. Nothing was stored.",
        "Try again in an hour, or ask the relay operator for an invitation. Invitations do not count towards the limit.",
        503,
    ),
    "unknown_flow": Problem(
        "This page has expired",
        "Each step expires after 15 minutes. You also see this page if you started in another browser.",
        "Start again. It takes a few minutes, and completed steps are not lost.",
        404,
    ),
    "unknown_sign_in": Problem(
        "We do not recognise this sign-in",
        "The sign-in began in another browser, was used before, or took too long.",
        "Go back to your request and sign in again, or start again.",
    ),
    "signed_out": Problem(
        "You were signed out",
        "Your session has expired. Your last step was not carried out.",
        "Sign in and repeat the step.",
        403,
    ),
    "form_stale": Problem(
        "This form is out of date",
        "It was opened too long ago, or sent from another site.",
        "Open the page again and repeat the step.",
        403,
    ),
    "no_cookie": Problem(
        "Your browser did not send our cookie",
        "Without the cookie, we cannot check that you sent the form.",
        "Allow cookies for this site, open the first page again, and repeat the step.",
        400,
    ),
    "bad_request": Problem(
        "We could not read your request", "The request is not one of our forms.", "Go back and send the form again."
    ),
    "too_large": Problem(
        "Your request is too long",
        "The request is far longer than any of our forms.",
        "Go back and shorten what you typed.",
        413,
    ),
    "too_slow": Problem(
        "That took too long",
        "The request did not arrive in time.",
        "Check your connection and try again.",
        408,
    ),
    "too_busy": Problem(
        "The service is busy",
        "Too many forms arrive at once, so yours was not read. Nothing was stored.",
        "Wait a few seconds, then send the form again.",
        503,
    ),
    "exports_already": Problem(
        "Your log is already being saved",
        "The log of one organisation is sent to one browser at a time, with a short pause in between.",
        "Wait until the other file is complete, then try again.",
        429,
    ),
    "exports_full": Problem(
        "Too many logs are being saved",
        "This relay sends only a few logs at a time, so yours has to wait.",
        "Try again in a minute.",
        503,
    ),
    "too_fast": Problem(
        "Wait a moment",
        "There were too many requests from your network within a minute.",
        "Try again in a minute.",
        429,
    ),
    "not_found": Problem("Page not found", "There is no page at this address.", "Start from the first page.", 404),
    "wrong_method": Problem(
        "This address cannot be opened",
        "This address only accepts forms and answers from Microsoft.",
        "Start from the first page.",
        405,
    ),
    "wrong_host": Problem(
        "Wrong address",
        "This server does not have the name that your browser requested.",
        "Use the address that you were given.",
        421,
    ),
    "microsoft_away": Problem(
        "Microsoft does not answer",
        "Microsoft’s service cannot be reached right now, or asks us to wait. Nothing was lost, and nothing was stored.",
        "Try again in a minute.",
        503,
    ),
    "store_away": Problem(
        "The service is not available right now",
        "Our database does not answer.",
        "Try again in a minute. Completed steps are not lost.",
        503,
    ),
    "not_saved": Problem(
        "We could not confirm that this was saved",
        "Our database did not confirm the last step, so do not rely on it yet.",
        "Repeat the step. It is safe to do it twice.",
        503,
    ),
    "credential": Problem(
        "This relay is not set up correctly",
        "Microsoft refuses the relay itself. This is our fault, and you cannot change it.",
        "Tell the relay operator. You can repeat your request afterwards.",
        502,
    ),
    "fault": Problem(
        "Something went wrong here",
        "This is our fault. The relay operator can see it in the log.",
        "Try again in a minute. If it happens again, tell the relay operator.",
        500,
    ),
}
