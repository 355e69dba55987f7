"""Rendering pages from templates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import quote

import jinja2
from aiohttp import web

from catalogsync._lib.texts import counted, duration

from ._schemas import to_text

__all__ = ["render"]

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


def render(
    template: str, values: Mapping[str, object], *, status: int = 200
) -> web.Response:
    """Render a page.

    Args:
        template: Name of the template.
        values: Values for the template; it escapes every text.
        status: Status of the response.
    """
    text = _TEMPLATES.get_template(template).render(values)
    return web.Response(
        # Lone surrogates become question marks.
        body=text.encode("utf-8", "replace"),
        status=status,
        headers=_HEADERS,
        content_type="text/html",
        charset="utf-8",
    )


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
