"""The shared state of all handlers, and the context of one request."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

import attrs
from aiohttp import web

from catalogsync._lib.redact import Redactor
from catalogsync.config import Job, secrets_of
from catalogsync.errors import MisconfiguredError
from catalogsync.service import JobEvent, Service

from ._answers import event_json, to_text
from ._errors import RefusalError
from ._guard import Guard
from ._parsing import read_body
from ._plans import Plans
from ._rate_limit import Buckets
from ._sessions import Session
from ._streams import Streams
from ._webhooks import Signatures


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
    """The shared state of all handlers."""

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
            for side in (job.source, job.sink, job.state, *job.inform.values())
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
    """Refuse names that contain a secret, because names are shown."""
    names = {n for job in jobs for n in (job.name, job.source_name, job.sink_name)}
    if any(secret in name for secret in secrets for name in names):
        problem = "the name of a job or side contains a password, token or secret"
        raise MisconfiguredError("jobs", f"{problem}; names are shown, so change one")


@attrs.frozen(kw_only=True)
class Call:
    """The context of one request.

    Attributes:
        path: Path of the endpoint, with names of its parts in braces.
        by: Name of the caller; empty if no login is required.
        session: Session of a browser on a page; None: not logged in.
        key: Key of a signed request, as in `Signatures`.
    """

    site: Site
    request: web.Request
    path: str
    by: str = ""
    session: Session | None = None
    key: bytes = b""

    @property
    def service(self) -> Service:
        """The service that runs the jobs."""
        return self.site.service

    @property
    def job(self) -> Job:
        """The job in the path; without one, the request is refused."""
        return self.job_of(self.part("job"))

    def job_of(self, name: str) -> Job:
        """The job of this name; raises as `job` does."""
        if name not in self.service.jobs:
            raise RefusalError(404, "job not found")
        return self.service.jobs[name]

    def check_job(self) -> None:
        """Check that there is a job of the name in the path, if one is there."""
        if "job" in self.request.match_info:
            self.job_of(self.part("job"))

    def part(self, name: str) -> str:
        """A named part of the path."""
        return self.request.match_info[name]

    @property
    def root(self) -> str:
        """Path of the overview, relative to this page.

        So it works behind a proxy that changes paths.
        """
        return "../" * (self.path.count("/") - 1) or "./"

    @property
    def here(self) -> str:
        """Path of this page, or of the page of the form, relative to the overview."""
        parts = self.request.rel_url.raw_path.split("/")[-self.path.count("/") :]
        return "/".join(parts if self.request.method == "GET" else parts[:-1])

    def go(self, place: str) -> web.Response:
        """Redirect the browser to another page."""
        return web.Response(status=303, headers={"Location": f"{self.root}{place}"})

    async def body(self) -> bytes:
        """The body."""
        return await read_body(self.request, self.site.guard.access.max_body)

    def answer(self, tree: object, *, status: int = 200) -> web.Response:
        """A response with JSON."""
        return web.json_response(text=self.site.text(tree), status=status)
