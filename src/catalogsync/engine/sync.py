"""`Sync`: the one way to start a run, of any kind.

`Sync` puts the parts of a run together and returns a `Run`. All kinds of runs are the
same `Pipeline`: `run` has one, or two with the guard's verdict between them
(`guarding`); `plan` shows its changes instead of writing them; `apply` and `release`
restrict it by an `Approval`; `retry` gives it another source.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.errors import MisconfiguredError
from catalogsync.events import EventHook, emitter
from catalogsync.plans import Plan, PlanSource
from catalogsync.protocols import (
    DeletingSource,
    DeltaSource,
    RemovingSink,
    SelectingSource,
    Sink,
    Source,
    endpoint_of,
)
from catalogsync.report import Report
from catalogsync.state.protocols import StateStore

from . import promises
from .applying import Approval, PlanApproval
from .collecting import OnChange, PlanCollector
from .context import RunContext
from .guarding import Guarding
from .journal import Journal
from .opening import Openable, opened
from .options import Options
from .pipeline import Pipeline
from .recorder import Recorder
from .releasing import EmptySource, ReleaseApproval
from .retrying import RetrySource, find_failed
from .run import Run
from .skipping import Skipping
from .stopping import RunTasks
from .updates import Updates

__all__ = ["Sync", "run_blocking", "sync"]


@attrs.frozen
class Sync:
    """A source, a sink, and how to keep the sink in step with the source.

    ```python
    report = await Sync(source, sink).run()

    async with Sync(source, sink).run() as run:
        ...  # run.counts, run.stop()
        report = await run.report()
    ```

    Each method makes a `Run`, which starts when it is awaited or entered.

    Attributes:
        source: An open source; the caller closes it. Its name is enough for `apply` and
            `release`, which do not read it.
        sink: An open sink; the caller closes it.
        options: What a run may do, and how.
        job: Name of the job, for reports, logs and last-applied states.
        state: An open state store; the caller closes it. It keeps runs, failed products
            and intents, and locks out other runs that write the same products. None:
            nothing outlives a run.
        hooks: Called with each event.
        settings: Settings of the sink as text, without secrets; when it changes, a run
            is not skipped because of `Options.skip_unchanged`.
        inform: Names of receivers; the state store keeps messages for them about the
            products that runs write (see `catalogsync.integrations.inform`).
    """

    source: Source | str
    sink: Sink
    options: Options = attrs.field(factory=Options, kw_only=True)
    job: str = attrs.field(default="", kw_only=True)
    state: StateStore | None = attrs.field(default=None, kw_only=True)
    hooks: Iterable[EventHook] = attrs.field(default=(), kw_only=True)
    settings: str = attrs.field(default="", kw_only=True)
    inform: Sequence[str] = attrs.field(default=(), kw_only=True)

    def run(self, *, run_id: str | None = None, full: bool = False) -> Run:
        """Bring the sink in step with the source.

        Args:
            run_id: Identity of the run; None: a new one is made.
            full: Whether to run even if `Options.skip_unchanged` would skip the run.

        Raises:
            MisconfiguredError: The source is only a name, or its name is not valid in
                keys.
        """
        return self._make(self._selected(), run_id=run_id, skip=not full)

    def plan(self, on_change: OnChange) -> Run:
        """Work out what a run would do, and write nothing.

        Args:
            on_change: Called with each change of a product, category or tag that a
                run would make.

        Returns:
            A run whose report counts the outcomes that a real run would have.

        Raises:
            MisconfiguredError: As in `run`.
        """
        return self._make(self._selected(), on_change=on_change)

    def apply(self, plan: Plan, *, run_id: str | None = None) -> Run:
        """Make the changes of a plan, and no others.

        Products that have changed since the plan was made stay as they are and are
        listed as unresolved.

        Args:
            plan: The plan; its job is the run's job.
            run_id: As in `run`.

        Raises:
            MisconfiguredError: The plan was made for another sink.
        """
        endpoint = endpoint_of(self.sink)
        if endpoint != plan.head.endpoint:
            problem = f"was made for {plan.head.endpoint}, and this is {endpoint}"
            raise MisconfiguredError(str(plan.path), problem)
        this = attrs.evolve(self._narrowed(), job=plan.head.job)
        only = plan.head.only or None
        # The plan has the results of the transform.
        options = attrs.evolve(this.options, transform=None, only=only)
        this = attrs.evolve(this, options=options)
        approve = partial(PlanApproval, plan, this.sink, options.retry)
        return this._make(PlanSource(plan), approve=approve, run_id=run_id)

    async def failed(self, keys: Collection[ProductKey] | None = None) -> RetrySource:
        """Read the failed products of the job again.

        They come from the source if it is a `LookupSource`, else from the state store,
        as they were when they failed.

        Args:
            keys: Only these; None: all.

        Raises:
            MisconfiguredError: There is no state store.
            TransientError: The source cannot be read now; the last retry failed.
            StateError: The state store cannot be used.
        """
        if self.state is None:
            raise MisconfiguredError("state", "is needed to know which products failed")
        return await find_failed(
            self._open_source(),
            self.state,
            job=self.job,
            keys=keys,
            retry=self.options.retry,
        )

    def retry(self, failed: RetrySource, on_change: OnChange | None = None) -> Run:
        """Write failed products again; those that succeed are no longer failed.

        Args:
            failed: The result of `failed`.
            on_change: Called with each change instead of writing it; None: write.
        """
        this = self._narrowed(keys=failed.keys)
        return this._make(failed, on_change=on_change)

    def release(self) -> Run:
        """Remove our key and last-applied state from the products that this job wrote.

        Nothing else in them changes. The report has `released` set and
        counts them as `removed`.

        Raises:
            MisconfiguredError: The sink is not a `RemovingSink`.
        """
        if not isinstance(self.sink, RemovingSink):
            raise MisconfiguredError("sink", "cannot release products")
        name = self.source if isinstance(self.source, str) else self.source.name
        policy = self.options.retry
        approve = partial(ReleaseApproval, self.job, name, self.sink, policy)
        return self._narrowed()._make(EmptySource(name), approve=approve)

    def _narrowed(self, keys: tuple[ProductKey, ...] | None = None) -> Sync:
        """All fields of these keys; None: of all products. Without limit and pruning."""
        options = attrs.evolve(
            self.options, keys=keys, limit=None, only=None, prune=None
        )
        return attrs.evolve(self, options=options)

    def _open_source(self) -> Source:
        if isinstance(self.source, str):
            raise MisconfiguredError("source", "is only a name, and cannot be read")
        return self.source

    def _selected(self) -> Source:
        """The source, which reads no more than a lane needs if it can do that."""
        source, only = self._open_source(), self.options.only
        if only is None or self.options.transform is not None:
            return source  # a transform may look at any field
        if isinstance(source, SelectingSource):
            return promises.select(source, only)
        return source

    def _make(
        self,
        source: Source,
        *,
        on_change: OnChange | None = None,
        approve: Callable[[Recorder], Approval] | None = None,
        run_id: str | None = None,
        skip: bool | None = None,
    ) -> Run:
        """Put a run together.

        Args:
            source: What to read.
            on_change: Called with each change instead of writing it; None: write.
            approve: Makes the approval that restricts the run; None: nothing does.
            run_id: As in `run`.
            skip: Whether the run may be skipped if nothing has changed; None: runs of
                this kind never are, and keep no version of the source.
        """
        promises.check_sides(source, self.sink)
        options = self.options
        if isinstance(source, DeltaSource) and not source.complete:
            says = isinstance(source, DeletingSource) and source.says_deleted
            options = attrs.evolve(options, complete=False, says_deleted=says)
        if options.only is not None:
            options = attrs.evolve(options, adopt=())  # a lane adds no product
        try:
            ProductKey(source.name, "1")
        except ValueError as error:
            raise MisconfiguredError("name of the source", str(error)) from None
        run_id, emit = run_id or uuid.uuid4().hex, emitter(self.hooks)
        journal = Journal(
            store=self.state,
            run_id=run_id,
            job=self.job,
            endpoint=endpoint_of(self.sink),
            source=source.name,
            sink=self.sink.name,
            options=options,
            writes=on_change is None,
            partial=options.partial or approve is not None,
            receivers=self.inform,
            emit=emit,
        )
        recorder = Recorder(run_id=run_id, emit=emit, on_outcome=journal.add_outcome)
        context = RunContext(
            source=source,
            sink=self.sink,
            options=options,
            recorder=recorder,
            journal=journal,
            tasks=RunTasks(
                recorder=recorder,
                adapters=(source, self.sink),
                stopping=journal.stopping,
            ),
            updates=Updates(journal=journal),
        )
        if on_change is None and approve is None:
            return self._make_guarded(context, skip=skip)
        collector = PlanCollector(on_change, recorder) if on_change else None
        approval = approve(recorder) if approve else None
        pipeline = Pipeline(context, collector=collector, approval=approval)
        released = isinstance(approval, ReleaseApproval)
        return Run(context, pipeline.run, released=released)

    def _make_guarded(self, context: RunContext, *, skip: bool | None) -> Run:
        guarding = Guarding(context=context)
        skipping = Skipping(
            source=context.source,
            sink=context.sink,
            options=context.options,
            settings=self.settings,
            journal=context.journal,
            full=skip is False,
            recorder=context.recorder,
        )
        return Run(
            context,
            guarding.run,
            guarding=guarding,
            skipping=None if skip is None else skipping,
        )


async def sync(
    source: Source,
    sink: Sink,
    *,
    options: Options | None = None,
    job: str = "",
    state: StateStore | None = None,
    hooks: Iterable[EventHook] = (),
    inform: Sequence[str] = (),
) -> Report:
    """Bring the sink in step with the source: `await Sync(...).run()`.

    Args:
        source: An open source; the caller closes it.
        sink: An open sink; the caller closes it.
        options: What the run may do, and how.
        job: Name of the job, for reports, logs and last-applied states.
        state: An open state store; None: nothing outlives the run.
        hooks: Called with each event.
        inform: Names of receivers, as in `Sync`.

    Raises:
        BusyError: Another run writes the same products.
        CatalogSyncError: The run broke off before anything was written.
    """
    options = options or Options()
    this = Sync(
        source,
        sink,
        options=options,
        job=job,
        state=state,
        hooks=hooks,
        inform=inform,
    )
    return await this.run()


def run_blocking(
    source: Source | Openable[Source],
    sink: Sink | Openable[Sink],
    *,
    options: Options | None = None,
    job: str = "",
    state: StateStore | Openable[StateStore] | None = None,
    hooks: Iterable[EventHook] = (),
    inform: Sequence[str] = (),
) -> Report:
    """`sync` for hosts without an event loop.

    Args:
        source: A source, or settings that open one.
        sink: A sink, or settings that open one.
        options: What the run may do, and how.
        job: Name of the job, for reports, logs and last-applied states.
        state: A state store, or settings that open one.
        hooks: Called with each event.
        inform: Names of receivers, as in `Sync`.

    Raises:
        BusyError: Another run writes the same products.
        CatalogSyncError: The run broke off before anything was written.
        RuntimeError: An event loop is running in this thread.
    """
    if _is_loop_running():
        raise RuntimeError("an event loop is running here: use `await sync(...)`")

    async def run() -> Report:
        async with (
            opened(source) as open_source,
            opened(sink) as open_sink,
            opened(state) as open_state,
        ):
            return await sync(
                open_source,
                open_sink,
                options=options,
                job=job,
                state=open_state,
                hooks=hooks,
                inform=inform,
            )

    return asyncio.run(run())


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
