"""The state that all surfaces share, and the operations on it, for tests and for the control surface."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from emulator.clock import Clock
from emulator.day import Day
from emulator.entra.directory import Directory
from emulator.entra.keys import SigningKey
from emulator.entra.tokens import Minter
from emulator.faults import Fault, Faults
from emulator.history import History
from emulator.journal import Gaps, Journal
from emulator.life import Life
from emulator.notifications.notifier import Notifications
from emulator.presence import spell
from emulator.profile import Profile
from emulator.snapshots import Snapshots, snapshot_world
from emulator.world import Person, Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.config import Config
    from emulator.notifications.faults import NotificationFault
    from emulator.notifications.subscription import EventKind, Subscription, SubscriptionLife
    from emulator.switches import Switches
    from emulator.world import World


class Cloud:
    """One local Microsoft cloud. Each operation applies to the next request.

    Attributes:
        url: its address, `https://127.0.0.1:PORT`.
        ca_pem: the CA certificate to trust; empty if the configuration provides a certificate.
        world: the tenants, people and applications.
        proxy_url: the proxy for Microsoft's host names, `http://127.0.0.1:PORT`; empty: there is none.
        on_change: called after each change of the state that is stored between runs.
    """

    def __init__(self, config: Config, world: World, url: str, ca_pem: bytes, key: SigningKey, seal: bytes) -> None:
        self.config = config
        self.world = world
        self.url = url
        self.ca_pem = ca_pem
        self.proxy_url = ""
        self.switches = config.switches
        self.clock = Clock(config.speed)
        self.tokens = Minter(key, seal, self.clock)
        self.journal = Journal(config.journal_size)
        self.gaps = Gaps()
        self.history = History(self.clock)
        self.faults = Faults(random.Random(config.seed))
        self.on_change: Callable[[], None] = lambda: None
        self.on_reset: Callable[[], None] = lambda: None
        self.notifications = Notifications(
            self.clock, lambda: self.switches, lambda: self.tokens.key, ca_pem=ca_pem, ca_file=config.notification_ca,
            seed=config.seed,
        )  # fmt: skip
        self.life = Life(world, self.clock, lambda: self.switches, config.seed)
        self.life.on_shown = self._seen_otherwise
        self.day = Day(self.clock, self.life, config.seed, nights=config.nights)
        self.profile = config.profile or Profile(switches=msgspec.to_builtins(config.switches))
        self.directory = Directory(
            world, self.tokens, self.clock, on_change=lambda: self.on_change(), on_revoked=self.notifications.revoked
        )
        self.snapshots = Snapshots(
            [partial(snapshot_world, world), self._snapshot, self.clock.snapshot, self.notifications.snapshot],
            on_restored=self._restored,
        )
        self._populate()

    def person(self, who: str | Person, tenant: str = "") -> Person:
        """Return the person with this UPN or object id.

        Raises:
            LookupError: there is no such person.
        """
        return self.world.person(who, tenant)

    # Actions of people

    def act(
        self, who: str | Person, action: str, *, device: str = "", text: str = "", for_s: float | None = None
    ) -> Person:
        """Let a person do one of `life.ACTIONS`. The person stops living the day until `live` is called.

        Without `device`, `switch_off` switches all devices off and `come` switches the desktop on. With `for_s` the action ends
        automatically after so many of the world's seconds: `life.ENDING` lists the actions that can.
        """
        person = self.person(who)
        person.living = False
        device = device or ("all" if action == "switch_off" else "desktop")
        self.life.act(person, action, device=device, text=text, for_s=for_s)
        return person

    def live(self, who: str | Person) -> None:
        """Let a person follow the planned day again."""
        self.day.begin([self.person(who)])

    def set_presence(
        self, who: str | Person, availability: str | None = None, activity: str | None = None, *,
        status_message: str | None = None, out_of_office: bool | None = None, out_of_office_message: str | None = None,
        sequence_number: str | None = None,
    ) -> Person:  # fmt: skip
        """Show exactly this presence of a person, until the person does something.

        Published values are spelled as the switches specify; others are sent unchanged. An argument of None changes nothing; the
        default of the activity is the availability.
        """
        person = self.person(who)
        person.living = False
        if status_message is not None:
            person.status_message, person.status_published = status_message, self.clock.utc()
        if out_of_office is not None:
            person.out_of_office = out_of_office
        if out_of_office_message is not None:
            person.out_of_office_message = out_of_office_message
        self.life.touch(person)
        if availability is not None or activity is not None:
            first = availability if availability is not None else person.shown.availability
            self.life.show(person, Shown(first, first if activity is None else activity))
        if sequence_number is not None:
            person.sequence = sequence_number
        return person

    def add_person(
        self,
        tenant: str,
        oid: str,
        upn: str,
        name: str,
        *,
        password: str = "",
        role: str = "user",
        licensed: bool = True,
    ) -> Person:
        """Add a person to a tenant.

        Raises:
            LookupError: there is no such tenant.
            ValueError: the UPN or object id is taken.
        """
        home = self.world.tenant(tenant)
        if home is None:
            raise LookupError(f"there is no tenant {tenant}")
        person = home.add(Person(home, oid, upn, name, password=password, role=role, licensed=licensed))
        self.life.act(person, "come")
        self.on_change()
        return person

    def rename_person(self, who: str | Person, upn: str) -> Person:
        """Change the UPN of a person.

        Raises:
            ValueError: it is taken.
        """
        person = self.person(who)
        person.tenant.rename(person, upn)
        self.on_change()
        return person

    def remove_person(self, who: str | Person) -> None:
        """Delete a person: the id becomes unknown, and grants of the account become invalid."""
        person = self.person(who)
        person.living = False
        person.tenant.remove(person)
        self.on_change()

    # The cloud itself

    def set_switches(self, **changes: Any) -> Switches:
        """Set some switches; the others do not change.

        Raises:
            msgspec.ValidationError: a name or value is invalid.
        """
        self.switches = self.switches.changed(**changes)
        for person in self.world.people():
            person.fragment = b""
        return self.switches

    def load_profile(self, profile: Profile) -> None:
        """Set every switch from a checked profile."""
        self.set_switches(**profile.switches)
        self.profile = profile

    def present_profile(self) -> Profile:
        """Return the current switches as a profile, with the name of the last loaded profile if no switch differs from it."""
        switches = msgspec.to_builtins(self.switches)
        return self.profile if self.profile.switches == switches else Profile(switches=switches)

    def add_fault(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        return self.faults.add(fault)

    def subscriptions(self) -> list[SubscriptionLife]:
        """Return every subscription to change notifications, live and ended, with its history."""
        return self.notifications.subscriptions.lives()

    def add_notification_fault(self, fault: NotificationFault) -> NotificationFault:
        """Put a fault of notifications in force."""
        return self.notifications.faults.add(fault)

    def end_subscription(self, subscription_id: str, *, haunts_s: float = 0.0) -> None:
        """End a live subscription without notice, as if it had expired; with `haunts_s` leave a ghost of it.

        A ghost cannot be found, renewed or deleted, but blocks a new subscription for so many of the world's seconds.

        Raises:
            LookupError: there is no such subscription, or it is not live.
        """
        how: EventKind = "ghost" if haunts_s else "expired"
        self.notifications.subscriptions.end(self._subscription(subscription_id), how, haunts_s=haunts_s)

    def release_ghosts(self) -> None:
        """Remove all ghosts, so that they no longer block new subscriptions."""
        self.notifications.subscriptions.release_ghosts()

    def challenge_subscription(self, subscription_id: str) -> None:
        """Ask a subscription's application to reauthorise it, now.

        Raises:
            LookupError: there is no such subscription, or it is not live.
        """
        self.notifications.challenge(self._subscription(subscription_id))

    def _subscription(self, subscription_id: str) -> Subscription:
        subscription = self.notifications.subscriptions.find(subscription_id)
        if subscription is None:
            raise LookupError(f"there is no live subscription {subscription_id}")
        return subscription

    def gap_report(self) -> dict[str, Any]:
        """Return how long users went unread, as figures and a histogram."""
        return self.gaps.report(self.world.people())

    def reset(self) -> None:
        """Reset switches, faults, refusals, journal, history and throttling. Accounts and consents stay."""
        self.set_switches(**{name: getattr(self.config.switches, name) for name in self.switches.__struct_fields__})
        self.faults.remove()
        self.notifications.reset()
        self.journal.clear()
        self.gaps.reset()
        self.history.clear()
        self.clock.set_speed(self.config.speed)
        self.clock.ahead_s = 0.0
        for person in self.world.people():
            self.life.forget(person)
            person.living = False
        self.directory.restore_all()
        self._populate()
        self._restored()

    def _restored(self) -> None:
        self.on_reset()
        self.on_change()

    def _snapshot(self) -> Callable[[], None]:
        """Save the switches, profile, keys, faults and random state; return a function that restores them."""
        switches, profile, keys = self.switches, self.profile, self.tokens.key.snapshot()
        faults, life = self.faults.snapshot(), self.life.snapshot()

        def restore() -> None:
            self.switches, self.profile = switches, profile
            keys()
            faults()
            life()

        return restore

    def _seen_otherwise(self, person: Person, before: Shown) -> None:
        seen = spell(person.shown, self.switches)
        if seen == spell(before, self.switches):
            return
        if self.history.enabled:
            self.history.write(person, seen)
        self.notifications.changed(person)

    def _populate(self) -> None:
        """Put all people into their initial state: that of their day or of the world."""
        if self.config.day:
            self.day.begin(self.world.people())
            return
        for person in self.world.people():
            self.life.act(person, "come")
