"""What every command shares: settings, the store, exit codes, and trouble told in a line."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import typer

from relay.errors import ConsentRequired, CredentialRejected, NotPermitted, NotSaved, RelayError, StoreUnavailable
from relay.ops import logging
from relay.settings import load as config
from relay.settings.env import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from relay.settings.load import Settings
    from relay.store.server.connection import Store

T = TypeVar("T")

EXIT_TROUBLE: Final = 1
"""Something outside is wrong."""
EXIT_USAGE: Final = 2
"""Wrong usage or settings."""


def read_settings(*needs: str) -> Settings:
    """The settings, with logging as they say.

    Raises:
        SettingsInvalid: with everything that is wrong.
    """
    settings = config.load(needs)
    logging.configure(settings.log.format, settings.log.level)
    return settings


def with_store(work: Callable[[Store, Settings], Awaitable[None]], *needs: str) -> None:
    """Run a command against the store; what it needs beside it may be named."""
    with told():
        settings = read_settings(*config.STORE, *needs)
        run(_stored(settings, work))


async def _stored(settings: Settings, work: Callable[[Store, Settings], Awaitable[None]]) -> None:
    from relay.store.server.connection import Store

    async with Store(settings.store_settings()) as store:
        await work(store, settings)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end."""
    return asyncio.run(work)


@contextmanager
def told() -> Iterator[None]:
    """Whatever goes wrong is told in a line, never as a traceback."""
    try:
        yield
    except SettingsInvalid as error:
        give_up("\n".join(["These settings are wrong:", *(f"  {fault}" for fault in error.faults)]), EXIT_USAGE)
    except (KeyboardInterrupt, asyncio.CancelledError):  # the latter by a second Ctrl-C
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except RelayError as error:
        faults = getattr(error, "faults", None)
        give_up("\n".join(faults) if faults else _words(error), EXIT_TROUBLE)
    except OSError as error:
        give_up(_os_words(error), EXIT_TROUBLE)


def give_up(message: str, code: int) -> NoReturn:
    """End the command with `message` on standard error."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _words(error: RelayError) -> str:
    """An error as an operator reads it."""
    match error:
        case NotPermitted():
            return f"{error}."
        case StoreUnavailable():
            return f"{error}. Check RELAY_REDIS_URL and that Redis runs."
        case NotSaved():
            return f"Not saved: {error}. Nothing may be relied on; put Redis right and repeat the command."
        case CredentialRejected():
            return f"Microsoft refuses the relay's own credential: {error}. Check RELAY_CLOUD_CLIENT_ID and the secret."
        case ConsentRequired():
            return f"{error} ({error.code})" if error.code else str(error)
    return str(error)


def _os_words(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"
