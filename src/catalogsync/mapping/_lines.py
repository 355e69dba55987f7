"""Small CSV files that a mapping names, such as tables of categories and of rates."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from catalogsync.errors import InvalidValueError

__all__ = ["read_lines", "read_text"]

_LONGEST_FILE = 64 << 20


def read_text(setting: str, file: Path) -> str:
    """The text of a file in UTF-8 of at most 64 MB.

    Args:
        setting: The setting that names the file, for errors.
        file: The file.

    Raises:
        InvalidValueError: It cannot be read.
    """
    try:
        if file.stat().st_size > _LONGEST_FILE:
            raise InvalidValueError(setting, "is larger than 64 MB")
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        problem = f"{file} cannot be read: {error.strerror}"
        raise InvalidValueError(setting, problem) from None
    except UnicodeDecodeError:
        raise InvalidValueError(setting, f"{file} is not UTF-8") from None


def read_lines(setting: str, file: Path, width: int) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row that is not empty.

    Args:
        setting: The setting that names the file, for errors.
        file: The file; its cells are separated by `,`, `;` or tabs.
        width: How many cells each row has.

    Raises:
        InvalidValueError: It cannot be read, or a row has another number of cells.
    """
    text = read_text(setting, file)
    separator = max(",;\t", key=text.partition("\n")[0].count)
    for number, cells in enumerate(
        csv.reader(text.splitlines(), delimiter=separator), 1
    ):
        if not any(cells):
            continue
        if len(cells) != width:
            problem = (
                f"row {number} of {file} has {len(cells)} cells instead of {width}"
            )
            raise InvalidValueError(setting, problem)
        yield number, [cell.strip() for cell in cells]
