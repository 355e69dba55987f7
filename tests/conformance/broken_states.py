"""State stores that break one promise each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.state.held import Decision
from catalogsync.state.protocols import BusyError, Lease, StateStore, Trigger
from catalogsync.testing.conformance._faults import replaced

Break: TypeAlias = Callable[[StateStore], StateStore]


def _after(name: str, change: Callable[[Any], Any]) -> Break:
    """A store whose method returns something else."""

    def spoil(store: StateStore) -> StateStore:
        async def method(*args: Any, **named: Any) -> Any:
            return change(await getattr(store, name)(*args, **named))

        return replaced(store, **{name: method})

    return spoil


def _instead(name: str, args: Callable[..., tuple[Any, ...]], **values: Any) -> Break:
    """A store whose method is called with something else."""

    def spoil(store: StateStore) -> StateStore:
        async def method(*given: Any, **named: Any) -> Any:
            return await getattr(store, name)(*args(*given), **{**named, **values})

        return replaced(store, **{name: method})

    return spoil


def _nothing(name: str) -> Break:
    async def method(*_: Any, **__: Any) -> None: ...

    return lambda store: replaced(store, **{name: method})


def _runs_again(store: StateStore) -> StateStore:
    """A second `begin_run` replaces the first."""
    latest: dict[str, Any] = {}

    async def begin_run(record: Any, /) -> None:
        latest[record.run_id] = record
        await store.begin_run(record)

    async def run(run_id: str, /) -> Any:
        found = await store.run(run_id)
        return found and attrs.evolve(found, job=latest[run_id].job)

    return replaced(store, begin_run=begin_run, run=run)


def _whole_reports(store: StateStore) -> StateStore:
    async def runs(*, job: str | None = None, limit: int = 20) -> Any:
        listed = await store.runs(job=job, limit=limit)
        return [await store.run(each.run_id) for each in listed]

    return replaced(store, runs=runs)


def _any_last(store: StateStore) -> StateStore:
    async def last_whole(job: str, /) -> Any:
        return next(iter(await store.runs(job=job, limit=1)), None)

    return replaced(store, last_whole=last_whole)


def _new_intent(store: StateStore) -> StateStore:
    async def put_intents(endpoint: str, run_id: str, handles: Any, /) -> None:
        await store.drop_intents(endpoint, [*handles])
        await store.put_intents(endpoint, run_id, handles)

    return replaced(store, put_intents=put_intents)


def _first_failure(store: StateStore) -> StateStore:
    async def put_failures(job: str, failures: Any, /, *, endpoint: str = "") -> None:
        for failure in failures:
            await store.drop_failures(job, [failure.key])
            await store.put_failures(job, [failure], endpoint=endpoint)

    return replaced(store, put_failures=put_failures)


def _no_after(store: StateStore) -> StateStore:
    async def failures(job: str, /, **how: Any) -> Any:
        return await store.failures(job, **{**how, "after": None})

    return replaced(store, failures=failures)


def _any_holder(store: StateStore) -> StateStore:
    numbers = iter(range(1000))

    async def take_lease(name: str, owner: str, /, **_: Any) -> Lease:
        return Lease(name=name, owner=owner, token=next(numbers))

    return replaced(store, take_lease=take_lease)


def _for_ever(store: StateStore) -> StateStore:
    async def take_lease(name: str, owner: str, /, *, ttl: float, **how: Any) -> Any:
        return await store.take_lease(name, owner, ttl=max(ttl, 60), **how)

    async def renew_lease(lease: Lease, /, *, ttl: float) -> bool:
        return await store.renew_lease(lease, ttl=max(ttl, 60))

    return replaced(store, take_lease=take_lease, renew_lease=renew_lease)


def _dead_by_prefix(store: StateStore) -> StateStore:
    async def take_lease(
        name: str, owner: str, /, *, ttl: float, dead: str | None = None
    ) -> Any:
        lease = await store.take_lease(name, owner, ttl=ttl, dead=dead)
        if isinstance(lease, BusyError) and lease.holder.startswith(dead or "-"):
            return await store.take_lease(name, owner, ttl=ttl, dead=lease.holder)
        return lease

    return replaced(store, take_lease=take_lease)


def _same_number(store: StateStore) -> StateStore:
    """The number of the row, which is free again after a drop."""

    def small(trigger: Trigger, number: int) -> Trigger:
        return attrs.evolve(trigger, id=number)

    async def add_trigger(*args: Any, **named: Any) -> Trigger:
        queue = await store.triggers()
        return small(await store.add_trigger(*args, **named), len(queue) + 1)

    async def triggers(job: str | None = None, /) -> Any:
        return [small(t, n) for n, t in enumerate(await store.triggers(job), start=1)]

    async def drop_triggers(ids: Any, /) -> None:
        queue = await store.triggers()
        await store.drop_triggers([queue[n - 1].id for n in ids if n <= len(queue)])

    return replaced(
        store, add_trigger=add_trigger, triggers=triggers, drop_triggers=drop_triggers
    )


def _no_nul(store: StateStore) -> StateStore:
    async def put_failures(job: str, failures: Any, /, **how: Any) -> None:
        clean = [attrs.evolve(f, said=f.said.replace("\0", "")) for f in failures]
        await store.put_failures(job, clean, **how)

    return replaced(store, put_failures=put_failures)


def _few_keys(store: StateStore) -> StateStore:
    async def remember(endpoint: str, keys: Any, /) -> None:
        await store.remember(endpoint, [*keys][:32_766])

    return replaced(store, remember=remember)


def _skips_when_busy(store: StateStore) -> StateStore:
    """One call at a time; the others do nothing."""
    in_flight: list[str] = []

    async def put_failures(job: str, failures: Any, /, **how: Any) -> None:
        if in_flight:
            return
        in_flight.append(job)
        await asyncio.sleep(0)
        await store.put_failures(job, failures, **how)
        in_flight.clear()

    return replaced(store, put_failures=put_failures)


def _one_by_one(store: StateStore) -> StateStore:
    async def put_failures(job: str, failures: Any, /, **how: Any) -> None:
        for part in (failures[:100], failures[100:]):
            await store.put_failures(job, part, **how)
            await asyncio.sleep(0)

    return replaced(store, put_failures=put_failures)


def _all_absent(store: StateStore) -> StateStore:
    async def note_absences(
        job: str, endpoint: str, run_id: str, keys: Any, /, **how: Any
    ) -> frozenset[ProductKey]:
        await store.note_absences(job, endpoint, run_id, keys, **how)
        return frozenset(keys)

    return replaced(store, note_absences=note_absences)


def _unchanged_everywhere(store: StateStore) -> StateStore:
    async def put_unchanged(_: str, products: Any, /) -> None:
        await store.put_unchanged("", products)

    async def unchanged(_: str, keys: Any, /) -> Any:
        return await store.unchanged("", keys)

    return replaced(store, put_unchanged=put_unchanged, unchanged=unchanged)


def _last_snapshot(store: StateStore) -> StateStore:
    kept: dict[Any, float] = {}

    async def put_snapshots(_: str, counted_at: Any, /) -> None:
        kept.update(counted_at)

    async def snapshots(_: str, keys: Any, /) -> Any:
        return {key: kept[key] for key in keys if key in kept}

    return replaced(store, put_snapshots=put_snapshots, snapshots=snapshots)


def _any_decision(store: StateStore) -> StateStore:
    """The last decision counts."""

    async def decide(run_id: str, decision: Decision, /, *, by: str) -> Any:
        held = await store.held_plan(run_id)
        return held and attrs.evolve(held, decision=decision, by=by)

    return replaced(store, decide=decide)


def _of_images(name: str, change: Callable[[Any], Any]) -> Break:
    """A store whose memory of images returns something else."""

    def spoil(store: StateStore) -> StateStore:
        images: Any = store.images  # type: ignore[attr-defined]
        return replaced(store, images=_after(name, change)(images))  # type: ignore[arg-type]

    return spoil


def _with_etag(image: Any) -> Any:
    return image and attrs.evolve(image, etag='"1"')


BROKEN: list[tuple[str, Break]] = [
    ("runs-come-back", _nothing("end_run")),
    ("runs-once", _runs_again),
    ("runs-newest-first", _after("runs", lambda runs: [*reversed(runs)])),
    ("lists-are-light", _whole_reports),
    ("last-whole-run", _any_last),
    ("trim-keeps-the-last", _after("trim", lambda deleted: 0)),
    ("history-newest-first", _after("history", lambda found: [*reversed(found)])),
    ("failures-add-up", _first_failure),
    ("failures-in-key-order", _no_after),
    ("failures-are-dropped", _instead("drop_failures", lambda *a: a, endpoint=None)),
    ("intents-keep-handles", _new_intent),
    ("remembers", _nothing("forget")),
    ("keeps-unchanged", _unchanged_everywhere),
    ("newest-snapshot-stays", _last_snapshot),
    ("absences-need-two-runs", _all_absent),
    ("one-lease-holder", _any_holder),
    ("expired-leases-are-free", _for_ever),
    ("dead-owners-are-free", _dead_by_prefix),
    ("triggers-in-order", _same_number),
    ("held-plans-come-back", _after("plan_part", lambda data: data or None)),
    ("one-decision", _any_decision),
    ("newer-plans-supersede", _nothing("supersede")),
    ("images-by-address", _of_images("images", lambda found: {})),
    ("images-by-content", _of_images("image_with", _with_etag)),
    ("trim-keeps-files", _nothing("trim")),
    ("any-text", _no_nul),
    ("many-keys", _few_keys),
    ("calls-add-up", _skips_when_busy),
    ("calls-are-atomic", _one_by_one),
]
