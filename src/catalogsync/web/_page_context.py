"""A request for a page of the dashboard."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import parse_qsl, quote

import attrs
from aiohttp import web

from catalogsync.config import Role
from catalogsync.errors import CatalogSyncError

from ._context import Call, Site
from ._errors import RefusalError, one_line
from ._middleware import refusal_of
from ._pages_rendering import render
from ._parsing import read_body
from ._sessions import Session

__all__ = ["Page", "Visit", "known_place"]

_PLACE = re.compile(r"(jobs|runs)/[\w.~%-]+(/failures|/plan)?", re.ASCII)
_MOST_FIELDS = 20
_NOTICES = {
    "sync": "Run requested.",
    "retry": "Retry of failed products requested.",
    "apply": "The plan will be applied.",
    "cancel": "Stopping the run.",
    "cancel-waiting": "Stopping the run. The next run is queued and starts right"
    " afterwards; clear the queue to prevent that.",
    "clear": "Queue cleared.",
}
_NO_FORM: Mapping[str, str] = MappingProxyType({})


def known_place(text: str) -> str:
    """A path within the dashboard from a form; the overview if it is not valid."""
    return text if _PLACE.fullmatch(text) else ""


@attrs.frozen(kw_only=True)
class Visit:
    """A request of a browser for a page, or with a form.

    Attributes:
        call: The request.
        root: Path of the overview, relative to this page, so that it works behind a
            proxy that changes paths.
        here: Path of this page, or of the page of the form, relative to the overview.
        session: Session of the browser; None: not logged in.
        form: Fields of the form.
    """

    call: Call
    root: str
    here: str
    session: Session | None = None
    form: Mapping[str, str] = _NO_FORM

    def show(
        self, template: str, values: Mapping[str, object], *, status: int = 200
    ) -> web.Response:
        """Respond with a page, without secrets.

        Args:
            template: Name of the template.
            values: Values for the template, as JSON types.
            status: Status of the response.
        """
        site, caller = self.call.site, self.session.caller if self.session else None
        shared = {
            "csrf": self.session.csrf if self.session else "",
            "here": self.here,
            "may_operate": caller is not None and caller.role.allows(Role.OPERATE),
            "notice": _NOTICES.get(self.call.request.query.get("said", ""), ""),
            "root": self.root,
            "user": caller.name if caller and not site.guard.access.open else "",
        }
        shown = {name: site.redactor.tree(value) for name, value in values.items()}
        return render(template, {**shared, **shown}, status=status)

    def go(self, place: str) -> web.Response:
        """Redirect the browser to another page."""
        return web.Response(status=303, headers={"Location": f"{self.root}{place}"})

    def refuse(self, refusal: RefusalError) -> web.Response:
        """Respond with an error page."""
        values = {"problem": one_line(str(refusal)), "status": refusal.status}
        response = self.show("error.html", values, status=refusal.status)
        response.headers.update(refusal.headers)
        return response


Handler: TypeAlias = Callable[[Visit], Awaitable[web.StreamResponse]]


@attrs.frozen
class Page:
    """A page of the dashboard.

    Attributes:
        method: HTTP method.
        path: Path, with names of its parts in braces.
        handler: Handles requests.
        role: Required role; None: no login.
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
            visit = self._begin(site, request)
            try:
                return await self._answer(visit)
            except (RefusalError, CatalogSyncError) as error:
                return visit.refuse(refusal_of(error))

        return handle

    def _begin(self, site: Site, request: web.Request) -> Visit:
        depth = self.path.count("/")
        parts = request.rel_url.raw_path.split("/")[-depth:]
        return Visit(
            call=Call(site=site, request=request),
            root="../" * (depth - 1) or "./",
            here="/".join(parts if self.method == "GET" else parts[:-1]),
        )

    async def _answer(self, visit: Visit) -> web.StreamResponse:
        request, guard = visit.call.request, visit.call.site.guard
        guard.check_origin(request)
        session = guard.session(request)
        if session is not None:
            call = attrs.evolve(visit.call, by=session.caller.name)
            visit = attrs.evolve(visit, call=call, session=session)
        if session is None and self.role is not None:
            return visit.go(f"login?next={quote(visit.here)}")
        if self.method == "POST":
            visit = attrs.evolve(visit, form=await _read_form(visit.call))
        if session is not None and self.role is not None:
            if self.method == "POST":
                session.check(visit.form.get("csrf", ""))
            guard.check_role(session.caller, self.role)
        return await self.handler(visit)


async def _read_form(call: Call) -> Mapping[str, str]:
    """The fields of a form; the last value of a repeated field."""
    if call.request.content_type != "application/x-www-form-urlencoded":
        raise RefusalError(415, "the body must be a form")
    body = await read_body(call.request, call.site.guard.access.max_body)
    text = body.decode("ascii", "replace")
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RefusalError(400, "the form has too many fields") from None
    return dict(fields)
