"""Delivers notifications to webhooks: batches them for each URL, posts them, and repeats for up to four hours.

A notification counts as delivered when its POST is answered with 2xx in time. Otherwise the same POST is repeated, with
a doubled pause each time, and later notifications overtake it: stale, repeated and reordered ones are normal.
https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from emulator.notifications.client import JSON
from emulator.notifications.endpoints import Score
from emulator.notifications.items import collection
from emulator.notifications.sent import Sent

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from emulator.clock import Clock
    from emulator.notifications.client import Client, Reply
    from emulator.notifications.faults import NotificationFaults
    from emulator.notifications.sent import Log, Outcome
    from emulator.notifications.subscription import Notice, Target
    from emulator.notifications.tokens import ValidationTokens
    from emulator.switches import Switches

REPEATED_S: Final = 4 * 3600.0
"""Time for which a notification is repeated."""
FIRST_WAIT_S: Final = 10.0
LONGEST_WAIT_S: Final = 1800.0
"""The first and the longest wait between two repetitions. Assumed: only "exponential back-off" is published."""
SLOW_DELAY_S: Final = 600.0
"""Delay of notifications to a slow endpoint."""
MOST_AT_ONCE: Final = 16
"""Maximum concurrent POSTs to one host; further notifications wait and are batched. Assumed."""
MOST_WAITING: Final = 100_000
"""Notifications that may wait for one host; further ones are dropped."""


@dataclass(slots=True, eq=False)
class Endpoint:
    """A host: its waiting notifications, its POSTs in progress, and the score of its answers."""

    pending: dict[Target, list[Notice]] = field(default_factory=dict)
    """Notifications that are being gathered."""
    waiting: int = 0
    running: int = 0
    score: Score = field(default_factory=Score)


@dataclass(slots=True, eq=False)
class Post:
    """A POST and its repetitions."""

    endpoint: Endpoint
    target: Target
    notices: list[Notice]
    attempt: int = 1


class Delivery:
    """Sends notifications after `start`; earlier ones wait."""

    def __init__(
        self, clock: Clock, switches: Callable[[], Switches], client: Client, tokens: ValidationTokens,
        faults: NotificationFaults, log: Log, chance: random.Random,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._switches = switches
        self._client = client
        self._tokens = tokens
        self._faults = faults
        self._log = log
        self._chance = chance
        self._endpoints: dict[str, Endpoint] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Send from now on, in this event loop."""
        self._loop = asyncio.get_running_loop()
        for endpoint in self._endpoints.values():
            self._flush_all(endpoint)

    async def stop(self) -> None:
        """Stop at once; undelivered notifications are lost."""
        self._loop = None
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def reset(self) -> None:
        """Drop waiting notifications and the states of endpoints; POSTs in progress continue."""
        self._endpoints.clear()

    def put(self, notice: Notice) -> None:
        """Take a notification that is due."""
        counts, endpoint = self._log.counts, self._endpoint(notice.target.url)
        state = endpoint.score.state(self._clock.now(), self._switches().endpoint_scored_after)
        if state == "drop":
            counts.dropped += 1
        elif state == "slow":
            counts.delayed += 1
            self._clock.after(SLOW_DELAY_S, lambda: self._gather(endpoint, notice))
        else:
            self._gather(endpoint, notice)

    @property
    def waiting(self) -> int:
        """Return the number of notifications that wait to be posted now, without repeated or delayed ones."""
        return sum(endpoint.waiting for endpoint in self._endpoints.values())

    @property
    def under_way(self) -> int:
        """Return the number of POSTs in progress."""
        return len(self._tasks)

    def states(self) -> dict[str, str]:
        """Return the current states of endpoints: origin -> `normal`, `slow` or `drop`."""
        now, least = self._clock.now(), self._switches().endpoint_scored_after
        return {origin: endpoint.score.state(now, least) for origin, endpoint in self._endpoints.items()}

    def _endpoint(self, url: str) -> Endpoint:
        parts = urlsplit(url)
        return self._endpoints.setdefault(f"{parts.scheme}://{parts.netloc}".lower(), Endpoint())

    def _gather(self, endpoint: Endpoint, notice: Notice) -> None:
        if endpoint.waiting >= MOST_WAITING:
            self._log.counts.dropped += 1
            return
        target, switches = notice.target, self._switches()
        pending = endpoint.pending.setdefault(target, [])
        pending.append(notice)
        endpoint.waiting += 1
        if self._loop is None:
            return
        if len(pending) >= switches.notification_items:
            self._flush(endpoint, target)
        elif len(pending) == 1:
            self._loop.call_later(switches.notification_gather_ms / 1000, self._flush, endpoint, target)

    def _flush_all(self, endpoint: Endpoint) -> None:
        for target in list(endpoint.pending):
            self._flush(endpoint, target)

    def _flush(self, endpoint: Endpoint, target: Target) -> None:
        """Post the batch for a target; if the host is busy, as soon as it is free."""
        while endpoint.running < MOST_AT_ONCE and target in endpoint.pending:
            pending, most = endpoint.pending[target], self._switches().notification_items
            notices, rest = pending[:most], pending[most:]
            if rest:
                endpoint.pending[target] = rest
            else:
                del endpoint.pending[target]
            endpoint.waiting -= len(notices)
            self._begin(Post(endpoint, target, notices))

    def _begin(self, post: Post) -> None:
        if self._loop is None:
            return
        post.endpoint.running += 1
        task = self._loop.create_task(self._run(post), name="emulator-notification")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, post: Post) -> None:
        try:
            await self._post(post)
        finally:
            post.endpoint.running -= 1
            self._flush_all(post.endpoint)

    async def _post(self, post: Post) -> None:
        alive = [notice for notice in post.notices if notice.subscription.live]
        self._log.counts.ended += len(post.notices) - len(alive)
        post.notices = alive
        if not alive:
            return
        switches = self._switches()
        timeout_s = switches.notification_timeout_s if post.attempt == 1 else switches.notification_retry_timeout_s
        reply = await self._client.post(post.target.url, self._body(alive), JSON, timeout_s)
        self._judge(post.endpoint, reply, switches)
        self._write(post, reply)
        if 200 <= reply.status < 300:
            self._log.counts.delivered += len(alive)
        else:
            self._repeat(post)

    def _body(self, notices: Sequence[Notice]) -> bytes:
        for notice in notices:
            notice.raw = notice.raw or notice.encode()
        return collection([notice.raw for notice in notices], self._validation_tokens(notices))

    def _validation_tokens(self, notices: Sequence[Notice]) -> list[str]:
        """Return one validation token for each application and tenant whose subscription needs them."""
        found: list[str] = []
        about: set[tuple[str, str]] = set()
        for notice in notices:
            subscription = notice.subscription
            pair = (subscription.app_id, subscription.tenant_id)
            if subscription.certificate is None or pair in about:
                continue
            if notice.kind == "lifecycle" and not self._switches().lifecycle_validation_tokens:
                continue
            about.add(pair)
            fault = self._faults.meet("token", subscription)
            found += self._tokens.wrong(subscription, fault.how) if fault else [self._tokens.token(subscription)]
        return found

    def _judge(self, endpoint: Endpoint, reply: Reply, switches: Switches) -> None:
        if not reply.status and reply.reason != "timeout":
            return  # a refused connection does not count as slow
        endpoint.score.note(
            self._clock.now(), slow=reply.took_s >= switches.notification_timeout_s,
            very_slow=reply.took_s >= switches.notification_retry_timeout_s, least=switches.endpoint_scored_after,
        )  # fmt: skip

    def _repeat(self, post: Post) -> None:
        """Repeat a POST later; give up after four hours."""
        wait_s = min(FIRST_WAIT_S * 2 ** (post.attempt - 1), LONGEST_WAIT_S) * self._chance.uniform(0.8, 1.2)
        too_late_s = self._clock.now() + wait_s - REPEATED_S
        young = [notice for notice in post.notices if notice.made_s >= too_late_s]
        self._log.counts.given_up += len(post.notices) - len(young)
        if young:
            again = Post(post.endpoint, post.target, young, post.attempt + 1)
            self._clock.after(wait_s, lambda: self._begin(again))

    def _write(self, post: Post, reply: Reply) -> None:
        self._log.write(
            Sent(
                at_s=self._clock.now(), utc=time.time(), kind=post.target.kind, url=post.target.url, items=len(post.notices),
                subscriptions=list({notice.subscription.subscription_id: None for notice in post.notices}),
                tenants=list({notice.subscription.tenant_id: None for notice in post.notices}),
                attempt=post.attempt, status=reply.status, ms=round(reply.took_s * 1000, 3), outcome=outcome_of(reply),
                reason=reply.reason,
            )
        )  # fmt: skip


def outcome_of(reply: Reply) -> Outcome:
    """Return the outcome of the posted notifications."""
    if 200 <= reply.status < 300:
        return "delivered"
    if reply.status:
        return "refused"
    return "timeout" if reply.reason == "timeout" else "unreachable"
