"""What the fuzz runs found, each in its smallest form."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from catalogsync.adapters.medusa.schema import _ANSWERS, shaped
from catalogsync.errors import BrokenReplyError

from .replies import RepliesCase, play_sink
from .spoiling import ALWAYS, Edit, Kind, Trouble

FIRST = RepliesCase(
    begin=0, size=2, page_size=2, second=False, damage="", opening=False, troubles=()
)
SECOND = attrs.evolve(FIRST, size=3, second=True)

_CATEGORIES = "GET /admin/product-categories"
_PRODUCTS = "GET /admin/products"
_WRITTEN = "POST /admin/products/batch"


def outcome(
    case: RepliesCase, address: str, kind: Kind, value: Any, times: int = 1
) -> str:
    """How a run ends over these answers, in which nothing else may go wrong."""
    trouble = Trouble(0, times, alike=False, kind=kind, value=value, address=address)
    verdict = play_sink(attrs.evolve(case, troubles=[trouble]))
    assert not verdict.problems
    return verdict.outcome


@pytest.mark.parametrize(
    ("case", "address", "body"),
    [
        (FIRST, _CATEGORIES, b"{}"),
        (FIRST, _CATEGORIES, b'{"product_categories": null}'),
        (FIRST, _CATEGORIES, b'{"product_categories": [null]}'),
        (FIRST, _CATEGORIES, b'{"product_categories": [{"id": "x"}]}'),
        (FIRST, "POST /admin/product-categories", b"{}"),
        (FIRST, "POST /admin/product-categories", b'{"product_category": []}'),
        (FIRST, "POST /admin/product-categories", b'{"product_category": {"id": []}}'),
        (FIRST, "GET /admin/product-tags", b'{"product_tags": ["a"]}'),
        (FIRST, "POST /admin/product-tags", b'{"product_tag": {"id": {"a": 1}}}'),
        (FIRST, "GET /admin/product-options", b"{}"),
        (FIRST, "POST /admin/product-options", b'{"product_option": {"id": "a"}}'),
        (FIRST, "POST /admin/products/batch", b"{}"),
        (FIRST, "POST /admin/products/batch", b'{"created": [null]}'),
        (SECOND, _PRODUCTS, b'{"products": [{"external_id": "dummyjson:1"}]}'),
    ],
)
def test_an_answer_of_another_shape_is_asked_for_again(
    case: RepliesCase, address: str, body: bytes
) -> None:
    """It ended the run with a KeyError, TypeError or AttributeError."""
    assert outcome(case, address, "body", body) == "succeeded"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (None, "products[1]: must be an object"),
        ({}, "products[1].id: is missing"),
        ({"id": ["a"]}, "products[1].id: must be an id"),
        ({"id": "../a?b"}, "products[1].id: must be an id"),
        ({"id": "a", "metadata": []}, "products[1].metadata: must be an object"),
        ({"variants": None}, "products[1].variants: must be a list"),
        ({"variants": {}}, "products[1].variants: must be a list"),
        ({"variants": [3]}, "products[1].variants[0]: must be an object"),
        ({"variants": [{}]}, "products[1].variants[0].id: is missing"),
        (
            {"variants": [{"id": "v", "prices": [{"amount": "9.99"}]}]},
            "products[1].variants[0].prices[0].amount: must be a number",
        ),
        (
            {"variants": [{"id": "v", "prices": [{"amount": float("inf")}]}]},
            "products[1].variants[0].prices[0].amount: must be a number",
        ),
        (
            {"variants": [{"id": "v"}], "created_at": "2020-01-01"},
            "products[1].created_at: must be a time with its zone",
        ),
    ],
)
def test_where_an_answer_has_another_shape(row: Any, problem: str) -> None:
    fields = "id,metadata,variants.id,variants.prices.amount,created_at"
    moment = "2020-01-01T00:00:00.000Z"
    good: Any = {"id": "p", "metadata": None, "variants": [], "created_at": moment}
    bad = {**good, **row} if row else row
    with pytest.raises(BrokenReplyError) as caught:
        shaped("GET /x", {"products": [good, bad]}, f"limit=2&fields={fields}")
    assert str(caught.value) == f"GET /x: {problem}"


def test_an_invalid_count() -> None:
    with pytest.raises(BrokenReplyError, match=r"^GET /x: count: must be a whole"):
        shaped("GET /x", {"products": [], "count": "3"}, "fields=id")


@pytest.mark.parametrize("bad", [None, [None], 3])
@pytest.mark.parametrize("key", sorted(_ANSWERS))
def test_what_was_asked_for_has_no_gaps(key: str, bad: object) -> None:
    """Relations called `inventory_items` may be null, but not the list of all items."""
    with pytest.raises(BrokenReplyError, match=rf"^GET /x: {key}"):
        shaped("GET /x", {key: bad}, "fields=id")


def test_what_is_left_out_where_there_is_none() -> None:
    row = {"id": "a", "variants": [{"id": "v", "prices": None}], "anything": [1]}
    fields = "id,variants.id,variants.prices.id,shipping_profile.id"
    assert shaped("GET /x", {"products": [row]}, f"fields={fields}")["products"]


@pytest.mark.parametrize("count", [10**9, 3])
def test_a_list_without_an_end(count: int) -> None:
    """It was read for ever: an empty page, or the same one again and again."""
    body = b'{"products": [], "count": %d}' % count
    assert outcome(SECOND, _PRODUCTS, "body", body, ALWAYS).startswith("incomplete")
    edit = [Edit(("count",), "put", count)]
    assert outcome(SECOND, _PRODUCTS, "edit", edit, ALWAYS).startswith("incomplete")


def test_a_row_that_never_comes() -> None:
    """The list of all that is ours was read for ever."""
    drop = [Edit(6, "drop")]
    trouble = Trouble(21, ALWAYS, alike=False, kind="edit", value=drop)
    case = attrs.evolve(SECOND, begin=2, size=2, damage="key", opening=True)
    verdict = play_sink(attrs.evolve(case, page_size=30, troubles=[trouble]))
    assert not verdict.problems
    assert "none of them new" in verdict.outcome


def test_a_location_by_another_name() -> None:
    """Stock went where there is no location; the next run brings it where it belongs."""
    case = attrs.evolve(FIRST, opening=True)
    edit = [Edit(("stock_locations", 0, "id"), "put", "sloc_elsewhere")]
    assert outcome(case, "GET /admin/stock-locations", "edit", edit) == "succeeded"


def test_a_product_under_another_name_is_not_made_again() -> None:
    """It was taken for missing, and only a handle or an SKU could save it."""
    edit = [Edit(("products", 0, "external_id"), "put", "dummyjson:777")]
    message = outcome(SECOND, _PRODUCTS, "edit", edit, ALWAYS)
    assert "external_id that was not requested" in message


def test_a_category_that_is_denied_is_not_made_again() -> None:
    """Refused for its handle, which nobody was said to have, it got another one."""
    message = outcome(SECOND, _CATEGORIES, "forget", 0, ALWAYS)
    assert "the sink refused its category" in message


def test_a_category_that_is_denied_for_a_moment_is_not_made_again() -> None:
    """Its handle was taken, by itself, and it got another one."""
    trouble = Trouble(0, 3, alike=True, kind="forget", value=0)
    case = attrs.evolve(FIRST, size=1, page_size=30, second=True, damage="key")
    verdict = play_sink(attrs.evolve(case, troubles=[trouble]))
    assert not verdict.problems
    assert verdict.outcome == "succeeded"


@pytest.mark.parametrize(
    ("case", "address", "times"),
    [
        (FIRST, _WRITTEN, 1),
        (attrs.evolve(SECOND, damage="variants"), "/variants/batch", ALWAYS),
        (attrs.evolve(SECOND, damage="links"), "/variants/batch", ALWAYS),
    ],
)
def test_a_created_product_that_is_not_reported_gets_its_stock(
    case: RepliesCase, address: str, times: int
) -> None:
    """It was counted as done, without its stock level."""
    assert outcome(case, address, "forget", 0, times).startswith("succeeded")


def test_an_update_that_is_never_reported_does_not_count_as_done() -> None:
    """It did; after a creation, only the stock is still to be written, on its own."""
    assert outcome(FIRST, _WRITTEN, "forget", 0, ALWAYS) == "succeeded"
    message = outcome(SECOND, _WRITTEN, "forget", 0, ALWAYS)
    assert message.startswith("incomplete")
    assert "is missing in `updated`" in message


def test_a_location_of_a_deleted_channel() -> None:
    """The link to it is null."""
    case = attrs.evolve(FIRST, opening=True)
    edit = [Edit(("stock_locations", 0, "sales_channels", 0), "put", None)]
    assert outcome(case, "GET /admin/stock-locations", "edit", edit) == "succeeded"


def test_a_title_that_no_product_can_have() -> None:
    """In the list of all that is ours, it ended the run; it is read as it is."""
    edit = [Edit(("products", 0, "title"), "put", "\0")]
    assert outcome(SECOND, _PRODUCTS, "edit", edit, ALWAYS).startswith("succeeded")
