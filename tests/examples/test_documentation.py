"""Nothing is left out of the reference: names, commands, options, settings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import catalogsync
from catalogsync import events
from catalogsync.cli._commands import cli
from catalogsync.config import AdapterInfo, Adapters
from catalogsync.engine import Options
from catalogsync.retry import RetryPolicy

DOCS = Path(__file__).parents[2] / "docs"
ADAPTERS = Adapters.installed().describe()


def page(name: str) -> str:
    """The text of a page of the reference."""
    return (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """A section of the configuration reference, with those below it."""
    parts = re.split(r"^(?=## )", page("configuration"), flags=re.MULTILINE)
    (found,) = (part for part in parts if part.startswith(f"## {title}\n"))
    return found


@pytest.mark.parametrize("name", catalogsync.__all__)
def test_every_public_name_is_in_the_api(name: str) -> None:
    """As a directive of Sphinx."""
    assert re.search(rf"^\.\. (auto|py:)\w+:: {name}\b", page("api"), re.MULTILINE)


@pytest.mark.parametrize("name", [n for n in events.__all__ if n[0].isupper()])
def test_every_event_is_in_the_api(name: str) -> None:
    """As a directive of Sphinx."""
    assert re.search(rf"^\.\. autoclass:: {name}\b", page("api"), re.MULTILINE)


@pytest.mark.parametrize("name", cli.commands)
def test_every_command_and_option_is_described(name: str) -> None:
    """Commands in headings, options in tables."""
    text = page("command-line")

    assert f"\n### catalogsync {name}" in text

    for parameter in [*cli.commands[name].params, *cli.params]:
        if isinstance(parameter, click.Option):
            for option in parameter.opts:
                assert f"`{option}" in text


@pytest.mark.parametrize(
    "adapter", ADAPTERS, ids=lambda adapter: f"{adapter.kind}-{adapter.name}"
)
def test_every_setting_is_described(adapter: AdapterInfo) -> None:
    """With its default, where that is a number or a text of its own."""
    own = section(f"{adapter.kind.capitalize()}: {adapter.name}")
    http = section("http")

    assert not adapter.problem

    for setting in adapter.settings:
        rest = setting.name.removeprefix("http.")
        text = own if rest == setting.name else http
        row = re.search(rf"^\| `{rest}` \|.*", text, re.MULTILINE)
        assert row, setting.name
        assert ("secret" in row[0]) is setting.secret
        assert ("required" in row[0]) is setting.required
        if setting.default not in {None, "null"}:
            default = str(setting.default).strip('"')
            assert f" {default} " in row[0].replace("`", "")


def test_every_option_of_a_job_is_described() -> None:
    """Those that a file can set."""
    fields = {f.name for f in Options.__attrs_attrs__} - {"transform", "keys"}
    rows = set(re.findall(r"^\| `(\w+)`", section("Options"), re.MULTILINE))

    assert rows == fields | {f.name for f in RetryPolicy.__attrs_attrs__}


def test_every_promise_is_shown_by_tests_that_are_there() -> None:
    """Each row of the table names some."""
    text = (DOCS / "concepts" / "promises.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*.*", text, re.MULTILINE)

    assert rows

    for row in rows:
        named = re.findall(r"`(\w+/test_\w+\.py)`", row)
        assert named, row
        for name in named:
            assert (DOCS.parent / "tests" / name).is_file(), name


def test_signatures_are_those_of_the_code() -> None:
    """If not: `python docs/signatures.py > docs/reference/signatures.md`."""
    script = DOCS / "signatures.py"
    done = subprocess.run(
        [sys.executable, script], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == page("signatures")


def test_signatures_are_readable() -> None:
    """Types and defaults as people write them, for each public name."""
    text = page("signatures")
    assert "batch_size: int | None = None" in text
    assert "retry: RetryPolicy = RetryPolicy()" in text
    assert not re.search(r"NOTHING|attr_dict| at 0x|<\w", text)
    for name in catalogsync.__all__:
        assert re.search(rf"\b{name}\b", text) or name in {
            "__version__",
            "UNSET",
            "Json",
        }
