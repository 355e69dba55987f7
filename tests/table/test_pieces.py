"""Rows are read in pieces and kept on the disk, and nobody can tell."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings, strategies as st
from tests import strategies  # noqa: F401 # pyright: ignore[reportUnusedImport] - settings of Hypothesis
from tests.table.tables import settings as table_settings

from catalogsync.adapters.table._delimited import (
    Dialect,
    _format,  # pyright: ignore[reportPrivateUsage]
    _Lines,  # pyright: ignore[reportPrivateUsage]
    _Parser,  # pyright: ignore[reportPrivateUsage]
)
from catalogsync.files import Row, _staging

_PIECES = (
    *("a", "b", ",", ",", ",", "\n", "\n", "\r\n", "\r", '"', '"', '""', " "),
    *("\\", "\0", "ä", "\udcff", "\x1c", "\u2028", "1,2,3\n", '"x\ny",2,3\n', "x" * 99),
)
_TEXTS = st.lists(st.sampled_from(_PIECES), max_size=60).map("".join)
_DIALECTS = {
    "usual": Dialect(),
    "filled": Dialect(fill=True),
    "escaped": Dialect(escape="\\"),
    "no quotation marks": Dialect(quote=""),
}


@pytest.mark.parametrize("name", _DIALECTS)
@given(text=_TEXTS)
@example(text='1,2,3\n"a\n1,2,3\n1,2,3\n')
@example(text="1,2,3\n1,2\n" * 3 + '1,"2"x,3\n1,2,3\n\n4,5,6')
def test_rows_are_the_same_however_much_is_read_at_once(name: str, text: str) -> None:
    """Line by line, in small pieces, and all at once: cells, positions, problems."""
    at_once = [_rows(text, _DIALECTS[name], size) for size in (1, 30, 1 << 16)]
    assert at_once[0] == at_once[1] == at_once[2]


def _rows(text: str, dialect: Dialect, at_once: int) -> list[Row]:
    lines = _Lines(io.StringIO(text, newline=""), (), at_once)
    form = _format(dialect, ",")
    parser = _Parser(lines=lines, format=form, encoding="utf-8", fill=dialect.fill)
    return list(parser.below(3))


_CELLS = st.text(
    st.sampled_from("aä1\"',;=[{}]!\\\t\n\r\0\x1c\x1d\x1e\x1f\u2028\U0001f600"),
    max_size=5,
)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(_CELLS, _CELLS, _CELLS), max_size=6))
async def test_cells_come_back_as_they_are_in_the_file(
    rows: list[tuple[str, str, str]],
) -> None:
    """Whatever their texts are, also with the marks that rows are kept with."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("Handle", "Title", "Note"), *rows])
    expected = list(csv.reader(io.StringIO(text.getvalue(), newline=""), strict=True))
    mapping = 'key = "Handle"\ntitle = "Title"\ndescription = "Note"\n'
    with TemporaryDirectory() as folder:
        file = Path(folder) / "shop.csv"
        file.write_bytes(text.getvalue().encode())
        async with table_settings(file, "", mapping).open() as source:
            samples = await source.samples(100)
    found = sorted(
        [*record.values.values()] for sample in samples for record in sample.records
    )
    assert found == sorted(expected[1:])


async def test_rows_that_need_more_memory_than_expected_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try has twice as much."""
    monkeypatch.setattr(_staging, "_LEAST_BUFFER", 1 << 17)
    monkeypatch.setattr(_staging, "_MEMORY", 2 << 20)
    file = tmp_path / "shop.csv"
    rows = [f"{n % 20_000},T {n},{'x' * 50}\n" for n in range(40_000)]
    file.write_text("Handle,Title,Note\n" + "".join(rows))
    mapping = 'key = "Handle"\ntitle = "Title"\ndescription = "Note"\n'
    async with table_settings(file, "", mapping).open() as source:
        assert (await source.read(None)).total == 20_000
        (sample,) = await source.samples(1, keys=["7"])
    assert len(sample.records) == 2
