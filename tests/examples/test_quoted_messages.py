"""Messages that the troubleshooting tables quote are those of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"
_VARIABLE = "..."
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|`(?:[^`\\]|\\.)*`")


def python_messages() -> Iterator[str]:
    """Every string of the engine and the sink, with `...` for what is filled in."""
    rooms = [ROOT / "src/catalogsync" / room for room in ("adapters/medusa", "engine")]
    for file in (file for room in rooms for file in room.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.JoinedStr(values=parts):
                    texts = (getattr(part, "value", None) for part in parts)
                    yield "".join(
                        text if isinstance(text, str) else _VARIABLE for text in texts
                    )
                case ast.Constant(value=str(text)):
                    yield text
                case _:
                    pass


def plugin_messages() -> Iterator[str]:
    """Every string of the plugin for Medusa's admin, in the same form."""
    for file in (ROOT / "integrations/medusa-admin/src").rglob("*.ts*"):
        for quoted in _STRING.findall(file.read_text(encoding="utf-8")):
            yield re.sub(r"\$\{[^}]*\}", _VARIABLE, quoted[1:-1])


MESSAGES = {
    "medusa": ("the report says", [*python_messages()]),
    "medusa-admin": ("the widget says", [*plugin_messages()]),
}


def quoted(page: str, header: str) -> list[str]:
    """The first column of a table."""
    text = (HOW_TO / f"{page}.md").read_text(encoding="utf-8")
    table = text.partition(f"| {header} |")[2].partition("\n\n")[0]
    rows = table.splitlines()[2:]
    return [row.split("|")[1].strip().strip("`") for row in rows]


ROWS = [
    (page, message)
    for page, (header, _) in MESSAGES.items()
    for message in quoted(page, header)
]


def test_there_are_tables() -> None:
    """One on each page."""
    assert {page for page, _ in ROWS} == MESSAGES.keys()


@pytest.mark.parametrize(("page", "message"), ROWS)
def test_a_quoted_message_is_in_the_code(page: str, message: str) -> None:
    """Each of its fixed parts; `...` stands for what varies."""
    _, messages = MESSAGES[page]
    for part in message.split(_VARIABLE):
        fixed = part.strip(" .;")
        assert any(fixed in text for text in messages), fixed
