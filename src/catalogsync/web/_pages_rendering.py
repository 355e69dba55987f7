"""Rendering pages from templates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import quote

import jinja2
from aiohttp import web

from catalogsync._lib.texts import counted, duration
from catalogsync.config import Role

from ._answers import to_text
from ._context import Call
from ._errors import RefusalError, one_line

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    # Without a referrer, browsers do not send the origin of a form.
    "Referrer-Policy": "same-origin",
}
_LONGEST = 2000
_NOTICES = {
    "sync": "Run requested.",
    "retry": "Retry of failed products requested.",
    "apply": "The plan will be applied.",
    "reject": "The plan is rejected.",
    "cancel": "Stopping the run.",
    "cancel-waiting": "Stopping the run. The next run is queued and starts right"
    " afterwards; clear the queue to prevent that.",
    "clear": "Queue cleared.",
}


def show(
    call: Call, template: str, values: Mapping[str, object], *, status: int = 200
) -> web.Response:
    """Respond with a page; *values* are JSON types, and lose their secrets here."""
    site, session = call.site, call.session
    caller = session.caller if session else None
    shared = {
        "csrf": session.csrf if session else "",
        "here": call.here,
        "may_operate": caller is not None and caller.role.allows(Role.OPERATE),
        "notice": _NOTICES.get(call.request.query.get("said", ""), ""),
        "root": call.root,
        "user": caller.name if caller and not site.guard.access.open else "",
    }
    shown = {name: site.redactor.tree(value) for name, value in values.items()}
    text = _TEMPLATES.get_template(template).render({**shared, **shown})
    return web.Response(
        # Lone surrogates become question marks.
        body=text.encode("utf-8", "replace"),
        status=status,
        headers=_HEADERS,
        content_type="text/html",
        charset="utf-8",
    )


def refuse(call: Call, refusal: RefusalError) -> web.Response:
    """Respond with an error page."""
    values = {"problem": one_line(str(refusal)), "status": refusal.status}
    response = show(call, "error.html", values, status=refusal.status)
    response.headers.update(refusal.headers)
    return response


def _part(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="", errors="replace")


def _moment(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%SZ}"


def _value(value: object) -> str:
    """A value of a product, shortened."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else to_text(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _environment() -> jinja2.Environment:
    templates = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("catalogsync.web"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    filters = cast("dict[str, Callable[..., object]]", templates.filters)
    filters.update(
        counted=counted, moment=_moment, part=_part, seconds=duration, value=_value
    )
    return templates


_TEMPLATES = _environment()
