"""Reading back what was written."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest

from catalogsync import (
    Change,
    Field,
    OnManualEdit,
    Report,
    RunStatus,
    TransientError,
    Variant,
    as_source,
)

from .fakes import FAST, FaultySink, fast, key, priced, product, run


class Dropping(FaultySink):
    """Accepts tags and forgets them."""

    def work(self, changes: Sequence[Change]) -> list:  # type: ignore[override,type-arg]
        outcomes = super().work(changes)
        for change in changes:
            if change.key != key(3):
                existing = self.products[change.key]
                self.products[change.key] = attrs.evolve(existing, tags=())
        return outcomes


async def go(sink: FaultySink, **options: object) -> Report:
    products = [product(n, tags=["red"]) for n in range(10)]
    source = as_source(products, name="shop")
    return await run(source, sink, options=fast(**options))


async def test_off_by_default() -> None:
    report = await go(Dropping())
    assert report.status is RunStatus.SUCCEEDED
    assert report.discrepancies == ()


async def test_dropped_fields_are_reported() -> None:
    report = await go(Dropping(), verify=True, verify_sample=0)
    assert report.status is RunStatus.DEGRADED
    assert {d.key for d in report.discrepancies} == {key(n) for n in range(10)} - {
        key(3)
    }
    assert {d.fields for d in report.discrepancies} == {("tags",)}
    assert "not kept by the sink: shop:0: tags" in str(report)
    assert report.to_dict()["discrepancies"][0]["fields"] == ["tags"]


@pytest.mark.parametrize("sample", [1, 4, 9])
async def test_a_sample(sample: int) -> None:
    sink = FaultySink()
    report = await go(sink, verify=True, verify_sample=sample)
    assert report.status is RunStatus.SUCCEEDED
    assert len(sink.finds[-1]) == sample
    assert len(set(sink.finds[-1])) == sample


async def test_a_good_sink_and_a_second_run() -> None:
    sink = FaultySink()
    source = as_source([priced(n) for n in range(5)], name="shop")
    report = await run(source, sink, options=fast(verify=True))
    assert (report.status, report.discrepancies) == (RunStatus.SUCCEEDED, ())
    finds = len(sink.finds)
    await run(source, sink, options=fast(verify=True))
    assert len(sink.finds) == finds + 1, "nothing was written, so nothing is read back"


async def test_one_that_vanished_is_reported() -> None:
    class Losing(FaultySink):
        def work(self, changes: Sequence[Change]) -> list:  # type: ignore[override,type-arg]
            outcomes = super().work(changes)
            del self.products[key(1)]
            return outcomes

    report = await go(Losing(), verify=True)
    (found,) = report.discrepancies
    assert (found.key, found.fields) == (key(1), ("the whole product",))


async def test_a_sink_that_cannot_be_read_then_is_a_warning() -> None:
    sink = FaultySink()
    sink.find_faults.extend([None, *[TransientError("down")] * FAST.attempts])
    report = await go(sink, verify=True)
    assert report.status is RunStatus.DEGRADED
    assert report.warnings == ("could not read back what was written: down",)


async def test_one_lost_answer_is_asked_for_again() -> None:
    sink = Dropping()
    sink.find_faults.extend([None, TransientError("down")])
    report = await go(sink, verify=True)
    assert (report.retries, len(report.discrepancies)) == (1, 9)


async def test_a_person_can_cause_a_conflict_meanwhile() -> None:
    """Their variant has the options of ours."""

    class Meddled(FaultySink):
        def work(self, changes: Sequence[Change]) -> list:  # type: ignore[override,type-arg]
            outcomes = super().work(changes)
            theirs = Variant(id="theirs", options={"Size": "M"})
            existing = self.products[key(1)]
            rest = (existing.variants or ())[1:]
            self.products[key(1)] = attrs.evolve(existing, variants=[theirs, *rest])
            return outcomes

    sizes = [Variant(id=size, options={"Size": size}) for size in "ML"]
    source = as_source([product(1, variants=sizes)], name="shop")
    report = await run(source, Meddled(), options=fast(verify=True))
    assert report.status is RunStatus.DEGRADED
    ((found,),) = [each.fields for each in report.discrepancies]
    assert found.startswith("shop:1: variant M is not created: variant theirs,")


async def test_fields_owned_by_the_store_are_not_discrepancies() -> None:
    report = await go(
        Dropping(), verify=True, owns={Field.TAGS: "never"}, verify_sample=0
    )
    assert report.status is RunStatus.SUCCEEDED


class Cutting(FaultySink):
    """Cuts what it is sent."""

    def work(self, changes: Sequence[Change]) -> list:  # type: ignore[override,type-arg]
        outcomes = super().work(changes)
        for change in changes:
            existing = self.products[change.key]
            self.products[change.key] = attrs.evolve(existing, title=existing.title[:3])
        return outcomes


@pytest.mark.parametrize("edits", OnManualEdit)
async def test_values_changed_by_the_sink_are_not_manual_edits(
    edits: OnManualEdit,
) -> None:
    report = await go(Cutting(), verify=True, on_manual_edit=edits)
    assert len(report.discrepancies) == 10
    assert report.discrepancies[0].fields == ("title",)
