"""CONTRIBUTING shows the rooms of the house as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

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


def test_every_test_that_a_promise_names_exists() -> None:
    page = (ROOT / "docs" / "concepts" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z]+/test_\w+\.py)`", page)
    assert named
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []
