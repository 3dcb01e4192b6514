"""Operations on the cloud's conditions: switches, profile, faults, clock, snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from emulator import profile
from emulator.control.operation import Area, Body, ControlRequest
from emulator.faults import Fault
from emulator.switches import Switches, described

if TYPE_CHECKING:
    from emulator.cloud import Cloud

area = Area("conditions", "Switches, profiles, faults, the clock, and snapshots of everything.")


class ClockSettings(Body):
    """The clock's new settings; omitted fields do not change."""

    speed: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    """World seconds in one second; 0 stops the world."""
    advance_s: Annotated[float, msgspec.Meta(ge=0, le=34_560_000)] | None = None
    """Step so many of the world's seconds forward, and run everything that becomes due."""
    ahead_s: Annotated[float, msgspec.Meta(ge=-86_400, le=86_400)] | None = None
    """Seconds by which the cloud's clock is ahead of this machine's in subscriptions' dates and validation tokens, to simulate
    clients with a wrong clock."""


class ClockState(msgspec.Struct, kw_only=True):
    """The clock's settings, and the time and date of the world."""

    speed: float
    now_s: float
    """World seconds since the world began."""
    date: str
    """The world's date and time in UTC, which people's days follow."""
    ahead_s: float


class FaultList(msgspec.Struct):
    """The faults in force, oldest first."""

    faults: list[Fault]


class SwitchDescription(msgspec.Struct, kw_only=True):
    """One switch. `about` describes its effect, `kind` is its JSON Schema."""

    name: str
    about: str
    kind: dict[str, Any]
    value: Any
    default: Any


class SwitchList(msgspec.Struct):
    """All switches, for forms."""

    switches: list[SwitchDescription]


class SnapshotList(msgspec.Struct):
    """The names of the snapshots, oldest first."""

    snapshots: list[str]


@area.operation("GET", "switches", answer=Switches)
def get_switches(cloud: Cloud, _asked: ControlRequest) -> Switches:
    """Show every switch for behaviour that Microsoft does not document."""
    return cloud.switches


@area.operation("PUT", "switches", body=dict[str, Any], answer=Switches)
def set_switches(cloud: Cloud, asked: ControlRequest) -> Switches:
    """Set some switches; the others do not change."""
    return cloud.set_switches(**asked.body)


@area.operation("GET", "switches/described", answer=SwitchList)
def describe_switches(cloud: Cloud, _asked: ControlRequest) -> SwitchList:
    """Show every switch with its meaning, its allowed values, its current value and its default."""
    usual = cloud.config.switches
    return SwitchList([
        SwitchDescription(name=each.name, about=each.about, kind=each.kind, value=getattr(cloud.switches, each.name),
               default=getattr(usual, each.name))
        for each in described()
    ])  # fmt: skip


@area.operation("GET", "profile", answer=profile.Profile)
def get_profile(cloud: Cloud, asked: ControlRequest) -> Any:
    """Show the current switches as a profile; with `Accept: application/toml` as a file that can be loaded."""
    present = cloud.present_profile()
    if "toml" in asked.request.header(b"accept"):
        return profile.toml_answer(present)
    return present


@area.operation("PUT", "profile", body=profile.Profile, answer=profile.Profile,
                media=("application/json", profile.TOML))  # fmt: skip
def put_profile(cloud: Cloud, asked: ControlRequest) -> profile.Profile:
    """Set every switch from a profile, in JSON or TOML; a profile with a missing or unknown switch is refused."""
    body = asked.body
    loaded = profile.read(body) if isinstance(body, bytes) else profile.checked(body)
    cloud.load_profile(loaded)
    return loaded


@area.operation("GET", "faults", answer=FaultList)
def list_faults(cloud: Cloud, _asked: ControlRequest) -> FaultList:
    """List the faults in force."""
    return FaultList(cloud.faults.all())


@area.operation("POST", "faults", body=Fault, answer=Fault)
def add_fault(cloud: Cloud, asked: ControlRequest) -> Fault:
    """Put a fault in force for the requests that meet its conditions."""
    return cloud.add_fault(asked.body)


@area.operation("DELETE", "faults")
def remove_faults(cloud: Cloud, _asked: ControlRequest) -> None:
    """Remove every fault in force."""
    cloud.faults.remove()


@area.operation("DELETE", "faults/{number}")
def remove_fault(cloud: Cloud, asked: ControlRequest) -> None:
    """Remove one fault, by its `id`."""
    number = asked.where["number"]
    if not number.isdecimal() or len(number) > 18:
        raise LookupError(f"there is no fault {number}")
    cloud.faults.remove(int(number))


@area.operation("GET", "clock", answer=ClockState)
def get_clock(cloud: Cloud, _asked: ControlRequest) -> ClockState:
    """Show the clock's settings and the world's date."""
    return _time(cloud)


@area.operation("PUT", "clock", body=ClockSettings, answer=ClockState)
def set_clock(cloud: Cloud, asked: ControlRequest) -> ClockState:
    """Scale, stop or step the world's time."""
    body: ClockSettings = asked.body
    if body.speed is not None:
        cloud.clock.set_speed(body.speed)
    if body.advance_s is not None:
        cloud.clock.advance(body.advance_s)
    if body.ahead_s is not None:
        cloud.clock.ahead_s = body.ahead_s
    return _time(cloud)


def _time(cloud: Cloud) -> ClockState:
    date = cloud.day.date().isoformat(timespec="seconds")
    return ClockState(speed=cloud.clock.speed, now_s=cloud.clock.now(), date=date, ahead_s=cloud.clock.ahead_s)


@area.operation("GET", "snapshots", answer=SnapshotList)
def list_snapshots(cloud: Cloud, _asked: ControlRequest) -> SnapshotList:
    """List the snapshots, oldest first."""
    return SnapshotList(cloud.snapshots.names())


@area.operation("PUT", "snapshots/{name}")
def take_snapshot(cloud: Cloud, asked: ControlRequest) -> None:
    """Take a snapshot of people, devices, grants, switches, faults and the clock under a name."""
    cloud.snapshots.take(asked.where["name"])


@area.operation("POST", "snapshots/{name}/restore")
def restore_snapshot(cloud: Cloud, asked: ControlRequest) -> None:
    """Restore the state of a snapshot; the journal is not affected."""
    cloud.snapshots.restore(asked.where["name"])


@area.operation("DELETE", "snapshots/{name}")
def drop_snapshot(cloud: Cloud, asked: ControlRequest) -> None:
    """Delete the snapshot of this name."""
    cloud.snapshots.drop(asked.where["name"])


@area.operation("POST", "reset")
def reset(cloud: Cloud, _asked: ControlRequest) -> None:
    """Reset everything except accounts and consents."""
    cloud.reset()
