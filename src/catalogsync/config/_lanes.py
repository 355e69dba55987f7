"""Lanes of a job: schedules of their own for some fields."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from catalogsync.catalog.products import Field
from catalogsync.engine import Options
from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.schedule import Schedule


def _fields(value: Iterable[Field]) -> tuple[Field, ...]:
    try:
        return tuple(sorted(Options(only=frozenset(value)).only or ()))
    except InvalidValueError as error:
        raise MisconfiguredError("only", error.problem) from None


def _schedule(value: Schedule | str) -> Schedule:
    if not isinstance(value, str):
        return value
    try:
        return Schedule(cron=value)
    except MisconfiguredError as error:
        raise MisconfiguredError("schedule", error.problem) from None


@attrs.frozen(kw_only=True)
class Lane:
    """When `catalogsync serve` compares and writes some fields of a job's products.

    Attributes:
        only: The fields; see `Options.only`.
        schedule: When: a `Schedule` or a cron expression (in UTC). A time that was
            missed is not made up for.
    """

    only: tuple[Field, ...] = attrs.field(converter=_fields)
    schedule: Schedule = attrs.field(converter=_schedule)
