"""Schedules: cron expressions in a time zone."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from ._lib.bounds import at_least, finite
from .errors import InvalidValueError, MisconfiguredError

__all__ = ["DAILY", "Schedule"]

DAILY = "@daily"
"""At midnight."""

_FIELDS = 5
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@attrs.frozen(kw_only=True)
class Schedule:
    """When a job is due.

    Attributes:
        cron: A cron expression with five fields, with the lists, ranges, steps and
            names of cron; 0 and 7 are Sunday. Or `@hourly`, `@daily`, `@weekly`,
            `@monthly`, `@yearly`.
        timezone: IANA time zone of the expression. If the change to summer time skips
            the hour of a daily run, it runs at the end of that hour; an expression for
            every hour follows the clock.
        jitter: Each run starts up to this many seconds later, at random.
        catch_up: Whether to run once if the schedule was missed while the service was
            down.
    """

    cron: str = DAILY
    timezone: str = "UTC"
    jitter: float = attrs.field(
        default=0.0, validator=[at_least(0, InvalidValueError), finite]
    )
    catch_up: bool = True

    def __attrs_post_init__(self) -> None:
        self.next_after(dt.datetime.now(dt.UTC))

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """The next time that the job is due.

        Args:
            moment: A time with a time zone; the result is later.

        Raises:
            MisconfiguredError: The expression or the time zone is not valid.
        """
        from cronsim import CronSim, CronSimError

        expression = _ALIASES.get(self.cron.strip().lower(), self.cron)
        fields = len(expression.split())
        if fields != _FIELDS:
            problem = f"{self.cron!r} is not a cron expression ({fields} fields, not 5)"
            raise MisconfiguredError("cron", problem)
        try:
            # In an hour that occurs twice, it also yields times in the past.
            times = CronSim(expression, moment.astimezone(self._zone()))
            return next(time for time in times if time.astimezone(dt.UTC) > moment)
        except (CronSimError, StopIteration) as error:
            what = str(error).lower() or "it is never due"
            problem = f"{self.cron!r} is not a cron expression ({what})"
            raise MisconfiguredError("cron", problem) from None

    def is_due(self, last: dt.datetime, now: dt.datetime) -> bool:
        """Whether the job was due between two moments."""
        return self.next_after(last) <= now

    def delay(self, chance: Callable[[], float] = random.random) -> float:
        """Random delay of the next run, in seconds."""
        return self.jitter * chance()

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            problem = (
                f"{self.timezone!r} is not an IANA time zone, such as Europe/Berlin"
            )
            raise MisconfiguredError("timezone", problem) from None
