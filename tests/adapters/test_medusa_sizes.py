"""Weights and dimensions are rounded exactly as Medusa's database does it."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest
from tests.adapters.sql_databases import Hand
from tests.real import real_is_desired

from catalogsync.adapters.medusa.normalize import float4


def sizes(number: int, seed: int = 1) -> list[Decimal]:
    """Amounts of all magnitudes, many of them in the middle between two floats."""
    rng = random.Random(seed)
    found: list[Decimal] = []
    for _ in range(number):
        digits = rng.randrange(10 ** rng.randint(1, 12))
        power = Decimal(10) ** rng.randint(-20, 25)
        middle = Decimal(rng.randrange(2**24, 2**25) | 1) * 2 ** rng.randint(0, 60)
        found += [digits * power, middle, round(middle, -rng.randint(1, 15))]
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("172175000", "172175010"),  # in the middle between two
        ("16777217", "16777216"),
        ("33.333333333", "33.333332"),
        ("0.1", "0.1"),
        ("3.4028234663852886E+38", "3.4028235E+38"),
        ("1E-45", "1E-45"),
        ("1E-60", "0"),
        ("0", "0"),
    ],
)
def test_an_amount_as_a_float_of_four_bytes(value: str, expected: str) -> None:
    assert float4(Decimal(value)) == Decimal(expected)


if real_is_desired():

    async def test_all_amounts_as_postgresql_has_them(postgres: str) -> None:
        values = sizes(2000)
        texts = json.dumps([repr(float(value)) for value in values])
        rows = await Hand(postgres)(
            "SELECT each.value::float4::text FROM"
            " json_array_elements_text(CAST(:texts AS json)) WITH ORDINALITY"
            " AS each(value, place) ORDER BY each.place",
            texts=texts,
        )
        found = [Decimal(text) for (text,) in rows]
        wrong = {
            value: (kept, float4(value))
            for value, kept in zip(values, found, strict=True)
            if float4(value) != kept
        }
        assert not wrong
