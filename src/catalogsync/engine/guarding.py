"""The guard's place in a run: no change is written before all of them are counted.

A guarded run is a plan and its application in one. The first pipeline reads, finds and
compares; its changes go into a plan file and an `Assessment`. If no budget is exceeded,
a second pipeline has that file as its source: it finds, plans and writes the products
that need a change, as any run does. Otherwise the state store keeps the plan until a
person approves or rejects it, and nothing is written, or only the products that are over
no budget (`Mode.WRITE_REST`).

The first run of a job is not guarded, since it has nothing to compare with (unless the
mode is `Mode.ALWAYS`), and neither are runs over selected products, and runs without a
state store or a job's name. Memory does not grow with the number of changes: they are in
the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import attrs

from catalogsync.catalog.changes import Reference, ReferenceChange, Removal, Write
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Product
from catalogsync.guard import Assessment, Mode, Verdict
from catalogsync.plans import PlanSource, PlanWriter, estimate, plan_head
from catalogsync.report import Held, Report
from catalogsync.state.held import HeldPlan

from .context import RunContext
from .pipeline import Pipeline
from .recorder import Recorder
from .removing import Removals

__all__ = ["Guarding"]

_NOT_BEGUN = "its change was planned, and not written before the run ended"


@attrs.define(kw_only=True)
class Guard:
    """Keeps changes back and counts them; a `Collector`.

    Attributes:
        recorder: Knows how many products are kept back.
        assessment: Counts what the changes do.
        writer: Writes the changes to a plan file.
        references: Categories and tags that are to be written.
        chosen: The removals of the run.
        chooser: What chose them; None: the run removes nothing.
        excess: Why there are too many removals; empty: there are not.
        verdict: The products over its budgets are held back while the rest is written.
    """

    recorder: Recorder
    assessment: Assessment
    writer: PlanWriter
    references: list[Reference] = attrs.field(factory=list[Reference])
    chosen: Sequence[Removal] = ()
    chooser: Removals | None = None
    excess: str = ""
    verdict: Verdict = attrs.field(factory=Verdict)

    def batch(self, changes: Sequence[Write], /) -> None:
        """Keep the changes of a batch back."""
        for change in changes:
            self.writer.add(change)
            self.assessment.add(change)
            self.recorder.keep_back(change.key)

    def unchanged(self, product: Product, /) -> None:
        """Count a product that needs no change."""
        self.assessment.add_unchanged(product)

    def reference(self, change: ReferenceChange, /) -> None:
        """Keep the change of a category or tag back."""
        self.writer.add(change)
        self.references.append(change.reference)

    def removals(self, changes: Sequence[Removal], of: Removals, /) -> None:
        """Keep the removals back."""
        self.chosen, self.chooser = changes, of
        for change in changes:
            self.writer.add(change)
            self.assessment.add(change)

    def on_excess(self, reason: str) -> None:
        """Note why `max_prune` does not allow the removals."""
        self.excess = reason


@attrs.frozen
class _Passed:
    """Lets the changes pass that were kept back; an `Approval`."""

    guard: Guard

    @property
    def references(self) -> Iterable[Reference]:
        """Those that were kept back, needed by a changed product or not."""
        return self.guard.references

    @property
    def problem(self) -> str:
        """As the removals say."""
        return self.guard.chooser.problem if self.guard.chooser else ""

    def objection(self, change: Write, /) -> Outcome | None:
        """Hold back the products over a budget, if the rest is written."""
        budgets = self.guard.assessment.budgets
        if over := self.guard.verdict.budget_of(change, budgets):
            reason = f"held back by the guard: over the budget `{over}`"
            return Outcome(change.key, OutcomeStatus.SKIPPED, reason)
        return None

    def allows_reference(self, _: ReferenceChange, /) -> bool:
        """Allow every change of a category or tag."""
        return True

    async def choose(self) -> Sequence[Removal]:
        """Those that were kept back, unless there are too many."""
        return () if self.guard.excess else self.guard.chosen

    async def recheck(self, changes: Sequence[Removal], /) -> Sequence[Removal]:
        """Those that may still be made."""
        chooser = self.guard.chooser
        return await chooser.recheck(changes) if chooser else ()

    def close(self) -> None:
        """Nothing to report: the removals did when they were chosen."""


@attrs.define(kw_only=True)
class Guarding:
    """Runs the pipelines of a run, with the verdict between them.

    Attributes:
        context: What the parts of the run share.
        held: Why the run is held; None: it is not.
    """

    context: RunContext
    held: Held | None = attrs.field(default=None, init=False)
    _files: ExitStack = attrs.field(factory=ExitStack, init=False)
    _path: Path = attrs.field(default=Path(), init=False)
    _writer: PlanWriter | None = attrs.field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    async def run(self) -> None:
        """Write what the source has, unless the guard holds it."""
        before = await self._before()
        if before is None:
            await Pipeline(self.context).run()
            return
        guard = self._guard(Assessment(budgets=self.context.options.guard))
        first = Pipeline(self.context, collector=guard)
        await first.run()
        if not self.context.tasks.stopped:
            verdict = self._judged(guard, before)
            if verdict.is_held:
                rest_written = guard.assessment.budgets.mode is Mode.WRITE_REST
                self.held = Held(
                    reasons=tuple(map(str, verdict.exceeded)),
                    worst=tuple(map(str, verdict.worst)),
                    rest_written=rest_written,
                )
                if not rest_written:
                    self.context.recorder.hold_back()
                    return
                guard.verdict = verdict
        await self._pass(guard, first)

    async def _before(self) -> int | None:
        """How many products the source had; None: this run is not guarded."""
        options = self.context.options
        chosen = options.keys is not None or options.limit is not None
        always = options.guard.mode is Mode.ALWAYS
        if chosen or not (always or any(options.guard.named())):
            return None
        journal = self.context.journal
        record = await journal.last_complete()
        report = None if record is None else record.report
        if report is not None:
            return report.counts.fetched
        return 0 if always and journal.store is not None and journal.job else None

    def _guard(self, assessment: Assessment) -> Guard:
        context, files = self.context, self._files
        folder = files.enter_context(TemporaryDirectory(prefix="catalogsync-"))
        self._path = Path(folder, "plan.jsonl")
        head = plan_head(
            context.journal.job, context.source, context.sink, context.options.only
        )
        self._writer = files.enter_context(PlanWriter(self._path, head))
        return Guard(
            recorder=context.recorder, assessment=assessment, writer=self._writer
        )

    def _judged(self, guard: Guard, before: int) -> Verdict:
        recorder, options = self.context.recorder, self.context.options
        guard.assessment.add_existing(recorder.counts.unchanged)
        # A source that was not read to its end has not shrunk.
        whole = options.complete and not recorder.problems
        return guard.assessment.verdict(
            missing=max(0, before - recorder.fetched) if whole else 0,
            before=before if whole else 0,
            removals=guard.excess,
        )

    async def _pass(self, guard: Guard, first: Pipeline) -> None:
        """Do what follows when a run is not held."""
        journal, is_certain = self.context.journal, first.is_certain
        if is_certain:
            await journal.drop_absent(first.has_read)
        await self._write(guard, first)
        if is_certain:
            await journal.inform_absent(self.context.sink, first.has_read)

    async def _write(self, guard: Guard, first: Pipeline) -> None:
        """Write what was kept back; what is not written is unresolved."""
        recorder = self.context.recorder
        source = PlanSource(guard.writer.so_far())
        recorder.resume()
        second = Pipeline(
            attrs.evolve(
                self.context,
                source=source,
                options=attrs.evolve(self.context.options, prune=None, transform=None),
            ),
            approval=_Passed(guard),
            follows=first,
        )
        await second.run()
        if recorder.waiting:
            await self._leave(source, second)

    async def _leave(self, source: PlanSource, second: Pipeline) -> None:
        """Make what was not read again unresolved."""
        recorder = self.context.recorder
        reason = recorder.problems[0] if recorder.problems else _NOT_BEGUN
        cursor: str | None = None
        while True:
            page = await source.read(cursor)
            for product in page.products:
                if not second.has_read(product.key):
                    recorder.record_fetched(product.key)
                    outcome = Outcome(product.key, OutcomeStatus.UNRESOLVED, reason)
                    recorder.record(outcome)
            if not page.next:
                return
            (cursor,) = page.next

    async def keep(self, report: Report) -> None:
        """Keep the plan of a held run in the state store.

        Raises:
            StateError: The state store cannot be used.
        """
        if self._writer is None or self.held is None:
            return
        self._writer.finish(report, estimate(report, ()))
        held = HeldPlan(
            run_id=report.run_id,
            job=report.job,
            held_at=report.started_at + report.duration_s,
            held=self.held,
        )
        await self.context.journal.hold(held, self._path)
