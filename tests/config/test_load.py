"""Reading a configuration that is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalogsync import Field, MisconfiguredError, Options, RetryPolicy
from catalogsync.config import Adapters, Lane, load_config
from catalogsync.schedule import Schedule

from .conftest import Load
from .stand_ins import BoxSettings, Mode, Net, ShelfSettings

FULL = """
[jobs.products]
source = { type = "shelf", url = "here", size = 3, mode = "safe", strict = true }
sink = { type = "box", email = "a@example.com", password = "${PASSWORD}" }
schedule = "0 0 * * *"

[jobs.products.options]
batch_size = 5
writers = 2
pages_ahead = 1
limit = 7
retry = { attempts = 2, wait_initial = 1 }

[jobs.plain]
source = { type = "shelf", url = "there" }
sink = { type = "box", email = "b@example.com", password = "pa$$word$" }
"""


def test_everything(load: Load) -> None:
    """Tables become settings, with their defaults."""
    config = load(FULL, {"PASSWORD": "hush"})
    job = config.job("products")
    assert list(config.jobs) == ["products", "plain"]
    assert job.source == ShelfSettings(url="here", size=3, mode=Mode.SAFE, strict=True)
    assert job.sink == BoxSettings(email="a@example.com", password="hush")
    assert job.options == Options(
        batch_size=5,
        writers=2,
        pages_ahead=1,
        limit=7,
        retry=RetryPolicy(attempts=2, wait_initial=1.0),
    )
    assert job.schedule == Schedule(cron="0 0 * * *")
    plain = config.job("plain")
    assert plain.options == Options()
    assert plain.schedule == Schedule(cron="@daily", timezone="UTC")


def test_lanes(load: Load) -> None:
    """Each has its fields, in order and once, and a schedule as text or table."""
    text = """
    [jobs.x]
    source = { type = "shelf", url = "here" }
    sink = { type = "box", email = "a@example.com", password = "b" }
    schedule = "never"
    [[jobs.x.lanes]]
    only = ["stock", "prices", "stock"]
    schedule = "*/5 * * * *"
    [[jobs.x.lanes]]
    only = ["title"]
    schedule = { cron = "@hourly", timezone = "Europe/Berlin" }
    """
    job = load(text).job("x")
    assert job.schedule is None
    assert job.lanes == (
        Lane(
            only=[Field.PRICES, Field.STOCK],
            schedule=Schedule(cron="*/5 * * * *"),
        ),
        Lane(
            only=[Field.TITLE],
            schedule=Schedule(cron="@hourly", timezone="Europe/Berlin"),
        ),
    )


def test_all_types(load: Load) -> None:
    """Lists, tables in tables, choices, paths and numbers."""
    text = """
    [jobs.x.source]
    type = "shelf"
    url = "here"
    order = "down"
    tags = ["a", "b"]
    labels = { one = 1 }
    folder = "some/where"
    net = { timeout = 5, proxy = "http://proxy" }
    [jobs.x.sink]
    type = "box"
    email = ""
    password = "p"
    nets = [{ timeout = 1.5 }, {}]
    """
    job = load(text).job("x")
    assert job.source == ShelfSettings(
        url="here",
        order="down",
        tags=("a", "b"),
        labels={"one": 1},
        folder=Path("some/where"),
        net=Net(timeout=5.0, proxy="http://proxy"),
    )
    assert isinstance(job.sink, BoxSettings)
    assert list(job.sink.nets) == [Net(timeout=1.5), Net()]


def test_numbers_and_booleans_of_the_environment(load: Load) -> None:
    """There everything is text; what it spells is what counts."""
    environ = {"SIZE": "7", "ON": "True", "WAIT": " 2.5", "WHOLE": "3", "ONE": "1"}
    text = """
    [jobs.x.source]
    type = "shelf"
    url = "here"
    size = "${SIZE}"
    strict = "${ON}"
    labels = { one = "${ONE}0" }
    net = { timeout = "${WAIT}" }
    [jobs.x]
    sink = { type = "box", email = "e", password = "p", nets = [{ timeout = "${ONE}" }] }
    options = { limit = "${WHOLE}", retry = { wait_initial = "${WHOLE}" } }
    """
    job = load(text, environ).job("x")
    assert job.source == ShelfSettings(
        url="here", size=7, strict=True, labels={"one": 10}, net=Net(timeout=2.5)
    )
    assert isinstance(job.sink, BoxSettings)
    assert list(job.sink.nets) == [Net(timeout=1.0)]
    assert (job.options.limit, job.options.retry.wait_initial) == (3, 3.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${B}z", "x1y2z"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$A and $", "$A and $"),
        ("${EMPTY}", ""),
        ("${NESTED}", "${A}"),
    ],
)
def test_environment(load: Load, text: str, expected: str) -> None:
    """`${NAME}` is put in anywhere, once, and `$$` is a dollar."""
    environ = {"A": "1", "B": "2", "EMPTY": "", "NESTED": "${A}"}
    source = f"{{ type = 'shelf', url = '{text}', tags = ['{text}'] }}"
    job = load(
        f"jobs.x = {{ source = {source}, sink = {{ type = 'box', email = 'e',"
        " password = 'p' } }",
        environ,
    ).job("x")
    assert isinstance(job.source, ShelfSettings)
    assert job.source.url == expected
    assert type(job.source.url) is str
    assert job.source.tags == (expected,)


def test_dates_are_no_texts(load: Load) -> None:
    """TOML's own types stay what they are where nothing is expanded."""
    with pytest.raises(MisconfiguredError, match="must be text, not a date or time"):
        load("jobs.x.source = { type = 'shelf', url = 1979-05-27 }")


def test_only_one_job(load: Load) -> None:
    """Requirements of other jobs may be missing if only one is read."""
    assert list(load(FULL, only="plain").jobs) == ["plain"]
    with pytest.raises(MisconfiguredError, match="PASSWORD"):
        load(FULL, only="products")


def test_no_jobs(load: Load) -> None:
    """An empty file is a configuration without jobs."""
    assert load("").jobs == {}
    assert load("\ufeff[jobs]").jobs == {}


def test_real_adapters(tmp_path: Path) -> None:
    """What is installed is found by entry points."""
    file = tmp_path / "x.toml"
    file.write_text(
        """
        [jobs.local]
        source = { type = "dummyjson", url = "http://127.0.0.1:8080" }
        sink = { type = "sql", url = "sqlite:///catalog.db" }
        """
    )
    job = load_config(str(file)).job("local")
    assert type(job.source).__name__ == "DummyJSONSettings"
    assert type(job.sink).__name__ == "SQLSettings"
    assert set(Adapters.installed().sinks) >= {"sql", "medusa"}
