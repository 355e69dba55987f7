"""Nothing is left out of the reference: names, commands, options, settings."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import click
import pytest

import catalogsync
from catalogsync.cli._commands import cli
from catalogsync.config import AdapterInfo, Adapters
from catalogsync.engine import Options
from catalogsync.retry import RetryPolicy

DOCS = Path(__file__).parents[2] / "docs"
ADAPTERS = Adapters.installed().describe()


def load_signatures() -> ModuleType:
    """The script that knows what stands on the API page."""
    spec = importlib.util.spec_from_file_location("signatures", DOCS / "signatures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


signatures = load_signatures()
DESCRIBED: dict[str, list[object]] = defaultdict(list)
for described_in, described_name in signatures.described():
    DESCRIBED[described_name].append(
        getattr(import_module(described_in), described_name)
    )


def page(name: str) -> str:
    """The text of a page of the reference."""
    return (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """A section of the configuration reference, with those below it."""
    parts = re.split(r"^(?=## )", page("configuration"), flags=re.MULTILINE)
    (found,) = (part for part in parts if part.startswith(f"## {title}\n"))
    return found


@pytest.mark.parametrize("module", signatures.modules())
def test_every_name_of_a_public_module_is_in_the_api(module: str) -> None:
    """In its own section, or in that of another module that has it too."""
    home = import_module(module)
    missing = {
        name
        for name in home.__all__
        if not any(getattr(home, name) is value for value in DESCRIBED.get(name, ()))
    }
    assert not missing


@pytest.mark.parametrize("module", signatures.modules())
def test_the_api_has_only_names_that_modules_export(module: str) -> None:
    """So `from ... import *` and the page agree."""
    names = {name for home, name in signatures.described() if home == module}
    assert names <= set(import_module(module).__all__)


def test_every_room_has_a_section_in_the_api() -> None:
    """Every module and package directly below `catalogsync`, private ones aside."""
    rooms = {room.name for room in iter_modules(catalogsync.__path__)}
    described = {module.split(".")[1] for module in signatures.modules()[1:]}

    assert described == {name for name in rooms if name[0] != "_"} - {"cli"}


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
    fields = {f.name for f in Options.__attrs_attrs__} - {"transform", "keys", "only"}
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
    for name in {*catalogsync.__all__} - {"UNSET"}:
        assert re.search(rf"^(async )?{name}\b", text, re.MULTILINE)
