"""The proof at work: a task in whichever process was asked, which writes how far it is into the flow.

    "Yes" ──► PROVING, run r ──► a task: users ─► presence ─► push ─► kept ──► DONE
                  │                 │ alive: a key in Redis that is renewed while the task lives
                  ▼                 ▼
    the page reads the flow, and whether the run is alive; one that is not was interrupted, and can be tried again

Every write of a run demands the flow as the run left it. So of two runs, or of a run and somebody who chose another account
meanwhile, one finds out that it is not wanted any more, and stops before anything is kept.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from onboarding.problems import of_error
from onboarding.wizard import flow as flows_of
from onboarding.wizard.admission import RequestsFull
from onboarding.wizard.checks import check
from onboarding.wizard.eligibility import NotInvited, trouble_of
from onboarding.wizard.flow import CHECKS, Check, Mark, Trouble, new_trial
from onboarding.wizard.sign_ins import refused
from relay.errors import AccessDenied, ConsentRequired, RelayError, RequestRefused, SourceUnreachable
from relay.store.custody.sign_ups import SignUpsFull
from relay.store.custody.turned_away import TurnedAwayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from onboarding.wizard.admission import Admission
    from onboarding.wizard.flow import Flow, Shown, Trial
    from relay.graph.client import GraphClient
    from relay.graph.push.settings import PushSettings
    from relay.store.sealing.short_lived import Flows, KeptFlow

log = structlog.get_logger(__name__)

_LONGEST: Final = timedelta(minutes=2)
"""Of a trial: three reads with their repeats, and a subscription that Graph calls us back for."""


class _Superseded(Exception):
    """The flow is not as this run left it."""


class Trials:
    """The trials of this process; a context, which cuts off those under way at its end.

    Attributes:
        alive_for: how long a run counts as alive without a sign of life: what a killed process costs whoever waits.
    """

    def __init__(
        self, client: GraphClient, flows: Flows, admission: Admission, push: PushSettings | None, alive_for: timedelta
    ) -> None:
        self.alive_for = alive_for
        self._client = client
        self._flows = flows
        self._admission = admission
        self._push = push
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Trials:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(self, flow: Flow, kept: KeptFlow) -> None:
        """Begin a trial of the flow's consent. If another was faster, there is nothing to do."""
        flow = msgspec.structs.replace(flow, trial=new_trial(), trouble=None)
        assert flow.trial is not None
        name = _name(flow, flow.trial)
        await self._flows.put(name, "", self.alive_for)  # alive before anybody can see it
        replaced = await self._flows.replace(kept, flows_of.encode(flow))
        if replaced is None:
            return
        task = asyncio.create_task(self._run(_Run(self._flows, flow, replaced)), name=f"trial:{flow.reference}")
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def is_alive(self, flow: Flow) -> bool:
        """Whether somebody is at work on the flow's trial."""
        if flow.trial is None:
            return False
        name = _name(flow, flow.trial)
        # A process that is too busy to show life still knows what it does itself.
        return name in self._tasks or await self._flows.is_kept(name)

    async def _run(self, run: _Run) -> None:
        try:
            async with self._showing_life(run.flow):
                await self._try(run)
        except _Superseded:
            log.info("trial_superseded", reference=run.flow.reference)
        except RelayError as error:
            # It could not be written down. The run's life ends, and the page offers to try again.
            log.warning("trial_interrupted", reference=run.flow.reference, error=str(error))
        except Exception:
            log.exception("trial_failed", reference=run.flow.reference)

    async def _try(self, run: _Run) -> None:
        flow, consented = run.flow, run.flow.consented
        assert consented is not None
        try:
            async with asyncio.timeout(_LONGEST.total_seconds()):
                grant = await check(self._client, consented, self._push, run.tell)
            await self._admission.admit(run.flow, run.kept, grant)
        except ConsentRequired as error:
            await run.fail(refused(error), keeps_consent=False)
        except (AccessDenied, RequestRefused):
            await run.fail(Trouble("proof_refused"), keeps_consent=False)
        except TurnedAwayError as away:
            await run.fail(trouble_of(away.mark), keeps_consent=False)
        except NotInvited:
            await run.fail(Trouble("not_invited"), keeps_consent=False)
        except SignUpsFull:
            await run.fail(Trouble("sign_ups_full"), keeps_consent=False)
        except TimeoutError:
            await run.fail(Trouble(of_error(SourceUnreachable(""))), keeps_consent=True)
        except RequestsFull:
            await run.fail(Trouble("requests_full"), keeps_consent=False)
        except RelayError as error:
            refusal = getattr(error, "refusal", None)
            trouble = Trouble(of_error(error)) if refusal is None else refused(error, of_error(error))
            log.warning("trial_postponed", reference=flow.reference, problem=trouble.problem, error=str(error))
            await run.fail(trouble, keeps_consent=True)

    @asynccontextmanager
    async def _showing_life(self, flow: Flow) -> AsyncIterator[None]:
        assert flow.trial is not None
        name = _name(flow, flow.trial)
        task = asyncio.create_task(self._show_life(name), name=f"{name}:life")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _show_life(self, name: str) -> None:
        while True:
            await asyncio.sleep(self.alive_for.total_seconds() / 4)
            with suppress(RelayError):
                await self._flows.keep(name, self.alive_for)


class _Run:
    """A run and the flow as it left it."""

    def __init__(self, flows: Flows, flow: Flow, kept: KeptFlow) -> None:
        self._flows = flows
        self.flow = flow
        self.kept = kept

    async def tell(self, check: Check, shown: tuple[Shown, ...]) -> None:
        """Write down what came of a check, and that the next one is tried."""
        assert self.flow.trial is not None
        trial = self.flow.trial.marked(check)
        following = CHECKS[CHECKS.index(check.name) + 1 :][:1]
        for name in following:
            trial = trial.marked(Check(name, Mark.RUNNING))
        await self._write(msgspec.structs.replace(self.flow, trial=msgspec.structs.replace(trial, shown=shown)))

    async def fail(self, trouble: Trouble, *, keeps_consent: bool) -> None:
        """Write down that it did not work."""
        assert self.flow.trial is not None
        consented = self.flow.consented if keeps_consent else None
        log.info("grant_not_proven", reference=self.flow.reference, problem=trouble.problem)
        failed = msgspec.structs.replace(
            self.flow, trial=self.flow.trial.stopped(), trouble=trouble, consented=consented
        )
        await self._write(failed)

    async def _write(self, flow: Flow) -> None:
        replaced = await self._flows.replace(self.kept, flows_of.encode(flow))
        if replaced is None:
            raise _Superseded
        self.flow, self.kept = flow, replaced


def _name(flow: Flow, trial: Trial) -> str:
    return f"trial:{flow.flow_id}:{trial.run}"
