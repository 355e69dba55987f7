"""What all commands share: options, errors, exit status."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs
import click

from catalogsync.config import Job, load_config, load_state, secrets_of
from catalogsync.errors import MisconfiguredError
from catalogsync.state import StateSettings

from ._output import LogHandler, Teller

__all__ = ["INCOMPLETE", "INTERRUPTED", "Session", "command", "shared_options"]

INCOMPLETE = 2
INTERRUPTED = 130

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
Body = Callable[Concatenate["Session", P], int]

_CONFIG = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=lambda: os.environ.get("CATALOGSYNC_CONFIG") or "catalogsync.toml",
    help="The jobs. [default: CATALOGSYNC_CONFIG, or catalogsync.toml]",
)
_REPORT = click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report as JSON.",
)
_PROGRESS = click.option("--no-progress", is_flag=True, help="Do not show progress.")
_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Log events, and show where errors come from."
)
_OPTIONS = {"config": _CONFIG, "report": _REPORT, "progress": _PROGRESS}


def _handler_of(session: Session) -> LogHandler:
    return LogHandler(session.teller)


@attrs.frozen(kw_only=True)
class Session:
    """One call of the command line.

    Attributes:
        teller: Writes to the terminal.
        config: The configuration file.
        report: Where the report goes, if anywhere.
        progress: Whether progress is shown.
        verbose: Whether events are logged.
        log: Writes what is logged.
    """

    teller: Teller
    config: Path
    report: Path | None
    progress: bool
    verbose: bool
    log: LogHandler = attrs.field(
        default=attrs.Factory(_handler_of, takes_self=True), init=False, repr=False
    )

    def job(self, name: str) -> Job:
        """Read one job from the configuration.

        Raises:
            MisconfiguredError: There is none, or it is not right.
        """
        job = load_config(self.config, only=name).job(name)
        self.adopt(job)
        return job

    def store(self) -> StateSettings:
        """Where runs are kept.

        Raises:
            MisconfiguredError: The configuration is not right.
        """
        settings = load_state(self.config)
        self.teller.keep_secret(secrets_of(settings))
        return settings

    def job_store(self, name: str) -> StateSettings:
        """The same, for a job that is there.

        Raises:
            MisconfiguredError: It is not, or the configuration is not right.
        """
        self.job(name)
        return self.store()

    def adopt(self, job: Job) -> None:
        """Keep a job's secrets out of everything that is written."""
        self.teller.keep_secret(secrets_of(job.source, job.sink, job.state))

    def check_report(self) -> None:
        """See to it that the report can be written before there is one.

        Raises:
            MisconfiguredError: It cannot.
        """
        folder = self.report.parent if self.report else None
        if folder and not (folder.is_dir() and os.access(folder, os.W_OK)):
            problem = f"{folder} is no directory that can be written to"
            raise MisconfiguredError("--report", problem)


def shared_options(function: F) -> F:
    """All options that commands share, for the group that they are in."""
    for option in (*_OPTIONS.values(), _VERBOSE):
        function = option(function)
    return function


def command(*options: str) -> Callable[[Body[P]], Callable[..., None]]:
    """Make a command of a function that takes the session and gives a status.

    Args:
        options: Which of `config`, `report` and `progress` it has.
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
                teller=Teller(verbose=verbose),
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


def _guarded(session: Session, body: Callable[[], int]) -> int:
    """The status of a command, also where it raises."""
    try:
        with _logging(session):
            return body()
    except (KeyboardInterrupt, asyncio.CancelledError):
        session.teller.remark("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads on. Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the edge of the program
        session.teller.error(error)
    return INCOMPLETE


@contextmanager
def _logging(session: Session) -> Generator[None]:
    """Log events of a verbose session, and keep all else from the terminal.

    Without a handler, Python itself would print what is a warning.
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
