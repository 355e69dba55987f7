"""Credentials, rate limits and other settings of the JSON API source."""

from __future__ import annotations

import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
from tests.adapters.api_runs import (
    MAPPING,
    QUERY,
    STYLES,
    api_with,
    run_on,
    settings,
    things,
)
from tests.adapters.xml_runs import settings as xml_settings

from catalogsync import (
    MemorySink,
    MisconfiguredError,
    Options,
    Prune,
    RunStatus,
    TransientError,
    UnauthorizedError,
    sync,
)
from catalogsync.adapters.json_api import (
    ChangedSince,
    Credentials,
    JSONAPISettings,
    Paging,
)
from catalogsync.adapters.json_api._pace import Pace, asked_to_wait
from catalogsync.config import load_config, secrets_of
from catalogsync.errors import MissingExtraError
from catalogsync.testing.api import APIStyle
from catalogsync.testing.faults import bad_json

NOW = 1_800_000_000


@attrs.define
class Clock:
    """Time that passes only while somebody sleeps."""

    now: float = 0.0
    slept: list[float] = attrs.field(factory=list[float])

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit-Remaining": "0", "RateLimit-Reset": "7"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7"},
        {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "7.0"},
        {"RateLimit": "limit=10, remaining=0, reset=7"},
        {"RateLimit": '"default";r=0;t=7'},
        {
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(NOW + 7),
            "Date": formatdate(NOW, usegmt=True),
        },
        {
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str((NOW + 7) * 1000),
            "Date": formatdate(NOW, usegmt=True),
        },
    ],
)
async def test_no_request_is_sent_while_none_is_left(headers: dict[str, str]) -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    await pace.wait()
    pace.learn(headers)
    await pace.wait()
    await pace.wait()
    assert clock.slept == [7]
    assert asked_to_wait(headers) == 7
    assert asked_to_wait({**headers, "Retry-After": "3"}) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "7"},
        {"X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Remaining": "many", "X-RateLimit-Reset": "later"},
        {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "9" * 400},
        {"RateLimit": "r=" * 10_000},
    ],
)
async def test_other_headers_delay_nothing(headers: dict[str, str]) -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    pace.learn(headers)
    await pace.wait()
    assert clock.slept == []


async def test_a_long_wait_is_left_to_the_engine() -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    pace.learn({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3600"})
    with pytest.raises(TransientError, match="for another 3600 s") as caught:
        await pace.wait()
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"username": "a", "token": "b"},
        {"key": "k"},
        {"header": "X-Api-Key"},
        {"key": "k", "header": "a", "parameter": "b"},
        {"client_id": "a", "client_secret": "b"},
        {"scope": "all"},
    ],
)
def test_credentials_are_of_exactly_one_kind(given: dict[str, str]) -> None:
    with pytest.raises(MisconfiguredError):
        Credentials(**given)


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"paging": {"style": "cursor"}}, "paging.next"),
        ({"paging": {"style": "pages"}}, "paging.style"),
        ({"paging": {"size": 0}}, "paging.size"),
        ({"headers": {"X Y": "1"}}, "headers"),
        ({"lookup": "/products"}, "lookup"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path: Path, given: Any, setting: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        load_config(written(tmp_path, **given))
    assert f"jobs.products.source.{setting}" in str(caught.value)


def written(folder: Path, url: str = "https://api.example.com", **given: Any) -> Path:
    """A configuration file with these settings."""
    file = folder / "catalogsync.toml"
    lines = ["[jobs.products]", 'sink = { type = "sql", url = "sqlite://" }']
    lines += ["[jobs.products.source]", 'type = "json_api"', f'url = "{url}"']
    for name, value in given.items():
        lines.append(f"{name} = {toml(value)}")
    lines += ["[jobs.products.source.map]", 'key = "id"', 'title = "name"']
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def toml(value: Any) -> str:
    match value:
        case dict():
            entries = (f'"{name}" = {toml(each)}' for name, each in value.items())
            return f"{{ {', '.join(entries)} }}"
        case str():
            return f'"""{value}"""'
        case _:
            return str(value).lower()


async def test_a_job_from_a_file(tmp_path: Path) -> None:
    style = APIStyle(paging="page", auth="header")
    async with api_with(things(23), style) as api:
        file = written(
            tmp_path,
            f"{api.url}/products",
            items="data",
            total="meta.total",
            paging={"style": "page", "size": 10},
            auth={"key": api.credentials.key, "header": "X-Api-Key"},
        )
        job = load_config(file).job("products")
        report = await job.run()
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 23
    assert api.credentials.key in secrets_of(job.source)
    assert api.credentials.key not in repr(job)


async def test_a_graphql_job_from_a_file(tmp_path: Path) -> None:
    async with api_with(things(23), APIStyle(paging="graphql")) as api:
        query = {"query": QUERY.replace("\n", " "), "connection": "products"}
        file = written(tmp_path, f"{api.url}/graphql", graphql=query)
        report = await load_config(file).job("products").run()
    assert report.counts.created == 23


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            '{"message": "slow down", "extensions": {"code": "THROTTLED"}}',
            TransientError,
        ),
        ('{"message": "no", "extensions": {"code": "FORBIDDEN"}}', UnauthorizedError),
        ('{"message": "Cannot query field"}', MisconfiguredError),
        ('"what?"', MisconfiguredError),
        ('{"message": 5, "extensions": 7}', MisconfiguredError),
    ],
)
async def test_errors_of_graphql(error: str, kind: type[Exception]) -> None:
    fault = bad_json(body=f'{{"errors": [{error}]}}')
    async with api_with([], APIStyle(paging="graphql"), [fault]) as api:
        with pytest.raises(kind):
            await run_on(api)


@pytest.mark.parametrize("paging", STYLES)
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("iso", "2027-01-15T07:50:00Z"),
        ("date", "2027-01-15"),
        ("unix", str(NOW - 600)),
        ("unix_ms", str((NOW - 600) * 1000)),
    ],
)
async def test_only_what_changed(paging: Any, kind: Any, value: str) -> None:
    since = ChangedSince(parameter="changed", window=600, format=kind)
    async with (
        api_with(things(12), APIStyle(paging=paging)) as api,
        settings(api, changed_since=since).open() as source,
    ):
        pages = getattr(source, "pages", source)
        pages.clock = lambda: float(NOW)
        report = await sync(source, MemorySink())
        with pytest.raises(ValueError, match="complete: must be true with `prune`"):
            await sync(source, MemorySink(), options=Options(prune=Prune.DELETE))
        queries = [parse_qs(urlsplit(path).query) for _, path in api.requests]
    assert report.counts.created == 12
    if paging not in {"graphql", "next", "link"}:
        assert queries
        assert all(query["changed"] == [value] for query in queries)


async def test_a_limit_from_settings() -> None:
    async with (
        api_with([]) as api,
        settings(api, max_requests=5, per=2.5).open() as source,
    ):
        pages = getattr(source, "pages", source)
        limiter = pages.client.http.limiter
        assert (limiter.most, limiter.per) == (5, 2.5)


def test_what_a_repr_shows() -> None:
    given = JSONAPISettings(
        url="https://api.example.com/products?key=s3cret",
        map=MAPPING,
        headers={"X-Key": "s3cret"},
        auth=Credentials(token="s3cret"),
        paging=Paging(style="page"),
    )
    assert "s3cret" not in repr(given)


def test_time_is_real_by_default() -> None:
    assert Pace().clock is time.monotonic


@pytest.mark.parametrize(
    ("make", "module", "extra"),
    [
        (lambda: settings_of("https://api.example.com").open(), "jmespath", "mapping"),
        (lambda: xml_settings("feed.xml").open(), "lxml", "files"),
    ],
)
async def test_an_extra_that_is_missing_is_named(
    make: Any, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = make()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"catalogsync\[{extra}\]"):
        async with opening:
            pytest.fail("must not open")


def settings_of(url: str) -> JSONAPISettings:
    return JSONAPISettings(url=url, map=MAPPING)
