"""Planned faults: make a test server fail where, how and as often as a test needs.

A plan is a list of faults. Each has an effect, the requests it matches, and conditions::

    plan = FaultPlan(
        reset("GET", "/products*", on=[2]),
        lost("POST", "/admin/products/batch", on=[1, 4]),
        status(503, rate=0.1),
        seed=7,
    )
    app = web.Application(middlewares=[plan.middleware()])

``plan.injected`` records which faults struck. Note that aiohttp's client repeats a GET,
PUT or DELETE once by itself when the connection is reset or lost.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, TypedDict, Unpack

import attrs
from aiohttp import web
from aiohttp.typedefs import Middleware

from . import _effects as effects

__all__ = [
    "Fault",
    "FaultPlan",
    "Injection",
    "When",
    "bad_gateway",
    "bad_json",
    "cut",
    "delay",
    "lost",
    "reset",
    "stall",
    "status",
    "truncated",
]

FaultKind: TypeAlias = Literal[
    "status", "bad_json", "reset", "lost", "cut", "truncated", "delay", "stall"
]


class When(TypedDict, total=False):
    """When a fault strikes, among the requests that its method and path match.

    All conditions must hold; without any, the fault strikes every time.

    Attributes:
        on: Number of the request, from 1, or several numbers.
        every: Every nth request: 3 means the third, the sixth and so on.
        rate: Probability from 0 to 1, drawn with the plan's seed.
        times: Largest number of strikes.
    """

    on: int | Collection[int]
    every: int
    rate: float
    times: int


@attrs.frozen
class Fault:
    """One fault, for the requests it matches.

    Usually made by a function named after its kind, such as :func:`reset`.

    Attributes:
        kind: Name under which the plan records it.
        effect: Runs instead of, or around, the handler.
        method: A method, or ``"*"`` for any.
        path: A glob that the path, or the path with its query, must match.
            A ``*`` matches slashes too.
        when: Conditions for a strike.
    """

    kind: FaultKind
    effect: effects.Effect
    method: str = "*"
    path: str = "*"
    when: When = attrs.field(factory=When)

    @property
    def waits(self) -> bool:
        """Whether it only waits, so that another fault may strike too."""
        return self.kind in {"delay", "stall"}

    def matches(self, request: web.Request) -> bool:
        """Whether the fault is for this request."""
        if self.method not in {"*", request.method}:
            return False
        return fnmatchcase(request.path, self.path) or fnmatchcase(
            request.path_qs, self.path
        )


@attrs.frozen
class Injection:
    """A fault that struck.

    Attributes:
        kind: The fault's kind.
        method: The request's method.
        path: The request's path with its query.
        nth: The request's number among those that the fault matches, from 1.
    """

    kind: FaultKind
    method: str
    path: str
    nth: int


class FaultPlan:
    """The faults of a test server, checked in order for each request.

    The first fault that is due strikes; after one that only waits, the next one may
    strike too. Every fault counts every request that it matches, whether or not
    another one struck. The same seed and the same order of requests give the same
    faults.

    Args:
        *faults: The first faults.
        seed: Seed for faults with a rate.

    Attributes:
        injected: The strikes so far, in order.
    """

    def __init__(self, *faults: Fault, seed: int = 0) -> None:
        self.injected: list[Injection] = []
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._rules = [_Rule(fault) for fault in faults]

    def add(self, *faults: Fault) -> None:
        """Add faults while the server runs; they count from the next request."""
        self._rules.extend(_Rule(fault) for fault in faults)

    def clear(self) -> None:
        """Remove all faults, from the next request on."""
        self._rules.clear()

    def count(self, kind: FaultKind) -> int:
        """Number of strikes of this kind."""
        return sum(injection.kind == kind for injection in self.injected)

    def middleware(self) -> Middleware:
        """The aiohttp middleware for this plan; make it the first one."""

        @web.middleware
        async def inject(
            request: web.Request, handler: effects.Handler
        ) -> web.StreamResponse:
            for fault in reversed(self._due(request)):
                handler = functools.partial(fault.effect, handler=handler)
            return await handler(request)

        return inject

    def _due(self, request: web.Request) -> list[Fault]:
        due: list[Fault] = []
        decided = False
        for rule in self._rules:
            if not rule.fault.matches(request):
                continue
            if rule.is_next_due(self._random) and not decided:
                due.append(rule.strike())
                self._record(rule, request)
                decided = not rule.fault.waits
        return due

    def _record(self, rule: _Rule, request: web.Request) -> None:
        injection = Injection(
            rule.fault.kind, request.method, request.path_qs, rule.seen
        )
        self.injected.append(injection)


class _Rule:
    """A fault and what it has counted."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self._struck = 0

    def is_next_due(self, rng: random.Random) -> bool:
        when = self.fault.when
        self.seen += 1
        on = when.get("on", self.seen)
        # Drawn at every request, so that one fault's luck never hangs on another's.
        lucky = rng.random() < when["rate"] if "rate" in when else True
        return (
            lucky
            and self.seen in ({on} if isinstance(on, int) else on)
            and self.seen % when.get("every", 1) == 0
            and ("times" not in when or self._struck < when["times"])
        )

    def strike(self) -> Fault:
        self._struck += 1
        return self.fault


def status(
    code: int,
    method: str = "*",
    path: str = "*",
    *,
    body: str = "",
    headers: Mapping[str, str] | None = None,
    **when: Unpack[When],
) -> Fault:
    """Answer with this status, without doing the work.

    The body is a JSON message unless one is given; a ``Content-Type`` or
    ``Retry-After`` goes into the headers.
    """
    effect = effects.Answer(code, body, dict(headers or {}))
    return Fault("status", effect, method, path, when)


def bad_gateway(method: str = "*", path: str = "*", **when: Unpack[When]) -> Fault:
    """Answer 502 with an HTML page, as a proxy does if its server is down."""
    page = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    html = {"Content-Type": "text/html"}
    return status(502, method, path, body=page, headers=html, **when)


def bad_json(
    method: str = "*",
    path: str = "*",
    *,
    body: str = "{not json",
    **when: Unpack[When],
) -> Fault:
    """Answer 200 with a wrong body, without doing the work."""
    return Fault("bad_json", effects.Answer(200, body, {}), method, path, when)


def reset(method: str = "*", path: str = "*", **when: Unpack[When]) -> Fault:
    """Reset the connection before the work begins."""
    return Fault("reset", effects.reset, method, path, when)


def lost(method: str = "*", path: str = "*", **when: Unpack[When]) -> Fault:
    """Do the work, then close the connection instead of answering."""
    return Fault("lost", effects.lose, method, path, when)


def cut(
    method: str = "*",
    path: str = "*",
    *,
    keep: float | None = None,
    **when: Unpack[When],
) -> Fault:
    """Do the work, then lose the connection in the middle of the body.

    ``keep`` is the number of bytes that arrive or, below 1, a fraction of the body;
    half of it by default.
    """
    return Fault("cut", effects.Cut(keep), method, path, when)


def truncated(
    method: str = "*",
    path: str = "*",
    *,
    keep: float | None = None,
    **when: Unpack[When],
) -> Fault:
    """Do the work, then send only the beginning of the body as if it were complete.

    The content length is right, the JSON is cut. :func:`cut` explains ``keep``.
    """
    return Fault("truncated", effects.Truncate(keep), method, path, when)


def delay(
    until: effects.Until,
    method: str = "*",
    path: str = "*",
    **when: Unpack[When],
) -> Fault:
    """Wait before doing the work: some seconds, or until the event is set.

    The work is done even if the client disconnects in the meantime.
    """
    return Fault("delay", effects.Delay(until), method, path, when)


def stall(
    until: effects.Until,
    method: str = "*",
    path: str = "*",
    **when: Unpack[When],
) -> Fault:
    """Do the work, but delay the answer: some seconds, or until the event is set."""
    return Fault("stall", effects.Stall(until), method, path, when)
