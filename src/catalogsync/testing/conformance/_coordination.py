"""The promises of state stores: leases, triggers, any text, many calls at once."""

from __future__ import annotations

import asyncio
import random
import time

from catalogsync.catalog.products import Json
from catalogsync.state.protocols import (
    Lease,
)

from ._faults import interrupted
from ._promise import Promise, broken, expect, promise, same
from ._state_kit import A, B, StateKit, failed, key

COORDINATION: list[Promise[StateKit]] = []
_DAY = 86400.0
_ODD = ["", " ", "\x00", "a\x00b", "\\x00", "\ud83d", "\U0001f45f", '"', "[]", "Füße"]
_MANY = 35_000
_OFTEN = 60


@promise(
    COORDINATION,
    mend="Give a lease only if no other is valid; name the holder otherwise.",
)
async def one_lease_holder(kit: StateKit) -> None:
    """A lease has one holder; others learn who it is, until it is dropped."""
    first = await kit.take()
    for owner in ("somebody else", "me"):
        same(await kit.refuse(owner), "me", f"the holder, told to {owner}")
    elsewhere = await kit.store.take_lease(f"{kit.shop} 2", "me", ttl=60)
    expect(isinstance(elsewhere, Lease), "a lease with another name was refused")
    expect(await kit.store.renew_lease(first, ttl=60), "the holder cannot renew it")
    await kit.store.drop_lease(first)
    expect(
        not await kit.store.renew_lease(first, ttl=60), "a dropped lease was renewed"
    )
    second = await kit.take()
    expect(second.token > first.token, "the token of the next holder does not grow")


@promise(COORDINATION, mend="Compare token and owner before you renew or drop a lease.")
async def expired_leases_are_free(kit: StateKit) -> None:
    """A lease that expired can be taken; the earlier holder can no longer touch it."""
    first = await kit.take(ttl=0)
    expect(await kit.store.renew_lease(first, ttl=0), "nobody took it, but it is lost")
    second = await kit.take("the next")
    expect(second.token > first.token, "the token of the next holder does not grow")
    expect(
        not await kit.store.renew_lease(first, ttl=60), "renewed by the earlier holder"
    )
    await kit.store.drop_lease(first)
    same(await kit.refuse(), "the next", "the holder after the earlier one dropped it")


@promise(COORDINATION, mend="Compare the whole text of `dead` with the owner.")
async def dead_owners_are_free(kit: StateKit) -> None:
    """The lease of an owner that is known to be dead is free, and only this one."""
    first = await kit.take("dead")
    for other in ("", "dea", "dead ", "DEAD"):
        same(await kit.refuse(dead=other), "dead", f"the holder, for dead={other!r}")
    lease = await kit.store.take_lease(kit.shop, "me", ttl=60, dead="dead")
    if not isinstance(lease, Lease):
        broken("the lease of a dead owner was refused")
    expect(lease.token > first.token, "the token of the next holder does not grow")
    expect(not await kit.store.renew_lease(first, ttl=60), "renewed by the dead owner")
    same(await kit.refuse(dead="dead"), "me", "the holder, after the dead one")


@promise(COORDINATION, mend="Number triggers with a sequence that never goes back.")
async def triggers_in_order(kit: StateKit) -> None:
    """Triggers come oldest first, until they are dropped; a number never comes again."""
    first = await kit.store.add_trigger(kit.job, [A, B], by="a webhook")
    second = await kit.store.add_trigger(kit.job)
    same((first.keys, first.by, second.keys), ((A, B), "a webhook", ()), "triggers")
    expect(abs(first.at - time.time()) < _DAY, "the time of a trigger")
    same([*await kit.store.triggers(kit.job)], [first, second], "the queue")
    other = await kit.store.add_trigger("other")
    same([*await kit.store.triggers()], [first, second, other], "the whole queue")
    same((await kit.store.backlog(kit.job)).triggers, 2, "the size of the queue")
    await kit.store.drop_triggers([second.id, other.id, 999_999])
    same([*await kit.store.triggers(kit.job)], [first], "the queue after a drop")
    third = await kit.store.add_trigger(kit.job)
    expect(third.id > other.id, "the number of a dropped trigger came again")


@promise(
    COORDINATION,
    mend="Escape what the database cannot store, such as NUL and surrogates.",
)
async def any_text(kit: StateKit) -> None:
    """Any text comes back: NUL, halves of surrogate pairs, quotes, a megabyte of HTML."""
    for text in (*_ODD, "<p>Füße &amp; \U0001f45f</p>" * 50_000):
        payload: Json = {"text": text, "list": [text, None, 1.5, True]}
        failure = failed("a", reason=text, said=text, payload=payload)
        job = f"{kit.job} {text[:9]}"
        await kit.store.put_failures(job, [failure])
        same([*await kit.store.failures(job)], [failure], "a failed product")
        await kit.store.put_intents(f"{kit.shop} {text[:9]}", "r", {A: text})
        found = await kit.store.intents(f"{kit.shop} {text[:9]}", "kit")
        same(found[A].handle, text, "a handle")


@promise(
    COORDINATION, mend="Split long lists into statements with few enough parameters."
)
async def many_keys(kit: StateKit) -> None:
    """A call takes as many keys as a catalog has, and keys of any length."""
    letters = random.Random(1)  # noqa: S311 - not for secrets
    start = "".join(chr(letters.randrange(0x21, 0x7F)) for _ in range(5000))
    keys = [key(f"{n}") for n in range(_MANY)] + [key(f"{start}1"), key(f"{start}2")]
    await kit.store.remember(kit.shop, keys)
    same(len(await kit.store.remembered(kit.shop, keys)), len(keys), "remembered")
    await kit.store.forget(kit.shop, keys[:-1])
    same(await kit.store.remembered(kit.shop, keys), {keys[-1]}, "after `forget`")


@promise(COORDINATION, mend="Read and write in one transaction, and lock what is read.")
async def calls_add_up(kit: StateKit) -> None:
    """Calls at the same time lose nothing of each other."""
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            failures = [failed("a"), failed("b")]
            group.create_task(kit.store.put_failures(kit.job, failures))
            group.create_task(kit.store.add_trigger(kit.job))
    found = await kit.store.failures(kit.job)
    same([each.attempts for each in found], [20, 20], "attempts")
    same(len({t.id for t in await kit.store.triggers(kit.job)}), 20, "triggers")


@promise(
    COORDINATION,
    mend="Write each call in one transaction, and roll back on CancelledError.",
)
async def calls_are_atomic(kit: StateKit) -> None:
    """A call that is cancelled at any await does all or nothing, and the store still works."""
    failures = [failed(f"{n}") for n in range(500)]
    for at in range(1, _OFTEN):
        job = f"{kit.job} {at}"
        end = await interrupted(kit.store.put_failures(job, failures), at)
        expect(end != "swallowed", f"CancelledError was swallowed at await {at}")
        size = len(await kit.store.failures(job))
        expect(size in {0, len(failures)}, f"{size} of {len(failures)} were written")
        if end == "done":
            return
