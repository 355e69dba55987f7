"""How the documentation is built: `sphinx-build -W -n -b html docs docs/_build/html`."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.metadata import version as version_of
from inspect import isfunction
from pathlib import Path

import attrs
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

sys.path.insert(0, str(Path(__file__).parent))

from signatures import described, public, signature_of

project = "catalogsync"
author = "the catalogsync authors"
project_copyright = author
version = release = version_of("catalogsync")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "catalogsync"
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code"
add_module_names = False
toc_object_entries_show_parents = "hide"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
napoleon_use_ivar = True
python_use_unqualified_type_names = True

nitpicky = True
nitpick_ignore_regex = [
    # Names of other projects: their pages are elsewhere, and a build needs no network.
    (r"py:.*", r"(asyncio|collections|contextlib|datetime|decimal|enum|importlib)\..*"),
    (r"py:.*", r"(dt|logging|os|pathlib|ssl|typing|aiohttp|attrs|stamina|yarl)\..*"),
    # The same names where an annotation has them without their module.
    (
        r"py:class",
        r"ClientSession|datetime|Decimal|Path|AbstractAsyncContextManager|EntryPoint|URL",
    ),
    (r"py:class", r"CollectorRegistry|(Meter|Tracer)Provider"),
    # What the memory source and the test servers keep for themselves.
    (r"py:class", r"Clock|Products|deque|FaultKind|Records|State|effects\.Effect"),
    (r"py:class", r"catalogsync\.testing\..*"),
    (r"py:func", r"reset"),
    # What the API source keeps for itself.
    (
        r"py:class",
        r"(catalogsync\.adapters\.json_api\._\w+\.)?(ApiClient|RawPage|Walk)",
    ),
    (r"py:class", r"OpenedJSONAPI|_Paths|MedusaClient"),
    # Texts with a few possible values: the classes that take them name these.
    (r"py:class", r"Constant|DecimalMark|Empty|Html|TableFormat|Unmapped"),
    # Type variables.
    (r"py:class", r"(catalogsync\..*\.)?[CKT](_co)?"),
]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _show_public_homes() -> None:
    """Name each class and function by the module that users import it from."""
    for module, name in described():
        value = getattr(import_module(module), name)
        is_named = isinstance(value, type) or isfunction(value)
        if is_named and value.__module__.startswith("catalogsync"):
            value.__module__ = module


def _show_defaults() -> None:
    """Let classes have signatures as people would write them."""
    for value in public():
        if isinstance(value, type) and attrs.has(value):
            value.__signature__ = signature_of(value)  # type: ignore[attr-defined]


def _fences(
    _: Sphinx, __: str, ___: str, ____: object, _____: object, lines: list[str]
) -> None:
    """Turn fenced code in docstrings, which people read as it is, into directives."""

    def directive(match: re.Match[str]) -> str:
        language, body = match[1] or "text", match[2]
        indented = "".join(
            f"    {line}\n" if line else "\n" for line in body.split("\n")
        )
        return f".. code-block:: {language}\n\n{indented}"

    lines[:] = _FENCE.sub(directive, "\n".join(lines)).split("\n")


def _shorten_contents(
    _: Sphinx, domain: str, kind: str, content: addnodes.desc_content
) -> None:
    """List classes and functions beside a page, and leave out their members."""
    if domain == "py" and kind not in {"class", "exception", "function", "type"}:
        content.parent["no-contents-entry"] = True


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("object-description-transform", _shorten_contents)
    _show_public_homes()
    _show_defaults()
    app.connect("autodoc-process-docstring", _fences, priority=400)
