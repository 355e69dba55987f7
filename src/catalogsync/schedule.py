"""When a job is due: cron expressions in a time zone."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from .errors import MisconfiguredError

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
        cron: A cron expression of five fields, with lists, ranges, steps and names
            as cron has them; 0 and 7 are Sunday; or `@hourly`, `@daily`, `@weekly`,
            `@monthly`, `@yearly`.
        timezone: The IANA time zone that it is meant in. A time that the change to
            summer time leaves out is kept when the hour is over, if the expression
            names a single one; an expression for every hour goes by the clock.
        jitter: Seconds; each run begins by chance up to so much later.
        catch_up: Whether a time that passed while nothing was running is made up
            for, once.
    """

    cron: str = DAILY
    timezone: str = "UTC"
    jitter: float = attrs.field(
        default=0.0, validator=[attrs.validators.ge(0), attrs.validators.lt(math.inf)]
    )
    catch_up: bool = True

    def __attrs_post_init__(self) -> None:
        self.next_after(dt.datetime.now(dt.UTC))

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """The next time that the job is due.

        Args:
            moment: With a time zone; the result is later.

        Raises:
            MisconfiguredError: The expression or the time zone is none.
        """
        from cronsim import CronSim, CronSimError

        expression = _ALIASES.get(self.cron.strip().lower(), self.cron)
        fields = len(expression.split())
        if fields != _FIELDS:
            problem = f"{self.cron!r} is no cron expression ({fields} fields, not 5)"
            raise MisconfiguredError("cron", problem)
        try:
            # In an hour that comes twice it also gives times that are over.
            times = CronSim(expression, moment.astimezone(self._zone()))
            return next(time for time in times if time.astimezone(dt.UTC) > moment)
        except (CronSimError, StopIteration) as error:
            what = str(error).lower() or "it is never due"
            problem = f"{self.cron!r} is no cron expression ({what})"
            raise MisconfiguredError("cron", problem) from None

    def is_due(self, last: dt.datetime, now: dt.datetime) -> bool:
        """Whether the job should have begun between two moments."""
        return self.next_after(last) <= now

    def delay(self, chance: Callable[[], float] = random.random) -> float:
        """Seconds by which the next run begins later."""
        return self.jitter * chance()

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            problem = f"{self.timezone!r} is no IANA time zone such as Europe/Berlin"
            raise MisconfiguredError("timezone", problem) from None
