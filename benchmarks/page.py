"""The costs on a page of the documentation, between two marks; the rest stays."""

from __future__ import annotations

from pathlib import Path

from .costs import Table

_BEGIN = "<!-- costs: written by `make costs`, not by hand -->\n"
_END = "<!-- end of the costs -->\n"


def around(page: Path) -> tuple[str, str]:
    """What stands before and after the marks of a page, with the marks.

    Raises:
        ValueError: The page does not have the marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{page} needs the lines {_BEGIN!r} and {_END!r}")
    return before + begin, end + after


def write(page: Path, measured: str, tables: list[Table]) -> None:
    """Replace what stands between the marks of a page.

    Args:
        page: The page, in Markdown.
        measured: Where and how often it was measured, as a sentence.
        tables: What to show.

    Raises:
        ValueError: The page does not have the marks.
    """
    before, after = around(page)
    parts = "\n".join([measured, *map(_shown, tables)])
    page.write_text(f"{before}\n{parts}\n\n{after}", encoding="utf-8")
    print(f"\nWritten to {page}.")


def _shown(table: Table) -> str:
    ruler = ["---", *["--:" for _ in table.head[1:]]]
    rows = [table.head, ruler, *table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(["", f"### {table.title}", "", *lines])
