"""Who decides on which fields, in Medusa: whatever the rules, each run has an end.

All is written, or left alone, and the next run writes nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from tests.conftest import Medusa

from catalogsync import (
    Field,
    Options,
    Owner,
    Price,
    Product,
    ProductKey,
    Report,
    RetryPolicy,
    StockLevel,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings

FAST = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0))
RULED = ("title", "options", "variants", "prices", "stock", "sku")
SHAPES: tuple[Mapping[str, dict[str, str]], ...] = (
    {"default": {}},
    {"other": {}},
    {"a": {}, "b": {}},
    {"default": {}, "a": {}, "b": {}},
    {"S": {"Size": "S"}, "M": {"Size": "M"}},
    {"S": {"Size": "S"}, "M": {"Size": "M"}, "L": {"Size": "L"}},
    {"S": {"Size": "M"}, "M": {"Size": "S"}},
    {"default": {"Size": "S"}, "M": {"Size": "M"}},
    {"S": {"Size": "S", "Fit": "slim"}, "L": {"Size": "L", "Fit": "slim"}},
    {"S": {"Fit": "slim"}, "M": {"Fit": "wide"}},
    {"new S": {"Size": "S"}, "new L": {"Size": "L"}},
    {"S": {"Title": "S"}, "M": {"Title": "Default"}},
    {"M": {"Size": "M"}},
)
DEEDS = ("", "", "add an option", "add an empty option", "rename an option", "drop")
_ids = itertools.count()


@attrs.frozen
class Turn:
    """A product of the source, after a person has changed it in the store."""

    deed: str
    shape: Mapping[str, dict[str, str]]
    number: int

    def product(self, id_: str) -> Product:
        variants = [
            Variant(
                id=name,
                sku=f"{id_}.{index + self.number % 2}",
                options=options,
                prices=[Price(amount=Decimal(1 + self.number), currency="USD")],
                stock=[StockLevel(quantity=self.number)],
            )
            for index, (name, options) in enumerate(self.shape.items())
        ]
        key = ProductKey("shop", id_)
        return Product(key=key, title=f"Title {self.number}", variants=variants)


OWNERS = st.dictionaries(
    st.sampled_from([*map(Field, RULED)]), st.sampled_from([*Owner])
).filter(lambda owns: owns.get(Field.TITLE) is not Owner.NEVER)
TURNS = st.builds(
    Turn, st.sampled_from(DEEDS), st.sampled_from(SHAPES), st.integers(0, 3)
)


def stories(families: int) -> st.SearchStrategy[list[list[Turn]]]:
    """What happens to several products that share their runs."""
    one = st.lists(TURNS, min_size=1, max_size=3)
    return st.lists(one, min_size=1, max_size=families)


@attrs.frozen
class Shop:
    """A store; Hypothesis takes no `Medusa` as an argument."""

    medusa: Medusa


@pytest.fixture
def shop(medusa: Medusa) -> Shop:
    return Shop(medusa)


async def act(medusa: Medusa, id_: str, deed: str) -> None:
    fields = "id,options.id,options.title,variants.id"
    path = f"/admin/products?external_id=shop:{id_}&fields={fields}"
    rows = (await medusa.get(path))["products"]
    if not deed or not rows:
        return
    (row,) = rows
    path = f"/admin/products/{row['id']}"
    if "option" in deed and deed.startswith("add"):
        values = [] if "empty" in deed else ["Linen", "Cotton"]
        option = {"title": "Material", "values": values, "is_exclusive": True}
        if all(o["title"] != "Material" for o in row["options"]):
            await medusa.post(f"{path}/options/batch", {"add": [option]})
    elif deed == "rename an option":
        for option in row["options"][:1]:
            if option["title"] not in {"Title", "Material"}:
                other = f"/admin/product-options/{option['id']}"
                await medusa.post(other, {"title": f"Our {option['title']}"})
    elif len(row["variants"]) > 1:
        variant = row["variants"][0]["id"]
        assert (await medusa.ask("DELETE", f"{path}/variants/{variant}"))[0] == 200


async def tell(
    medusa: Medusa, owns: Mapping[Field, Owner], families: Sequence[Sequence[Turn]]
) -> None:
    named = [(f"{next(_ids)}", turns) for turns in families]
    login = {"email": medusa.email, "password": medusa.password}
    options = attrs.evolve(FAST, owns=owns)
    async with MedusaSettings(url=medusa.url, **login).open() as sink:

        async def run(products: Sequence[Product]) -> Report:
            source = as_source(products, name="shop")
            return await sync(source, sink, options=options)

        for turn in range(max(len(turns) for _, turns in named)):
            now = [(id_, turns[min(turn, len(turns) - 1)]) for id_, turns in named]
            for id_, each in now:
                await act(medusa, id_, each.deed)
            desired = [each.product(id_) for id_, each in now]
            report = await run(desired)
            assert report.failures == (), report
            again = await run(desired)
            assert (again.failures, again.writes) == ((), 0), (report, again)
            assert again.counts.unchanged == len(desired)


def examples(number: int) -> Callable[[Any], Any]:
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=number, deadline=None, suppress_health_check=health)


@pytest.mark.parametrize("medusa", ["fake"], indirect=True)
@examples(150)
@given(owns=OWNERS, families=stories(1))
@example(owns={}, families=[[Turn("", SHAPES[0], 0), Turn("", SHAPES[-1], 1)]])
@example(owns={Field.OPTIONS: Owner.NEVER}, families=[[Turn("", SHAPES[5], 0)]])
@example(owns={Field.VARIANTS: Owner.NEVER}, families=[[Turn("", SHAPES[0], 0)]])
@example(
    owns={Field.VARIANTS: Owner.ON_CREATE},
    families=[[Turn("", SHAPES[3], 0), Turn("", SHAPES[0], 1)]],
)
@example(
    owns={Field.VARIANTS: Owner.ON_CREATE},
    families=[[Turn("", SHAPES[7], 0), Turn("", SHAPES[11], 0)]],
)
@example(
    owns={Field.VARIANTS: Owner.ON_CREATE},
    families=[[Turn("", SHAPES[12], 0), Turn("", SHAPES[11], 0)]],
)
@example(
    owns={Field.SKU: Owner.ON_CREATE},
    families=[[Turn("", SHAPES[4], 2), Turn("", SHAPES[7], 3)]],
)
async def test_any_rules_in_the_fake(
    shop: Shop, owns: Mapping[Field, Owner], families: Any
) -> None:
    await tell(shop.medusa, owns, families)


@examples(10)
@given(owns=OWNERS, families=stories(8))
async def test_any_rules(
    shop: Shop, owns: Mapping[Field, Owner], families: Any
) -> None:
    """The same for the fake and a real one."""
    await tell(shop.medusa, owns, families)
