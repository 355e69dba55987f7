"""Configurations that are wrong: every message names the place, and no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from catalogsync import MisconfiguredError
from catalogsync.config import Adapters, load_config

from .conftest import Load
from .stand_ins import ADAPTERS, ShelfSettings

Refuse = Callable[..., list[str]]

SECRET = "canary-5f2a"
SOURCE = "source = { type = 'shelf', url = 'here' }"
SINK = "sink = { type = 'box', email = 'e', password = 'p' }"


def job(*lines: str) -> str:
    return "\n".join(["[jobs.x]", *lines])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[job.x]", "job: unknown key; did you mean `jobs`?"),
        ("jobs = 1", "jobs: must be a table"),
        ("jobs.x = 1", "jobs.x: must be a table"),
        (job(SOURCE), "jobs.x.sink: is missing"),
        (job(SINK, "source = 'shelf'"), "jobs.x.source: must be a table with a `type`"),
        (job(SINK, "source = {}"), "jobs.x.source.type: is missing; known: `shelf`"),
        (
            job(SINK, "source = { type = 1 }"),
            "jobs.x.source.type: must be text, not a whole number",
        ),
        (
            job(SINK, "source = { type = 'shelv' }"),
            "jobs.x.source.type: unknown source; did you mean `shelf`?; known:",
        ),
        (
            job(SOURCE, SINK, "optoins = {}"),
            "jobs.x.optoins: unknown key; did you mean `options`?",
        ),
        (
            job(SOURCE, SINK, "options = { zzzz = 1 }"),
            "jobs.x.options.zzzz: unknown key; known: `adopt`, `batch_size`, `complete`",
        ),
        (job(SOURCE, SINK, "options = 3"), "jobs.x.options: must be a table,"),
        (
            job(SOURCE, SINK, "options = { batch_size = 0 }"),
            "jobs.x.options.batch_size: must be 1 or more, is 0",
        ),
        (
            job(SOURCE, SINK, "options.retry.attempts = 0"),
            "jobs.x.options.retry.attempts: must be 1 or more, is 0",
        ),
        (
            job(SOURCE, SINK, "options.retry = 4"),
            "jobs.x.options.retry: must be a table, not a whole number",
        ),
        (job(SOURCE, SINK, "schedule = 5"), "jobs.x.schedule: must be text"),
        (job(SOURCE, SINK, "lanes = 5"), "jobs.x.lanes: must be a list of tables"),
        (
            job(SOURCE, SINK, "lanes = [{ only = ['stock'] }]"),
            "jobs.x.lanes[0].schedule: is missing",
        ),
        (
            job(SOURCE, SINK, "lanes = [{ only = ['stok'], schedule = '@hourly' }]"),
            "jobs.x.lanes[0].only[0]: must be one of",
        ),
        (
            job(SOURCE, SINK, "lanes = [{ only = ['sku'], schedule = '@hourly' }]"),
            "jobs.x.lanes[0].only: sku can only be written by a run over all fields",
        ),
        (
            job(SOURCE, SINK, "lanes = [{ only = [], schedule = '@hourly' }]"),
            "jobs.x.lanes[0].only: needs at least one field",
        ),
        (
            job(
                SOURCE, SINK, "lanes = [{ only = ['stock'], schedule = '0 25 * * *' }]"
            ),
            "jobs.x.lanes[0].schedule: '0 25 * * *' is not a cron expression (bad hour)",
        ),
        (
            job(SOURCE, SINK, "lanes = [{ only = ['stock'], schedule = 5, when = 1 }]"),
            "jobs.x.lanes[0].when: unknown key",
        ),
        (
            job(SOURCE, SINK, "schedule = '0 25 * * *'"),
            "jobs.x.schedule: '0 25 * * *' is not a cron expression (bad hour)",
        ),
        ("jobs.'\\u0007' = {}", "jobs."),
    ],
)
def test_jobs(refuse: Refuse, text: str, expected: str) -> None:
    """What is wrong with a job, around its two sides."""
    assert refuse(text)[0].startswith(expected)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", "url: is missing"),
        ("url = 5", "url: must be text, not a whole number"),
        ("url = 'u', size = '5'", "size: must be a whole number, not text"),
        ("url = 'u', size = 5.0", "size: must be a whole number, not a number"),
        ("url = 'u', size = true", "size: must be a whole number, not true or false"),
        ("url = 'u', size = 0", "size: must be >= 1: 0"),
        ("url = 'u', size = 1979-05-27", "size: must be a whole number, not a date"),
        ("url = 'u', strict = 1", "strict: must be true or false, not a whole number"),
        ("url = 'u', mode = 'slow'", "mode: must be one of `fast`, `safe`"),
        ("url = 'u', order = 1", "order: must be one of `up`, `down`"),
        ("url = 'u', tags = 'a'", "tags: must be a list, not text"),
        ("url = 'u', tags = ['a', 1]", "tags[1]: must be text, not a whole number"),
        ("url = 'u', labels = []", "labels: must be a table, not a list"),
        ("url = 'u', labels = { a = 'b' }", "labels.a: must be a whole number"),
        ("url = 'u', folder = 1", "folder: must be text, not a whole number"),
        ("url = 'u', net = { timeout = 0 }", "net.timeout: must be > 0: 0"),
        ("url = 'u', net = { timeout = '1' }", "net.timeout: must be a number, not"),
        ("url = 'u', net = { time = 1 }", "net.time: unknown key; did you mean"),
        ("url = '${NO}'", "url: the environment variable NO is not set"),
        ("url = 'a${NO', size = 1", "url: `${` does not begin a variable"),
        ("url = '${}'", "url: `${` does not begin a variable"),
        ("url = 'u', tags = ['${NO}']", "tags[0]: the environment variable NO"),
    ],
)
def test_settings(refuse: Refuse, settings: str, expected: str) -> None:
    """What is wrong with the settings of an adapter."""
    comma = ", " if settings else ""
    text = job(SINK, f"source = {{ type = 'shelf'{comma}{settings} }}")
    (line,) = refuse(text)
    assert line.startswith(f"jobs.x.source.{expected}")


def test_all_at_once(refuse: Refuse) -> None:
    """One error reports all problems, one line each."""
    text = """
    [jobs.a]
    source = { type = "shelf", urll = "u", size = "1" }
    sink = { type = "box", email = "e", password = "p" }
    when = "now"
    [jobs.b]
    source = { type = "rack" }
    sink = { type = "box", emial = "${NOBODY}", password = "p" }
    """
    known = "`inform`, `lanes`, `options`, `schedule`, `sink`, `source`"
    assert refuse(text) == [
        f"jobs.a.when: unknown key; known: {known}",
        "jobs.a.source.urll: unknown key; did you mean `url`?",
        "jobs.a.source.url: is missing",
        "jobs.a.source.size: must be a whole number, not text",
        "jobs.b.sink.emial: the environment variable NOBODY is not set",
        "jobs.b.source.type: unknown source; known: `shelf`",
        "jobs.b.sink.email: is missing",
    ]


def test_unknown_job(load: Load, refuse: Refuse) -> None:
    """A job that is not there: the nearest one and all that are."""
    text = "\n".join([job(SOURCE, SINK), "[jobs.products]", SOURCE, SINK])
    expected = "unknown job; did you mean `products`?; known: `products`, `x`"
    with pytest.raises(MisconfiguredError) as caught:
        load(text).job("product")
    assert str(caught.value) == f"jobs.product: {expected}"
    assert refuse(text, only="product") == [f"jobs.product: {expected}"]
    assert refuse("", only="x") == ["jobs.x: unknown job; known: none"]
    assert refuse("[job.x]", only="x")[0].startswith("job: unknown key")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[jobs\n", "is not TOML: Expected ']' at the end of a table"),
        (b"a = 1\nb = \n", "is not TOML: Invalid value (at line 2, column 5)"),
        (b"a = 1\n\n# \xff", "is not UTF-8 (at line 3)"),
        (b"a = 1\na = 2\n", "is not TOML: Cannot overwrite a value (at line 2"),
    ],
)
def test_no_toml(tmp_path: Path, content: bytes, expected: str) -> None:
    """Invalid TOML is reported with its line."""
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(MisconfiguredError) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: {expected}")


def test_no_file(tmp_path: Path) -> None:
    """A file that is missing, or none."""
    with pytest.raises(MisconfiguredError, match="the file does not exist"):
        load_config(tmp_path / "missing.toml")
    with pytest.raises(MisconfiguredError, match="cannot be read: Is a directory"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    "sink",
    [
        "type = 'box', email = 'e', password = 'SECRET', emial = 'SECRET'",
        "type = 'box', email = 'e', password = 'SECRET SECRET SECRET SECRET SECRET'",
        "type = 'box', email = 'e', password = ['SECRET']",
        "type = 'box', email = 'e', password = { SECRET_in = 'SECRET' }",
        "type = 'box', email = 1, passwrod = 'SECRET'",
        "type = 'box', email = 1, password = '${VAR}', api_key = 'x${SECRET'",
        "type = 'box', email = 'e', password = '${VAR}${VAR}${VAR}${VAR}'",
        "type = 'box', email = 'e', password = 'p', nets = [{ proxy = 1 }, 'SECRET']",
        "type = 'SECRET'",
        "type = '${VAR}'",
    ],
)
def test_secrets(refuse: Refuse, sink: str) -> None:
    """No message holds the value of a setting that is secret, or of the wrong one."""
    text = job(SOURCE, f"sink = {{ {sink.replace('SECRET', SECRET)} }}")
    for line in refuse(text, {"VAR": SECRET}):
        assert SECRET not in line.replace(f"{SECRET}_in", "")


def test_hidden_value_is_reported(refuse: Refuse) -> None:
    """A message that would show a secret is replaced."""
    sink = f"sink = {{ type = 'box', email = 'e', password = '{'p' * 50}' }}"
    assert refuse(job(SOURCE, sink)) == [
        "jobs.x.sink.password: is not accepted (the value is not shown)"
    ]


@pytest.mark.parametrize(
    ("settings", "value", "problem"),
    [
        ("size = '${X}'", "many", "size: must be a whole number; the environ"),
        ("size = '${X}'", "2.5", "size: must be a whole number; the environ"),
        ("size = '${X}'", "", "size: must be a whole number; the environme"),
        ("size = '${X}'", "0", "size: must be >= 1"),
        ("strict = '${X}'", "yes", "strict: must be true or false; the en"),
        ("net = { timeout = '${X}' }", "a", "net.timeout: must be a number; the"),
        ("mode = '${X}'", "a", "mode: must be one of `fast`, `safe`"),
        ("tags = '${X}'", "a", "tags: must be a list, not text"),
        ("labels = { a = '${X}' }", "t", "labels.a: must be a whole number; the"),
        ("size = '5'", "", "size: must be a whole number, not text"),
        ("name = '${X}'", "a\udcffb", "name: the environment variable X is not UTF-8"),
    ],
)
def test_values_of_the_environment(
    refuse: Refuse, settings: str, value: str, problem: str
) -> None:
    """Errors never contain the value."""
    source = f"source.type = 'shelf'\nsource.url = 'here'\nsource.{settings}"
    (line,) = refuse(f"[jobs.x]\n{source}\n{SINK}", {"X": value})
    assert line.replace("'size' ", "").startswith(f"jobs.x.source.{problem}")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_secret_with_a_line_break_at_its_end(refuse: Refuse, ending: str) -> None:
    """As it comes from a file, and as no server takes it."""
    sink = "sink = { type = 'box', email = 'e', password = '${X}' }"
    (line,) = refuse(job(SOURCE, sink), {"X": f"hush-hush{ending}"})
    assert line.startswith("jobs.x.sink.password: ends with a line break")
    assert "hush" not in line


def test_class_that_cannot_be_read(load: Load, tmp_path: Path) -> None:
    """A settings class with a type that TOML lacks is reported."""

    @attrs.frozen
    class Odd:
        number: complex

        def open(self) -> None: ...

    file = tmp_path / "x.toml"
    file.write_text(job(SINK, "source = { type = 'odd', number = 'x' }"))
    adapters = attrs.evolve(ADAPTERS, sources={"odd": Odd, "none": object})
    with pytest.raises(MisconfiguredError, match=r"source\.number: cannot be read"):
        load_config(file, adapters=adapters)
    file.write_text(job(SINK, "source = { type = 'none' }"))
    with pytest.raises(
        MisconfiguredError, match=r"source\.type: .* is not an attrs class"
    ):
        load_config(file, adapters=adapters)


def test_errors_of_a_class(tmp_path: Path) -> None:
    """A class's error about several values is reported at the path of the class."""

    @attrs.frozen
    class Pair(ShelfSettings):
        def __attrs_post_init__(self) -> None:
            if self.size > 2:
                raise ValueError("too much for it")

    file = tmp_path / "x.toml"
    file.write_text(job(SINK, "source = { type = 'pair', url = 'u', size = 3 }"))
    adapters = Adapters(sources={"pair": Pair}, sinks=ADAPTERS.sinks)
    with pytest.raises(MisconfiguredError, match=r"^jobs\.x\.source: too much for it$"):
        load_config(file, adapters=adapters)
