"""Edits that make a plain record awkward, like records in the real world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

ManualEdit: TypeAlias = Callable[[dict[str, Any], str], None]

_EVERY = 8

_LONG = " with a name that goes on and on"
_MARKUP = (
    '<p>Size: 6" &amp; up, <b>"new"</b> &lt;2025&gt;</p><script>alert(1)</script>'
    " it's 100 % {{ fine }} \\o/"
)
_SCRIPTS = (
    "كرسي حديقة",  # right to left
    "庭の椅子",
    "Садовый стул",
    "बगीचे की कुर्सी",
    "เก้าอี้สวน",
    "כיסא גינה",
    "Καρέκλα κήπου",
    "Cafe\N{COMBINING ACUTE ACCENT} Straße İstanbul ﬁve",  # not in composed form
)


def make_awkward(record: dict[str, Any], previous: str) -> None:
    """Change every eighth record, each time in the next way.

    Args:
        record: The record, changed in place.
        previous: The title of the record before it.
    """
    turn, rest = divmod(record["id"], _EVERY)
    if rest == 0:
        _EDITS[(turn - 1) % len(_EDITS)](record, previous)


def _same_title(record: dict[str, Any], previous: str) -> None:
    record["title"] = previous


def _same_slug(record: dict[str, Any], previous: str) -> None:
    record["title"] = f"{previous.replace(' ', ' & ', 1)}!"


def _emoji_title(record: dict[str, Any], previous: str) -> None:
    record["title"] = "🦊🧦👩‍🚀"


def _any_script(record: dict[str, Any], previous: str) -> None:
    script: str = _SCRIPTS[int(record["id"]) // _EVERY // len(_EDITS) % len(_SCRIPTS)]
    record["title"] = f"{script} {record['id']}"
    record["tags"] = [script.lower(), *record["tags"][:2]]


def _every_script(record: dict[str, Any], previous: str) -> None:
    record["description"] = " · ".join(_SCRIPTS)


def _long_title(record: dict[str, Any], previous: str) -> None:
    record["title"] += _LONG * 10


def _markup(record: dict[str, Any], previous: str) -> None:
    record["description"] = _MARKUP


def _control_characters(record: dict[str, Any], previous: str) -> None:
    record["description"] = "One line\nanother\r\n\tand a tab\u200b\u202e\u2028end"


def _no_stock(record: dict[str, Any], previous: str) -> None:
    record["stock"], record["availabilityStatus"] = 0, "Out of Stock"


def _inexact_price(record: dict[str, Any], previous: str) -> None:
    # 19.99 * 100 is 1998.9999999999998.
    record["price"] = (19.99, 1.1, 4.35, 0.57, 8.2)[record["id"] % 5]


def _tiny_price(record: dict[str, Any], previous: str) -> None:
    record["price"] = 0.01


def _huge_price(record: dict[str, Any], previous: str) -> None:
    record["price"] = 9999999.99


def _whole_price(record: dict[str, Any], previous: str) -> None:
    record["price"] = 10


def _many_images(record: dict[str, Any], previous: str) -> None:
    folder = record["thumbnail"].removesuffix("thumbnail.webp")
    record["images"] = [f"{folder}{n}.webp" for n in range(1, 7)]


def _quoted_names(record: dict[str, Any], previous: str) -> None:
    record["title"] = f'6" Pan, the "Cook\'s" {record["id"]}; 50% / <off>'
    if "brand" in record:
        record["brand"] = "Brand Ünïcødé & Söns"
    record["tags"] = ['6" pans, lids', "cook's"]


_EDITS: tuple[ManualEdit, ...] = (
    _same_title,
    _same_slug,
    _emoji_title,
    _any_script,
    _long_title,
    _markup,
    _no_stock,
    _inexact_price,
    _every_script,
    _control_characters,
    _tiny_price,
    _huge_price,
    _whole_price,
    _many_images,
    _quoted_names,
)
