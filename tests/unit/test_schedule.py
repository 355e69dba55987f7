"""When a job is due."""

from __future__ import annotations

import datetime as dt

import pytest

from catalogsync import MisconfiguredError
from catalogsync.schedule import Schedule


def times(schedule: Schedule, start: str, count: int) -> list[str]:
    moment = dt.datetime.fromisoformat(start)
    found: list[str] = []
    for _ in range(count):
        moment = schedule.next_after(moment)
        found.append(moment.strftime("%a %m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("@daily", ["Wed 11-25 00:00", "Thu 11-26 00:00"]),
        ("@Hourly", ["Tue 11-24 11:00", "Tue 11-24 12:00"]),
        ("@weekly", ["Sun 11-29 00:00", "Sun 12-06 00:00"]),
        ("@monthly", ["Tue 12-01 00:00", "Fri 01-01 00:00"]),
        ("0 0 * * 0", ["Sun 11-29 00:00", "Sun 12-06 00:00"]),
        ("0 0 * * 7", ["Sun 11-29 00:00", "Sun 12-06 00:00"]),
        ("0 6 * * mon-wed", ["Wed 11-25 06:00", "Mon 11-30 06:00"]),
        ("*/40 10,22 * * *", ["Tue 11-24 10:40", "Tue 11-24 22:00"]),
        ("5/25 10 * * *", ["Tue 11-24 10:30", "Tue 11-24 10:55"]),
        ("0 0 13 * fri", ["Fri 11-27 00:00", "Fri 12-04 00:00"]),
    ],
)
def test_as_cron_has_it(cron: str, expected: list[str]) -> None:
    assert times(Schedule(cron=cron), "2026-11-24T10:28:00+00:00", 2) == expected


def test_midnight_is_where_the_shop_is() -> None:
    schedule = Schedule(timezone="America/New_York")
    due = schedule.next_after(dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC))
    assert due.astimezone(dt.UTC).isoformat() == "2026-11-25T05:00:00+00:00"


def test_days_on_which_the_clock_is_changed() -> None:
    schedule = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    assert times(schedule, "2026-03-28T12:00:00+01:00", 2) == [
        "Sun 03-29 03:00",
        "Mon 03-30 02:30",
    ]
    assert times(schedule, "2026-10-24T12:00:00+02:00", 2) == [
        "Sun 10-25 02:30",
        "Mon 10-26 02:30",
    ]


@pytest.mark.parametrize(
    "cron",
    ["", "daily", "* * * *", "61 * * * *", "0 0 31 2 *", "* * * * * *", "0 0 0 * * *"],
)
def test_invalid_cron_expressions(cron: str) -> None:
    with pytest.raises(MisconfiguredError, match="is not a cron expression"):
        Schedule(cron=cron)


@pytest.mark.parametrize("jitter", [-1, float("inf"), float("nan")])
def test_invalid_jitter(jitter: float) -> None:
    with pytest.raises(ValueError):
        Schedule(jitter=jitter)


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "../etc/passwd"])
def test_invalid_time_zones(timezone: str) -> None:
    with pytest.raises(MisconfiguredError, match="is not an IANA time zone"):
        Schedule(timezone=timezone)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "UTC"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 * * * *", "15 1,2 * * *"])
def test_each_time_is_later(zone: str, cron: str) -> None:
    """Also in the hour that comes twice."""
    schedule = Schedule(cron=cron, timezone=zone)
    for day in (
        dt.datetime(2025, 10, 26, tzinfo=dt.UTC),
        dt.datetime(2025, 11, 2, tzinfo=dt.UTC),
    ):
        for minutes in range(0, 8 * 60, 5):
            moment = day + dt.timedelta(minutes=minutes)
            assert schedule.next_after(moment).astimezone(dt.UTC) > moment


def test_missed_times() -> None:
    schedule = Schedule(cron="0 3 * * *")
    last = dt.datetime(2026, 11, 24, 3, tzinfo=dt.UTC)
    assert not schedule.is_due(last, last + dt.timedelta(hours=23))
    assert schedule.is_due(last, last + dt.timedelta(hours=24))
    assert schedule.is_due(last, last + dt.timedelta(days=9))


def test_jitter() -> None:
    assert Schedule(jitter=10).delay(lambda: 0.25) == 2.5
    assert Schedule().delay() == 0
