"""What commands share: options, errors, exit status."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs
import click

from catalogsync.config import Job, load_config, load_state, secrets_of
from catalogsync.errors import MisconfiguredError
from catalogsync.state import StateSettings, StateStore

from ._output import LogHandler, Terminal

INCOMPLETE = 2
INTERRUPTED = 130

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Body = Callable[Concatenate["Session", P], int]

_CONFIG = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=lambda: os.environ.get("CATALOGSYNC_CONFIG") or "catalogsync.toml",
    help="Configuration file. [default: CATALOGSYNC_CONFIG, or catalogsync.toml]",
)
_REPORT = click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report to FILE as JSON.",
)
_PROGRESS = click.option("--no-progress", is_flag=True, help="Do not show progress.")
_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Log events, and show tracebacks of errors."
)
_OPTIONS = {"config": _CONFIG, "report": _REPORT, "progress": _PROGRESS}


def _handler_of(session: Session) -> LogHandler:
    return LogHandler(session.terminal)


@attrs.frozen(kw_only=True)
class Session:
    """One invocation of the command line."""

    terminal: Terminal
    config: Path
    report: Path | None
    progress: bool
    verbose: bool
    log: LogHandler = attrs.field(
        default=attrs.Factory(_handler_of, takes_self=True), init=False, repr=False
    )

    def job(self, name: str) -> Job:
        """Read one job from the configuration."""
        job = load_config(self.config, only=name).job(name)
        self.adopt(job)
        return job

    def store(self) -> StateSettings:
        """The settings of the state store."""
        settings = load_state(self.config)
        self.terminal.redact(secrets_of(settings))
        return settings

    def job_store(self, name: str) -> StateSettings:
        """The same, for an existing job."""
        self.job(name)
        return self.store()

    def adopt(self, job: Job) -> None:
        """Redact a job's secrets from all output."""
        self.terminal.redact(
            secrets_of(job.source, job.sink, job.state, *job.inform.values())
        )

    def check_report(self) -> None:
        """Check before a run that its report can be written."""
        folder = self.report.parent if self.report else None
        if folder and not (folder.is_dir() and os.access(folder, os.W_OK)):
            problem = f"{folder} is not a writable directory"
            raise MisconfiguredError("--report", problem)


def shared_options(function: F) -> F:
    """Add all options that commands share to the group."""
    for option in (*_OPTIONS.values(), _VERBOSE):
        function = option(function)
    return function


def command(*options: str) -> Callable[[Body[P]], Callable[..., None]]:
    """Turn a function that takes a session and returns a status into a command.

    Args:
        options: The options of the command: `config`, `report`, `progress`.
    """

    def decorate(body: Body[P]) -> Callable[..., None]:
        @functools.wraps(body)
        def wrapper(
            *args: Any,
            verbose: bool,
            config: Path | None = None,
            report: Path | None = None,
            no_progress: bool = False,
            **kwargs: Any,
        ) -> None:
            session = Session(
                terminal=Terminal(verbose=verbose),
                config=config or Path(),
                report=report,
                progress=not no_progress,
                verbose=verbose,
            )
            status = _guarded(session, lambda: body(session, *args, **kwargs))
            click.get_current_context().exit(status)

        for option in (*(_OPTIONS[name] for name in options), _VERBOSE):
            wrapper = option(wrapper)
        return wrapper

    return decorate


def query(settings: StateSettings, question: Callable[[StateStore], Awaitable[T]]) -> T:
    """Ask the state store something."""

    async def ask() -> T:
        async with settings.open() as store:
            return await question(store)

    return asyncio.run(ask())


def _guarded(session: Session, body: Callable[[], int]) -> int:
    """The exit status of a command, also if it raises."""
    try:
        with _logging(session):
            return body()
    except (KeyboardInterrupt, asyncio.CancelledError):
        session.terminal.err("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader is gone. Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the edge of the program
        session.terminal.error(error)
    return INCOMPLETE


@contextmanager
def _logging(session: Session) -> Generator[None]:
    """Log the events of a verbose session; otherwise, log nothing.

    Without a handler, Python itself would print warnings.
    """
    ours = logging.getLogger("catalogsync")
    silent = logging.NullHandler()
    handler = session.log if session.verbose else silent
    level = ours.level
    ours.addHandler(handler)
    if session.verbose:
        ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        ours.setLevel(level)
        ours.removeHandler(handler)
