"""CONTRIBUTING shows the rooms as they are, and all use the words of the glossary."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from tests.words import ALLOWED, abandoned_words

from catalogsync import events
from catalogsync.adapters.sql._tables import metadata
from catalogsync.report import Report

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE = ROOT / "src" / "catalogsync"


def rooms() -> list[tuple[str, str]]:
    """The lines of the picture: rooms and their rule."""
    (picture,) = re.findall(r"```text\n(cli .*?)```", TEXT, re.DOTALL)
    lines = re.findall(r"^(\w+(?: \| \w+)*) {2,}(\S.*)$", picture, re.MULTILINE)
    assert len(lines) == picture.count("\n")
    return lines


def test_the_picture_of_the_rooms_is_what_lint_imports_checks() -> None:
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    assert [names for names, _ in rooms()] == layers


@pytest.mark.parametrize(("names", "rule"), rooms())
def test_each_line_has_a_rule_for_each_room(names: str, rule: str) -> None:
    assert "|" not in names or ";" in rule


@pytest.mark.parametrize(
    "folder",
    [p.name for p in sorted(PACKAGE.iterdir()) if (p / "__init__.py").exists()],
)
def test_every_folder_of_the_library_is_in_the_layout(folder: str) -> None:
    assert f"| `src/catalogsync/{folder}` |" in TEXT


def test_every_folder_of_the_layout_exists() -> None:
    folders = re.findall(
        r"^\| `([\w./]+)` \|", TEXT.split("## The rooms")[0], re.MULTILINE
    )
    assert [f for f in folders if not (ROOT / f).exists()] == []


@pytest.mark.parametrize("package", ["engine", "adapters/medusa"])
def test_the_docstring_of_a_large_package_names_exactly_its_modules(
    package: str,
) -> None:
    folder = PACKAGE / package
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    named = set(re.findall(r"`(\w+)`", text or ""))
    assert named - {"find", "write", "apply", "release", "retry"} == modules


def test_every_test_that_a_promise_names_exists() -> None:
    page = (ROOT / "docs" / "concepts" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z]+/test_\w+\.py)`", page)
    assert named
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []


ABANDONED = r"""
    rehears\w* | receipts? | run\ store | unsettled | disown\w* | wish(es)? | half[ -]made
    | strangers? | ambiguous\ product | anew | ledger | retired? | retires
"""
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
    *sorted((ROOT / "examples").glob("*.*")),
    *sorted((ROOT / "examples" / "schedulers").glob("*.*")),
]


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_pages_use_the_words_of_the_glossary(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    # The SQL sink's column keeps its name: `receipt`, `category.receipt`.
    abandoned = re.compile(rf"(?<![`.])\b({ABANDONED})\b", re.VERBOSE | re.IGNORECASE)
    assert [found[0] for found in abandoned.finditer(text)] == []


SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*")
    if path.suffix in {".py", ".html", ".js", ".css", ".svg"}
)


@pytest.mark.parametrize("path", [str(path.relative_to(PACKAGE)) for path in SOURCES])
def test_code_uses_the_words_of_the_glossary(path: str) -> None:
    text = (PACKAGE / path).read_text(encoding="utf-8")
    words = abandoned_words(f"{path} {text}")
    assert [w for w in words if w not in ALLOWED.get(path, ())] == []


QUOTING = {ROOT / "tests" / "words.py", Path(__file__)}
TESTS = sorted({*(ROOT / "tests").rglob("*.py")} - QUOTING)


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in TESTS])
def test_tests_use_the_words_of_the_glossary(path: str) -> None:
    words = abandoned_words((ROOT / path).read_text(encoding="utf-8"))
    # The SQL sink's columns keep their name.
    assert [w for w in words if w != "receipt"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class RunStore: ...", ["Run Store"]),
        ("half_made = _wish(RECEIPT)", ["half made", "wish", "RECEIPT"]),
        ("A product meets\n    its end.", ["meets its end"]),
        ("    # the key is\n    # none", ["is none"]),
        ("Ours | ours; None if there is none; none of ours", ["Ours"]),
        ("{% if x is none %}, wishing, unwanted", []),
    ],
)
def test_abandoned_words_are_found(text: str, words: list[str]) -> None:
    assert abandoned_words(text) == words


def test_pages_name_only_events_and_parts_of_reports_that_exist() -> None:
    script = (PACKAGE / "web" / "static" / "dashboard.js").read_text(encoding="utf-8")
    lists = re.findall(r"(?:KINDS = |WORKED = new Set\()\[(.*?)\]", script, re.DOTALL)
    names = re.findall(r'"(\w+)"', "".join(lists))
    assert len(lists) == 2
    assert {*names} <= {*events.__all__}
    page = (PACKAGE / "web" / "templates" / "run.html").read_text(encoding="utf-8")
    parts = re.findall(r"\breport\.(\w+)", page)
    assert parts
    assert all(hasattr(Report, part) for part in parts)


def test_the_columns_that_the_mapping_names_exist() -> None:
    page = (ROOT / "docs" / "reference" / "mapping.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (`[^|]+) \| ([^|]+) \|$", page.split("## SQL")[1], re.MULTILINE
    )
    assert rows
    for names, text in rows:
        tables = [metadata.tables[name] for name in re.findall(r"`(\w+)`", names)]
        columns = {column.name for table in tables for column in table.columns}
        assert {*re.findall(r"`(\w+)`", text)} <= columns
