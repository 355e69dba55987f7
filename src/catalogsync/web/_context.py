"""What all handlers share, and one call of one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol, TypeAlias

import attrs
from aiohttp import web

from catalogsync._lib.redact import Redactor
from catalogsync.config import Job, Role, secrets_of
from catalogsync.errors import MisconfiguredError
from catalogsync.service import JobEvent, Service

from ._errors import RefusalError
from ._guard import Guard
from ._parsing import Query, parse_json, read_body
from ._plans import Plans
from ._rate_limit import Buckets
from ._schemas import event_json, to_text
from ._streams import Streams
from ._webhooks import Signatures

__all__ = ["Call", "Endpoint", "Handler", "Metrics", "Site"]


class Metrics(Protocol):
    """A hook with metrics for Prometheus, such as `PrometheusHook`.

    Attributes:
        content_type: Content type of `text`.
    """

    content_type: str

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        ...


@attrs.define(kw_only=True)
class Site:
    """What all handlers share.

    Attributes:
        service: What runs the jobs.
        guard: Lets callers in.
        metrics: Figures for Prometheus, if any.
        alive_every: As of `Streams`.
        requests: Counts the requests of each address.
        signatures: Tells right webhook calls from wrong ones.
        redactor: Keeps secrets out of answers.
        streams: The event streams that are open.
        plans: The plans that were made or are being made.
    """

    service: Service
    guard: Guard
    metrics: Metrics | None
    alive_every: float
    requests: Buckets = attrs.field(init=False)
    signatures: Signatures = attrs.field(init=False)
    redactor: Redactor = attrs.field(factory=Redactor, init=False)
    streams: Streams = attrs.field(init=False)
    plans: Plans = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        service, access = self.service, self.guard.access
        sides = (
            side
            for job in service.jobs.values()
            for side in (job.source, job.sink, job.state)
        )
        secrets = access.secrets | secrets_of(*sides)
        _check_names(service.jobs.values(), secrets)
        self.requests = Buckets(access.requests_per_minute)
        self.signatures = Signatures(access.webhooks)
        self.redactor.keep(secrets)
        self.streams = Streams(
            service.feed, self.guard.sessions, self._data, self.alive_every
        )
        self.plans = Plans(service)

    def _data(self, item: JobEvent) -> str:
        return self.text(event_json(item))

    def text(self, tree: object) -> str:
        """JSON without secrets."""
        return to_text(self.redactor.tree(tree))

    def close(self) -> None:
        """End all streams."""
        self.streams.close()


def _check_names(jobs: Iterable[Job], secrets: Collection[str]) -> None:
    """See to it that no name has to be kept back as a secret.

    Raises:
        MisconfiguredError: One has.
    """
    names = {n for job in jobs for n in (job.name, job.source_name, job.sink_name)}
    if any(secret in name for secret in secrets for name in names):
        problem = "a password, token or secret stands in the name of a job or side"
        raise MisconfiguredError("jobs", f"{problem}, which is shown; change either")


@attrs.frozen(kw_only=True)
class Call:
    """One request for a handler.

    Attributes:
        site: What all share.
        request: The request.
        by: Who asks, for people; empty where anybody may.
    """

    site: Site
    request: web.Request
    by: str = ""

    @property
    def service(self) -> Service:
        """What runs the jobs."""
        return self.site.service

    @property
    def job(self) -> Job:
        """The job that the path names.

        Raises:
            RefusalError: There is none.
        """
        return self.job_of(self.request.match_info["job"])

    def job_of(self, name: str) -> Job:
        """The job of this name; raises as `job` does."""
        if name not in self.service.jobs:
            raise RefusalError(404, "there is no such job")
        return self.service.jobs[name]

    def query(self, *known: str) -> Query:
        """The parameters of the address.

        Args:
            known: The names that there are.
        """
        return Query(self.request.query, known)

    async def body(self) -> dict[str, object]:
        """The object in the body."""
        most = self.site.guard.access.max_body
        return parse_json(self.request, await read_body(self.request, most))

    def answer(self, tree: object, *, status: int = 200) -> web.Response:
        """An answer of JSON."""
        return web.json_response(text=self.site.text(tree), status=status)


Handler: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]


@attrs.frozen
class Endpoint:
    """What is at a path.

    Attributes:
        method: Of the request.
        path: With names of its parts in braces.
        handler: Answers.
        role: Who may call; None: anybody.
    """

    method: str
    path: str
    handler: Handler
    role: Role | None

    def bind(
        self, site: Site
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler for aiohttp."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if self.role is None:
                return await self.handler(Call(site=site, request=request))
            caller = site.guard.admit(request, self.role)
            call = Call(site=site, request=request, by=caller.name)
            return await self.handler(call)

        return handle
