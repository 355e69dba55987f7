"""Any sequence of changes, edits, faults, kills and runs, compared with a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import attrs
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from tests import strategies  # noqa: F401 - settings of Hypothesis
from tests.engine.fakes import LookupSource, check, fast, idle, key, running
from tests.engine.shop import Hook, Row, Shop

from catalogsync import (
    BatchRefusedError,
    Change,
    ConflictError,
    Limits,
    Product,
    ProductKey,
    ProductStatus,
    Rejected,
    Report,
    RunStatus,
    StateSettings,
    TransientError,
    sync,
)
from catalogsync.state import StateStore

ids = st.integers(0, 7)
texts = st.sampled_from(["red", "green", "blue"])
tags = st.frozensets(st.sampled_from("xyz"))
FIELDS = ("title", "description")


class Killed(BaseException):
    """The process is gone."""


def _raises(error: Callable[[], BaseException], *, done: int = 0) -> Hook:
    """So many changes of a batch are carried out, then nothing is heard of it."""

    async def hook(shop: Shop, changes: Sequence[Change]) -> None:
        shop.work(changes[:done])
        raise error()

    return hook


FAULTS: Mapping[str, Callable[[], BaseException]] = {
    "busy": lambda: TransientError("busy", retry_after=0),
    "conflict": lambda: ConflictError("changed meanwhile", retry_after=0),
    "500": lambda: TransientError("500", unexplained=True),
    "refused": lambda: BatchRefusedError("not acceptable"),
    "killed": Killed,
}


@attrs.define
class Desired:
    """What the source shows of a product.

    Attributes:
        title: Its title.
        description: Its description.
        tags: Its tags.
        readable: Whether the record is a product at all.
    """

    title: str
    description: str
    tags: frozenset[str]
    readable: bool = True

    def product(self, id_: int) -> Product:
        return Product(
            key=key(id_),
            title=self.title,
            description=self.description,
            tags=sorted(self.tags),
        )


@attrs.define
class Memory:
    """What the model remembers of a product in the sink.

    Attributes:
        wrote: What was written last, by field; it came with the last-applied state.
        last_applied: That last-applied state.
        by_hand: Tags that people added.
        open: Whether a write began of which no end is known.
    """

    wrote: dict[str, object] = attrs.field(factory=dict)
    last_applied: str | None = None
    by_hand: set[str] = attrs.field(factory=set)
    open: bool = False


@attrs.frozen
class Before:
    """What a product was when a run began."""

    product: Product
    wrote: Mapping[str, object]


class Machine(RuleBasedStateMachine):
    """The shop, its supplier, its people and its bad days."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        opening = self.stack.enter_async_context(StateSettings().open())
        self.store: StateStore = self.runner.run(opening)
        self.shop = Shop(limits=Limits(batch=2, writers=2, find=3, collides=True))
        self.source: dict[int, Desired] = {}
        self.memory: dict[int, Memory] = {}
        self.strangers: list[Row] = []

    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()

    # --- the supplier ---

    @initialize(contents=st.dictionaries(ids, st.tuples(texts, texts, tags)))
    def begins(self, contents: dict[int, tuple[str, str, frozenset[str]]]) -> None:
        self.source = {id_: Desired(*values) for id_, values in contents.items()}

    @rule(id_=ids, title=texts, description=texts, tags=tags)
    def shows(
        self, id_: int, title: str, description: str, tags: frozenset[str]
    ) -> None:
        self.source[id_] = Desired(title, description, tags)

    @rule(id_=ids)
    def drops(self, id_: int) -> None:
        self.source.pop(id_, None)

    @rule(id_=ids)
    def garbles(self, id_: int) -> None:
        if id_ in self.source:
            self.source[id_].readable = False

    # --- people ---

    @rule(id_=ids, field=st.sampled_from(FIELDS), value=texts)
    def edits(self, id_: int, field: str, value: str) -> None:
        for row in self.shop.of(key(id_)):
            row.product = attrs.evolve(row.product, **{field: f"my {value}"})

    @rule(id_=ids, tag=st.sampled_from(["sale", "new"]))
    def tags_it(self, id_: int, tag: str) -> None:
        for row in self.shop.of(key(id_)):
            tags = dict.fromkeys([*(row.product.tags or ()), tag])
            row.product = attrs.evolve(row.product, tags=tags)
            self.memory[id_].by_hand.add(tag)

    @rule(id_=ids)
    def deletes(self, id_: int) -> None:
        for row in self.shop.of(key(id_)):
            self.shop.rows.remove(row)
            del self.memory[id_]

    @rule(title=texts)
    def adds_their_own(self, title: str) -> None:
        number = len(self.strangers)
        theirs = Product(key=ProductKey("people", str(number)), title=title)
        row = Row(key=None, handle=f"theirs-{number}", product=theirs)
        self.shop.rows.append(row)
        self.strangers.append(attrs.evolve(row))

    # --- bad days ---

    @rule(
        fault=st.sampled_from([*FAULTS]), done=st.integers(0, 2), skip=st.integers(0, 2)
    )
    def a_write_will_fail(self, fault: str, done: int, skip: int) -> None:
        if fault == "refused":
            done = 0
        hook = _raises(FAULTS[fault], done=done)
        self.shop.before.extend([*[None] * skip, hook])

    @rule(fault=st.sampled_from(["busy", "500"]))
    def a_find_will_fail(self, fault: str) -> None:
        error = FAULTS[fault]()
        assert isinstance(error, Exception)
        self.shop.find_faults.append(error)

    @rule()
    def a_listing_will_fail(self) -> None:
        self.shop.owned_faults.append(TransientError("busy", retry_after=0))

    # --- runs ---

    prunes = st.sampled_from([None, "delete", "unpublish"])
    modes = st.sampled_from(["overwrite", "keep"])

    @rule(prune=prunes, edits=modes)
    def runs(self, prune: str | None, edits: str) -> None:
        self._run(prune, edits)

    @rule(prune=prunes, edits=modes, turns=st.integers(1, 60))
    def runs_and_is_cancelled(self, prune: str | None, edits: str, turns: int) -> None:
        self._run(prune, edits, turns)

    @rule(edits=modes)
    def comes_to_rest(self, edits: str) -> None:
        self._settle(edits)

    @invariant()
    def each_is_there_once(self) -> None:
        keys = [row.key for row in self.shop.rows if row.key]
        assert len(keys) == len(set(keys))
        theirs = [row for row in self.shop.rows if row.key is None]
        assert theirs == self.strangers

    def _settle(self, edits: str = "overwrite") -> None:
        """Without faults a run does everything, and the next one nothing."""
        shop = self.shop
        for faults in (shop.before, shop.after, shop.find_faults, shop.owned_faults):
            faults.clear()  # type: ignore[attr-defined]
        garbled = sum(not desired.readable for desired in self.source.values())
        status = RunStatus.DEGRADED if garbled else RunStatus.SUCCEEDED
        report = self._run("delete" if self.source else None, edits)
        assert report is not None
        assert report.status is status, str(report)
        open_ = self.runner.run(self.store.intents(shop.endpoint, "shop"))
        assert not open_.keys() & {key(id_) for id_ in self.source}
        again = self._run("delete" if self.source else None, edits)
        assert again is not None
        assert (again.status, again.writes) == (status, 0), str(again)

    def _run(self, prune: str | None, edits: str, turns: int = 0) -> Report | None:
        before = {
            (id_ := int(row.key.id)): Before(row.product, self.memory[id_].wrote)
            for row in self.shop.rows
            if row.key is not None
        }
        report = self.runner.run(self._ran(prune, edits, turns))
        self._note_last_applied()
        if report is not None and report.status in {
            RunStatus.SUCCEEDED,
            RunStatus.DEGRADED,
        }:
            self._check(report, before, prune, edits)
        else:
            self._note_open(report)
        return report

    async def _ran(self, prune: str | None, edits: str, turns: int) -> Report | None:
        options = fast(
            batch_size=2,
            prune=prune,
            max_prune=1000,
            on_manual_edit=edits,
            lease=0.05,
            when_busy="wait",
        )
        source = LookupSource(products=self._products, rejected=self._rejected)
        work = sync(source, self.shop, options=options, job="job", state=self.store)
        report: Report | None = None
        try:
            report = await (_cut_short(work, turns) if turns else work)
        except (Killed, BaseExceptionGroup, TransientError):
            """What is left of it is for the next run."""
        await idle(3)
        assert not running()
        if report is not None:
            check(report)
        return report

    @property
    def _products(self) -> list[Product]:
        readable = {id_: w for id_, w in self.source.items() if w.readable}
        return [desired.product(id_) for id_, desired in sorted(readable.items())]

    @property
    def _rejected(self) -> dict[int, list[Rejected]]:
        bad = [id_ for id_, desired in self.source.items() if not desired.readable]
        records = [Rejected(key=key(id_), reason="bad", where="there") for id_ in bad]
        return {0: records}

    def _note_last_applied(self) -> None:
        """A changed last-applied state means that the product was written."""
        rows = {int(row.key.id): row for row in self.shop.rows if row.key is not None}
        self.memory = {id_: self.memory.get(id_, Memory()) for id_ in rows}
        for id_, row in rows.items():
            memory, desired = self.memory[id_], self.source.get(id_)
            if memory.last_applied != row.last_applied and desired is not None:
                memory.wrote = {field: getattr(desired, field) for field in FIELDS}
            memory.last_applied = row.last_applied

    def _note_open(self, report: Report | None) -> None:
        reported = (
            {int(outcome.key.id) for outcome in report.failures} if report else None
        )
        for id_, memory in self.memory.items():
            memory.open |= reported is None or id_ in reported

    def _check(
        self,
        report: Report,
        before: Mapping[int, Before],
        prune: str | None,
        edits: str,
    ) -> None:
        """Compare the shop with the model."""
        reported = {int(outcome.key.id) for outcome in report.failures}
        for id_, desired in self.source.items():
            if id_ not in reported and desired.readable:
                row = self.shop.one(key(id_))
                self._check_product(id_, row.product, before.get(id_), edits)
                self.memory[id_].open = False
        warned = " ".join(report.warnings)
        for id_ in before.keys() - self.source.keys():
            rows = self.shop.of(key(id_))
            if prune is None or "nothing is removed" in warned or f":{id_} " in warned:
                assert rows
            elif prune == "delete":
                assert not rows
            else:
                assert rows[0].product.status is ProductStatus.DRAFT

    def _check_product(
        self, id_: int, product: Product, before: Before | None, edits: str
    ) -> None:
        memory, desired = self.memory[id_], self.source[id_]
        assert product.status is not ProductStatus.DRAFT
        assert set(product.tags or ()) == desired.tags | memory.by_hand
        for field in FIELDS:
            value = getattr(desired, field)
            allowed = {value}
            if edits == "keep" and before and before.wrote[field] == value:
                theirs = getattr(before.product, field)
                allowed = {value, theirs} if memory.open else {theirs}
            assert getattr(product, field) in allowed, (id_, field, allowed)


async def _cut_short(work: Coroutine[Any, Any, Report], turns: int) -> Report | None:
    """Cancel a run after some turns of the event loop, unless it has ended."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        await idle(turns)
        task.cancel()
    return None if task.cancelled() else task.result()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=25)
