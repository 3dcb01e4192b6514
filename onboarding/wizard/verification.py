"""The verification of a new grant: a background task that writes its progress into the flow.

    "Yes" ──► PROVING, run r ──► a task: users ─► presence ─► push ─► kept ──► DONE
                  │                 │ alive: a key in Redis that is renewed while the task lives
                  ▼                 ▼
    the page reads the flow, and whether the run is alive; a run that is not alive was interrupted and can be retried

Every write of a run requires the flow to be unchanged since the run's last write. So a run stops before it stores anything if
another run, or a person who chose another account meanwhile, has changed the flow.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from onboarding import spans
from onboarding.wizard import flow as flow_module
from onboarding.wizard.admission import RequestsFull
from onboarding.wizard.checks import check
from onboarding.wizard.eligibility import NotInvited, turned_away_failure
from onboarding.wizard.flow import CHECKS, Check, CheckState, FlowFailure, new_verification
from onboarding.wizard.sign_ins import refused
from pages.problems import problem_of
from relay.errors import AccessDenied, ConsentRequired, RelayError, RequestRefused, SourceUnreachable, support_fields
from relay.store.custody.sign_ups import SignUpsFull
from relay.store.custody.turned_away import TurnedAwayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from onboarding.wizard.admission import Admission
    from onboarding.wizard.flow import Flow, PresenceSample, Verification
    from relay.graph.client import GraphClient
    from relay.graph.push.settings import PushSettings
    from relay.store.sealing.short_lived import Flows, KeptFlow

log = structlog.get_logger(__name__)

_LONGEST: Final = timedelta(minutes=2)
"""Time limit of a verification: three reads with their retries, and a subscription that Graph validates by a request to us."""


class _Superseded(Exception):
    """Another request changed the flow, so this run stops."""


class VerificationRunner:
    """Runs verifications in this process; a context manager that cancels those in progress on exit.

    Attributes:
        heartbeat_timeout: time without a heartbeat after which a run counts as dead: the delay after a process was killed.
    """

    def __init__(
        self,
        client: GraphClient,
        flows: Flows,
        admission: Admission,
        push: PushSettings | None,
        heartbeat_timeout: timedelta,
    ) -> None:
        self.heartbeat_timeout = heartbeat_timeout
        self._client = client
        self._flows = flows
        self._admission = admission
        self._push = push
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> VerificationRunner:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(self, flow: Flow, kept: KeptFlow) -> None:
        """Begin a verification of the flow's consent, unless another request began one first."""
        flow = msgspec.structs.replace(flow, verification=new_verification(), failure=None)
        assert flow.verification is not None
        name = _name(flow, flow.verification)
        await self._flows.put(name, "", self.heartbeat_timeout)  # alive before any reader can see it
        replaced = await self._flows.replace(kept, flow_module.encode(flow))
        if replaced is None:
            return
        task = asyncio.create_task(self._run(_Run(self._flows, flow, replaced)), name=f"verification:{flow.reference}")
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def is_alive(self, flow: Flow) -> bool:
        """Return whether the flow's verification is running, here or in another process."""
        if flow.verification is None:
            return False
        name = _name(flow, flow.verification)
        # A process that is too busy to renew its heartbeat still knows its own tasks.
        return name in self._tasks or await self._flows.is_kept(name)

    async def _run(self, run: _Run) -> None:
        try:
            async with self._heartbeat(run.flow):
                with spans.step(run.flow.trace, "verify") as span:
                    await self._try(run)
                    spans.note_outcome(span, run.flow.failure)
        except _Superseded:
            log.info("verification_superseded", reference=run.flow.reference)
        except RelayError as error:
            # The result could not be written. The heartbeat expires, and the page offers to try again.
            log.warning(
                "verification_interrupted", reference=run.flow.reference, error=str(error), **support_fields(error)
            )
        except Exception:
            log.exception("verification_failed", reference=run.flow.reference)

    async def _try(self, run: _Run) -> None:
        flow, consented = run.flow, run.flow.consented
        assert consented is not None
        try:
            async with asyncio.timeout(_LONGEST.total_seconds()):
                grant = await check(self._client, consented, self._push, run.record)
            await self._admission.admit(run.flow, run.kept, grant)
        except ConsentRequired as error:
            await run.fail(refused(error), keeps_consent=False)
        except (AccessDenied, RequestRefused):
            await run.fail(FlowFailure("proof_refused"), keeps_consent=False)
        except TurnedAwayError as away:
            await run.fail(turned_away_failure(away.mark), keeps_consent=False)
        except NotInvited:
            await run.fail(FlowFailure("not_invited"), keeps_consent=False)
        except SignUpsFull:
            await run.fail(FlowFailure("sign_up_limit_reached"), keeps_consent=False)
        except TimeoutError:
            await run.fail(FlowFailure(problem_of(SourceUnreachable(""))), keeps_consent=True)
        except RequestsFull:
            await run.fail(FlowFailure("requests_full"), keeps_consent=False)
        except RelayError as error:
            refusal = getattr(error, "refusal", None)
            failure = FlowFailure(problem_of(error)) if refusal is None else refused(error, problem_of(error))
            log.warning(
                "verification_postponed",
                reference=flow.reference,
                problem=failure.problem,
                error=str(error),
                **support_fields(error),
            )
            await run.fail(failure, keeps_consent=True)

    @asynccontextmanager
    async def _heartbeat(self, flow: Flow) -> AsyncIterator[None]:
        assert flow.verification is not None
        name = _name(flow, flow.verification)
        task = asyncio.create_task(self._send_heartbeats(name), name=f"{name}:life")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _send_heartbeats(self, name: str) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_timeout.total_seconds() / 4)
            with suppress(RelayError):
                await self._flows.keep(name, self.heartbeat_timeout)


class _Run:
    """One run, and the flow as the run last wrote it."""

    def __init__(self, flows: Flows, flow: Flow, kept: KeptFlow) -> None:
        self._flows = flows
        self.flow = flow
        self.kept = kept

    async def record(self, check: Check, shown: tuple[PresenceSample, ...]) -> None:
        """Write the result of a check, and the start of the next one."""
        assert self.flow.verification is not None
        verification = self.flow.verification.with_check(check)
        following = CHECKS[CHECKS.index(check.name) + 1 :][:1]
        for name in following:
            verification = verification.with_check(Check(name, CheckState.RUNNING))
        await self._write(
            msgspec.structs.replace(self.flow, verification=msgspec.structs.replace(verification, samples=shown))
        )

    async def fail(self, failure: FlowFailure, *, keeps_consent: bool) -> None:
        """Write that the verification failed."""
        assert self.flow.verification is not None
        consented = self.flow.consented if keeps_consent else None
        log.info("verification_refused", reference=self.flow.reference, problem=failure.problem)
        failed = msgspec.structs.replace(
            self.flow, verification=self.flow.verification.failed(), failure=failure, consented=consented
        )
        await self._write(failed)

    async def _write(self, flow: Flow) -> None:
        replaced = await self._flows.replace(self.kept, flow_module.encode(flow))
        if replaced is None:
            raise _Superseded
        self.flow, self.kept = flow, replaced


def _name(flow: Flow, verification: Verification) -> str:
    return f"verification:{flow.flow_id}:{verification.run}"
