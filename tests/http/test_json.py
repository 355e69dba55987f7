"""JSON with orjson and without: the same values, the same refusals."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up

from catalogsync._lib import strict_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture(params=["orjson", "standard library"])
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "orjson":
        assert strict_json._orjson
    else:
        monkeypatch.setattr(strict_json, "_orjson", None)


each_parser = pytest.mark.usefixtures("_parser")


def without_orjson(work: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "_orjson", None)
        return work()


def read(data: bytes) -> str:
    """The result of reading as text, which distinguishes NaN and -0.0."""
    try:
        return repr(strict_json.loads(data))
    except ValueError:
        return "refused"


@each_parser
@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"a": [1, 2.5, true, null]} ', {"a": [1, 2.5, True, None]}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\u0000"', "\0"),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"\\ud83d"', "\ud83d"),
        (b"19.99", 19.99),
        (b"18446744073709551615", 2**64 - 1),
        (b"18446744073709551616", 2.0**64),
        (b"-9223372036854775808", -(2**63)),
        (b"-9223372036854775809", -(2.0**63)),
        (b"1e400", math.inf),
        (b"1" * 5000, math.inf),
        (b"-" + b"1" * 5000, -math.inf),
    ],
)
def test_what_is_read(data: bytes, value: object) -> None:
    found = strict_json.loads(data)
    assert found == value
    assert type(found) is type(value)


@each_parser
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"NaN",
        b'{"price": NaN}',
        b"Infinity",
        b"-Infinity",
        b'"\xff"',
        "{}".encode("utf-16"),
        "{}".encode("utf-16-le"),
        b'"\xed\xa0\xbd"',
        b"[1,]",
        b"{'a': 1}",
        b"01",
        b'{"a": 1} {}',
        b'"a\nb"',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b"<html></html>",
    ],
)
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        strict_json.loads(data)


@each_parser
def test_deep_but_sensible() -> None:
    assert strict_json.loads(b"[" * 300 + b"]" * 300)


@given(JSON)
def test_both_read_the_same(value: object) -> None:
    data = json.dumps(value).encode()
    assert read(data) == without_orjson(lambda: read(data))


@given(
    st.binary()
    | st.text(alphabet='[]{}",:0123456789.eE+-\\ud8truefalsn NaIity').map(str.encode)
)
def test_both_refuse_the_same(data: bytes) -> None:
    assert read(data) == without_orjson(lambda: read(data))


@given(JSON)
def test_both_write_the_same_values(value: object) -> None:
    written = strict_json.dumps(value)
    assert json.loads(written) == value
    assert json.loads(without_orjson(lambda: strict_json.dumps(value))) == value


@each_parser
def test_written_without_white_space() -> None:
    assert strict_json.dumps({"é": [1, (2,)], "b": None}) == (
        '{"é":[1,[2]],"b":null}'.encode()
    )


@each_parser
def test_whole_numbers_of_any_size_are_written() -> None:
    """Attributes of a product may hold them; one must not end the run."""
    assert strict_json.dumps({"a": 2**70}) == b'{"a":%d}' % 2**70


@each_parser
@pytest.mark.parametrize("value", [Decimal(1), object(), {1, 2}, b"bytes"])
def test_what_cannot_be_written(value: object) -> None:
    with pytest.raises(TypeError):
        strict_json.dumps({"a": value})


@each_parser
def test_half_of_a_pair_cannot_be_written() -> None:
    with pytest.raises(ValueError):
        strict_json.dumps("\ud83d")


def test_orjson_is_found_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert strict_json._find_orjson().__name__ == "orjson"
    monkeypatch.setitem(__import__("sys").modules, "orjson", None)
    assert strict_json._find_orjson() is None


@pytest.mark.parametrize("body", [b'{"a": 1}', b"[]", b'{"a": "\\ud83d"}', b"{"])
def test_a_byte_order_mark_in_front_is_ignored(body: bytes) -> None:
    """PHP shops send one; within a text, or twice, it is nothing special."""
    marked = b"\xef\xbb\xbf" + body
    if body == b"{":
        with pytest.raises(ValueError):
            strict_json.loads(marked)
        return
    assert strict_json.loads(marked) == strict_json.loads(body)
    assert without_orjson(lambda: strict_json.loads(marked)) == strict_json.loads(body)
    with pytest.raises(ValueError):
        strict_json.loads(b"\xef\xbb\xbf" + marked)


def exact(value: Any) -> Any:
    """The same with `Decimal` in place of `float`."""
    match value:
        case float():
            return Decimal(repr(value))
        case list():
            return [exact(each) for each in value]
        case dict():
            return {name: exact(each) for name, each in value.items()}
        case _:
            return value


@given(JSON)
def test_exact_numbers(value: Any) -> None:
    """Nothing else differs, and whole numbers are as long as they are."""
    assert strict_json.loads_exact(json.dumps(value).encode()) == exact(value)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"0.10", "0.10"),
        (b"1" * 5000, "1" * 5000),
        (b"1e400", "1e400"),
        (b"1e99999999999999999999", "Infinity"),
        (b"-1e99999999999999999999", "-Infinity"),
    ],
)
def test_digits_stay(data: bytes, value: str) -> None:
    found = strict_json.loads_exact(data)
    assert found.as_tuple() == Decimal(value).as_tuple()


@pytest.mark.parametrize(
    "data", [b"", b"NaN", b'"\xff"', b"[1,]", b"[" * 100_000, b"<html></html>"]
)
def test_exact_refuses_what_is_no_json(data: bytes) -> None:
    with pytest.raises(ValueError):
        strict_json.loads_exact(data)
