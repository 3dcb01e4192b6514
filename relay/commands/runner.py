"""Shared by every command: settings, the store, exit codes, and errors as one line."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import typer

from relay.errors import (
    ConsentRequired,
    CredentialRejected,
    NotPermitted,
    NotSaved,
    RelayError,
    StoreUnavailable,
    with_marks,
)
from relay.ops import logging
from relay.settings import roles
from relay.settings.env import SettingsInvalid
from relay.settings.load import load

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from relay.settings.load import Settings
    from relay.store.server.connection import Store

T = TypeVar("T")

EXIT_FAILURE: Final = 1
"""A fault outside the relay."""
EXIT_USAGE: Final = 2
"""Wrong command line or setting."""


def read_settings(*needs: str) -> Settings:
    """Read the settings and configure logging.

    Raises:
        SettingsInvalid: with all faults.
    """
    settings = load(needs)
    logging.configure(settings.log.format, settings.log.level)
    return settings


def with_store(work: Callable[[Store, Settings], Awaitable[None]], *needs: str) -> None:
    """Run a command against the store.

    Args:
        work: the command.
        needs: required settings in addition to those of the store, such as `vault.key_ring`.
    """
    with errors_as_lines():
        settings = read_settings(*roles.STORE, *needs)
        run(_stored(settings, work))


async def _stored(settings: Settings, work: Callable[[Store, Settings], Awaitable[None]]) -> None:
    from relay.store.server.connection import Store

    async with Store(settings.store_settings()) as store:
        await work(store, settings)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result."""
    return asyncio.run(work)


@contextmanager
def errors_as_lines() -> Iterator[None]:
    """Print an expected error as a line, never as a traceback, and end the command with its exit code."""
    try:
        yield
    except SettingsInvalid as error:
        fail("\n".join(["These settings are wrong:", *(f"  {fault}" for fault in error.faults)]), EXIT_USAGE)
    except (KeyboardInterrupt, asyncio.CancelledError):  # CancelledError comes from a second Ctrl-C
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except RelayError as error:
        faults = getattr(error, "faults", None)
        fail("\n".join(faults) if faults else _explained(error), getattr(error, "exit_code", EXIT_FAILURE))
    except OSError as error:
        fail(_os_error_line(error), EXIT_FAILURE)


def fail(message: str, code: int) -> NoReturn:
    """End the command: print `message` on standard error and exit with `code`."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _explained(error: RelayError) -> str:
    """Return the text of an error for an operator, with advice where there is any."""
    match error:
        case NotPermitted():
            return f"{error}."
        case StoreUnavailable():
            return f"{error}. Check RELAY_REDIS_URL and that Redis runs."
        case NotSaved():
            return f"Not saved: {error}. Repair Redis and repeat the command."
        case CredentialRejected():
            return f"Microsoft refuses the relay's own credential: {with_marks(error)}. Check RELAY_CLOUD_CLIENT_ID and the secret."
        case ConsentRequired():
            marks = with_marks(error).removeprefix(str(error))
            return f"{error} ({error.code}){marks}" if error.code else f"{error}{marks}"
    return with_marks(error)


def _os_error_line(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"
