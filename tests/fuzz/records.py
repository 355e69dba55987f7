"""Catalogs in which some records are anything at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
from hypothesis import strategies as st
from tests.engine.fakes import fast

from catalogsync import InvalidValueError, MemorySink, ProductKey, Report, RunStatus
from catalogsync._lib.strict_json import loads

from .shop import NAME, PRODUCTS, RECORDS, open_shop, serve_records
from .spoiling import Edit, dumped, edits
from .verdicts import Verdict, attempt, judged


@attrs.frozen
class RecordsCase:
    """Some records of the catalog, and what happens to them.

    Attributes:
        begin: Number of the first record.
        size: How many there are.
        page_size: How many come at a time.
        changes: Edits by number of the record.
        twins: Pairs of records of which the second gets the id of the first.
    """

    begin: int
    size: int
    page_size: int
    changes: Sequence[tuple[int, Sequence[Edit]]] = ()
    twins: Sequence[tuple[int, int]] = ()

    def records(self) -> list[Any]:
        """What the source shows."""
        records: list[Any] = RECORDS[self.begin : self.begin + self.size]
        for number, changes in self.changes:
            for change in changes:
                records[number % self.size] = change.of(records[number % self.size])
        for first, second in self.twins:
            one, other = records[first % self.size], records[second % self.size]
            if isinstance(one, dict) and isinstance(other, dict) and "id" in one:
                records[second % self.size] = {**other, "id": one["id"]}
        return records


def records_cases() -> st.SearchStrategy[RecordsCase]:
    """Any."""
    number = st.integers(0, 11)
    return st.builds(
        RecordsCase,
        begin=st.integers(0, len(RECORDS) - 12),
        size=st.integers(1, 12),
        page_size=st.integers(1, 6),
        changes=st.lists(st.tuples(number, edits()), max_size=4),
        twins=st.lists(st.tuples(number, number), max_size=2) | st.just([]),
    )


def play_records(case: RecordsCase) -> Verdict:
    """Sync the records into memory and account for each."""
    return judged(partial(_play, case))


async def _play(case: RecordsCase, verdict: Verdict) -> None:
    records, sink = case.records(), MemorySink()
    async with open_shop(serve_records(records), case.page_size) as source:
        report = await attempt(verdict, source, sink, fast(batch_size=4))
    raws = [dumped(record) for record in records]
    try:
        keys = [_key(loads(raw)) for raw in raws]
    except ValueError:
        _look_at_pages(verdict, case, sink, report)
        return
    if report is None:
        verdict.expect(False, f"no report: {verdict.outcome}")
        return
    _account(verdict, Counter(keys), sink, report)
    for number, raw in enumerate(raws, case.begin):
        product = PRODUCTS[number]
        if raw == dumped(RECORDS[number]) and keys.count(product.key) == 1:
            there = sink.products.get(product.key)
            verdict.expect(there == product, f"{product.key} is {there}")


def _look_at_pages(
    verdict: Verdict, case: RecordsCase, sink: MemorySink, report: Report | None
) -> None:
    """A page is not JSON: the report names the missing part as a problem."""
    if report is None:
        verdict.expect(not sink.products, "no report, but products")
    elif report.counts.fetched < case.size and not report.problem:
        verdict.lost.append(f"{report.counts.fetched} of {case.size}: {report}")


def _key(record: object) -> ProductKey | None:
    """The key of a record, if it has one."""
    id_ = record.get("id") if isinstance(record, dict) else None
    if isinstance(id_, bool) or not isinstance(id_, int | str):
        return None
    try:
        return ProductKey(NAME, str(id_))
    except InvalidValueError:
        return None


def _account(
    verdict: Verdict,
    keys: Counter[ProductKey | None],
    sink: MemorySink,
    report: Report,
) -> None:
    """Each record is created, or failed, or rejected, and only one of these."""
    nameless = keys.pop(None, 0)
    twins = keys.total() - len(keys)
    ends = Counter([*sink.products, *(outcome.key for outcome in report.failures)])
    verdict.lost += [f"{key} is nowhere" for key in keys.keys() - ends.keys()]
    if len(report.rejected) < nameless + twins:
        message = (
            f"{nameless} without a key and {twins} twins, reported: {report.rejected}"
        )
        verdict.lost.append(message)
    verdict.expect(ends.keys() <= keys.keys(), f"from nowhere: {ends}")
    verdict.expect(max(ends.values(), default=1) == 1, f"two ends: {ends}")
    fetched = keys.total() + nameless
    verdict.expect(report.counts.fetched == fetched, f"not {fetched}: {report}")
    status = RunStatus.DEGRADED if report.counts.failed else RunStatus.SUCCEEDED
    verdict.expect(report.status is status, f"not {status}: {report}")
