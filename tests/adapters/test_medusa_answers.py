"""Answers are checked column by column; only one that is wrong is read row by row."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.fuzz.spoiling import ManualEdit, edits

from catalogsync import BrokenReplyError, Field, InvalidValueError
from catalogsync.adapters.medusa import shapes
from catalogsync.adapters.medusa.mapping import query_fields

FIELDS = query_fields(frozenset(Field))
SAMPLES = {str: "x1", int: 3, bool: True, dict: {"x": 1}}
Columns = tuple[shapes._Column, ...]


def row(columns: Columns) -> dict[str, Any]:
    return {column.name: sample(column) for column in columns}


def sample(column: shapes._Column) -> Any:
    if not column.inner:
        return SAMPLES[column.kind.types[0] if column.kind.types else str]
    inner = row(column.inner)
    return [inner, inner] if column.kind is shapes._LIST else inner


COLUMNS = (shapes._related("products", shapes._columns(FIELDS)),)
GOOD = {"products": [row(COLUMNS[0].inner) for _ in range(2)]}


def is_wrong(body: Any) -> bool:
    try:
        shapes._check_row(body, COLUMNS)
    except InvalidValueError:
        return True
    return False


def test_a_good_answer_is_good_both_ways() -> None:
    assert shapes._have_shape([GOOD], COLUMNS)
    assert not is_wrong(GOOD)


@given(edits() | st.lists(st.builds(ManualEdit, st.integers(0, 400), st.just("drop"))))
def test_columns_and_rows_agree_on_what_is_wrong(changes: list[ManualEdit]) -> None:
    body: Any = GOOD
    for change in changes:
        body = change.of(body)
    assert shapes._have_shape([body], COLUMNS) is not is_wrong(body)
    if isinstance(body, dict) and is_wrong(body) and "products" in body:
        try:
            shapes.shaped("GET /", body, f"fields={FIELDS}")
        except BrokenReplyError:
            return
        raise AssertionError("passed")
