"""What a case showed."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import attrs
from tests.engine.fakes import check

from catalogsync import Options, Report, Sink, Source, Sync
from catalogsync.errors import CatalogSyncError, InvalidValueError

from .clock import HangError, run

_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s:,;()]*[\d/.@][^\s:,;()]*")


@attrs.define
class Verdict:
    """What a case showed.

    Attributes:
        outcome: How the run under test ended, without particulars.
        crashes: Errors that nobody may raise.
        hangs: Whether it would never have come to an end.
        lost: Products that are not there, and nobody says so.
        wrong: Everything else that must not be.
    """

    outcome: str = ""
    crashes: list[str] = attrs.field(factory=list)
    hangs: list[str] = attrs.field(factory=list)
    lost: list[str] = attrs.field(factory=list)
    wrong: list[str] = attrs.field(factory=list)

    def expect(self, holds: object, otherwise: str) -> None:
        """Note what must hold and does not."""
        if not holds:
            self.wrong.append(otherwise)

    def ended(self, *texts: str) -> None:
        """Note how the run ended."""
        plain = (_PARTICULARS.sub("#", text) for text in texts if text)
        self.outcome = "; ".join(dict.fromkeys(plain))[:300]

    @property
    def problems(self) -> list[str]:
        """All that is not as it should be."""
        return [*self.crashes, *self.hangs, *self.lost, *self.wrong]


def judged(play: Callable[[Verdict], Coroutine[Any, Any, None]]) -> Verdict:
    """Play a case in a time of its own."""
    verdict = Verdict()
    try:
        run(play(verdict))
    except HangError as error:
        verdict.hangs.append(str(error))
    except Exception as error:  # noqa: BLE001 - nothing may get here
        verdict.crashes.append(_told(error))
    return verdict


def is_crash(error: Exception) -> bool:
    """Whether an error is not one of those that say what to do."""
    return not isinstance(error, CatalogSyncError) or isinstance(
        error, InvalidValueError
    )


async def attempt(
    verdict: Verdict, source: Source, sink: Sink, options: Options
) -> Report | None:
    """Run, and record the result; None: there is no report."""
    handle = Sync(source, sink, options=options).run()
    report: Report | None = None
    problem: Exception | None = None
    try:
        async with handle:
            report = await handle.report()
    except Exception as error:  # noqa: BLE001 - any of them is looked at
        problem = error
    problem = problem or handle._tasks.error
    if problem is not None:
        note(verdict, problem)
    if report is not None:
        verdict.ended(report.status, report.problem, *_reasons(report))
        _check(verdict, report)
    return report


def _check(verdict: Verdict, report: Report) -> None:
    try:
        check(report)
    except AssertionError as error:
        verdict.wrong.append(f"the report: {error}")


def note(verdict: Verdict, error: Exception) -> None:
    """Record an error, and whether it must not be raised."""
    verdict.ended(type(error).__name__, str(error))
    if isinstance(error, HangError):
        verdict.hangs.append(str(error))
    elif is_crash(error):
        verdict.crashes.append(_told(error))


def _told(error: Exception) -> str:
    """An error, and the line of the library that raised it."""
    place, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "catalogsync" in code.co_filename:
            name = code.co_filename.rpartition("catalogsync/")[2]
            place = f"{name}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    return f"{place}: {error!r}"[:500]


def _reasons(report: Report) -> Iterable[str]:
    yield from map(str, report.rejected[:3])
    yield from (outcome.reason for outcome in report.failures[:3])
