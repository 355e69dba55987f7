"""Answers are checked column by column; only one that is wrong is read row by row."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.fuzz.spoiling import Edit, edits

from catalogsync import BrokenReplyError, Field, InvalidValueError
from catalogsync.adapters.medusa import schema
from catalogsync.adapters.medusa.mapping import query_fields

FIELDS = query_fields(frozenset(Field))
SAMPLES = {str: "x1", int: 3, bool: True, dict: {"x": 1}}
Columns = tuple[schema._Column, ...]


def row(columns: Columns) -> dict[str, Any]:
    return {column.name: sample(column) for column in columns}


def sample(column: schema._Column) -> Any:
    if not column.inner:
        return SAMPLES[column.kind.types[0] if column.kind.types else str]
    inner = row(column.inner)
    return [inner, inner] if column.kind is schema._LIST else inner


COLUMNS = (schema._related("products", schema._columns(FIELDS)),)
GOOD = {"products": [row(COLUMNS[0].inner) for _ in range(2)]}


def is_wrong(body: Any) -> bool:
    try:
        schema._check_row(body, COLUMNS)
    except InvalidValueError:
        return True
    return False


def test_a_good_answer_is_good_both_ways() -> None:
    assert schema._have_shape([GOOD], COLUMNS)
    assert not is_wrong(GOOD)


@given(edits() | st.lists(st.builds(Edit, st.integers(0, 400), st.just("drop"))))
def test_columns_and_rows_agree_on_what_is_wrong(changes: list[Edit]) -> None:
    body: Any = GOOD
    for change in changes:
        body = change.of(body)
    assert schema._have_shape([body], COLUMNS) is not is_wrong(body)
    if isinstance(body, dict) and is_wrong(body) and "products" in body:
        try:
            schema.shaped("GET /", body, f"fields={FIELDS}")
        except BrokenReplyError:
            return
        raise AssertionError("passed")
