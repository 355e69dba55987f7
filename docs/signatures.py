"""Writes `reference/signatures.md`: every public name with its types and defaults.

`python docs/signatures.py > docs/reference/signatures.md`, also for readers of a
checkout, who have no built pages. `conf.py` uses the same signatures.
"""

from __future__ import annotations

import enum
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, ForwardRef

import attrs

_PAGE = Path(__file__).parent / "reference" / "api.md"
_WIDTH = 88
_HEAD = """# Signatures

Every name of the [API](api.md) with its types and defaults. This page is made by `docs/signatures.py`.
"""
_DIRECTIVE = re.compile(
    r"^(?P<section>##+ .+)$|^\.\. py:currentmodule:: (?P<module>\S+)"
    r"|^\.\. (?P<kind>auto|py:)(?:class|function|exception|type|data):: (?P<name>\w+)"
    r"(?:\n +:canonical: (?P<alias>.+))?",
    re.MULTILINE,
)


class _Shown:
    """A default as people would write it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def signature_of(value: Callable[..., Any]) -> inspect.Signature:
    """The signature, with defaults as people would write them."""
    signature = inspect.signature(value)
    is_attrs = isinstance(value, type) and attrs.has(value)
    fields = {each.alias: each for each in attrs.fields(value)} if is_attrs else {}
    parameters = [
        _readable(each, fields.get(each.name)) for each in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def _readable(
    parameter: inspect.Parameter, field: attrs.Attribute[Any] | None
) -> inspect.Parameter:
    if isinstance(parameter.annotation, ForwardRef):  # of a NamedTuple
        named = parameter.annotation.__forward_arg__
        parameter = parameter.replace(annotation=named)
    if field is not None and parameter.annotation is parameter.empty:
        parameter = parameter.replace(annotation=field.type)  # a class converts it
    if parameter.default is parameter.empty:
        return parameter
    return parameter.replace(default=_Shown(_default(parameter, field)))


def _default(parameter: inspect.Parameter, field: attrs.Attribute[Any] | None) -> str:
    factory = getattr(field.default, "factory", None) if field is not None else None
    if factory is not None:
        factory = getattr(factory, "__origin__", factory)
        empty = {dict: "{}", list: "[]", set: "set()", tuple: "()"}
        arguments = ", ".join(
            f"{name}={value!r}"
            for name, value in getattr(factory, "keywords", {}).items()
        )
        name = getattr(getattr(factory, "func", factory), "__name__", "...")
        return empty.get(factory) or ("..." if "<" in name else f"{name}({arguments})")
    return _literal(parameter.default)


def _literal(value: object) -> str:
    if value is os.environ:
        return "os.environ"
    if isinstance(value, enum.Enum):
        return value.name if repr(value) == value.name else _member(value)
    if isinstance(value, tuple) and value:
        return f"({', '.join(map(_literal, value))})"
    named = getattr(value, "__name__", "")
    return "..." if named.startswith(("<", "_")) else named or repr(value)


def _member(value: enum.Enum) -> str:
    return f"{type(value).__name__}.{value.name}"


def written(value: Callable[..., Any], name: str) -> str:
    """A signature as text, over several lines where it is long."""
    signature = signature_of(value)
    parameters = signature.parameters.values()
    stars = _with_marks([p for p in parameters if p.name not in {"self", "cls"}])
    result = signature.return_annotation
    is_plain = result is signature.empty or isinstance(value, type)
    after = "" if is_plain else f" -> {_annotation(result)}"
    before = "async " if inspect.iscoroutinefunction(value) else ""
    line = f"{before}{name}({', '.join(stars)}){after}"
    if len(line) <= _WIDTH:
        return line
    inside = "".join(f"    {part},\n" for part in stars)
    return f"{before}{name}(\n{inside}){after}"


def _with_marks(parameters: list[inspect.Parameter]) -> list[str]:
    """The parameters, with `/` and `*` where they stand."""
    marked: list[str] = []
    kinds = [parameter.kind for parameter in parameters]
    only, named = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY
    for number, parameter in enumerate(parameters):
        before, after = kinds[:number], kinds[number + 1 :]
        starred = inspect.Parameter.VAR_POSITIONAL in before
        if parameter.kind is named and named not in before and not starred:
            marked.append("*")
        marked.append(_parameter(parameter))
        if parameter.kind is only and only not in after:
            marked.append("/")
    return marked


def _parameter(parameter: inspect.Parameter) -> str:
    star = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else ""
    text = f"{star}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_annotation(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {parameter.default!r}"
    return text


def _annotation(annotation: object) -> str:
    if not isinstance(annotation, str):
        annotation = inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", annotation)


def _lines(value: Any, name: str) -> Iterator[str]:
    """The signature of a name, and what is public of a class."""
    if isinstance(value, type) and issubclass(value, enum.Enum):
        members = ", ".join(f"{each.name} = {each.value!r}" for each in value)
        yield f"{name}: {members}"
        return
    yield _whole(value, name)
    for member, found in _members(value) if isinstance(value, type) else ():
        if not member.startswith("_"):
            yield from _member_lines(found, f"{name}.{member}")


def _members(value: type) -> Iterator[tuple[str, Any]]:
    """The members of a class and of its private bases."""
    for owner in value.__mro__:
        if owner is not value and not owner.__name__.startswith("_"):
            return
        yield from vars(owner).items()


def _whole(value: Any, name: str) -> str:
    """A name with its signature, where it has one of its own."""
    try:
        return name if getattr(value, "_is_protocol", False) else written(value, name)
    except (TypeError, ValueError):  # a value, or a built-in class
        return name


def _member_lines(found: Any, name: str) -> Iterator[str]:
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    if isinstance(found, property):
        result = inspect.signature(found.fget).return_annotation  # type: ignore[arg-type]
        yield f"{name}: {_annotation(result)}"
    elif inspect.isfunction(found):
        yield written(found, name)


def described() -> Iterator[tuple[str, str]]:
    """Every public name as the API page has it: its module and the name."""
    module = "catalogsync"
    for found in _DIRECTIVE.finditer(_PAGE.read_text()):
        module = found["module"] or module
        if found["name"]:
            yield module, found["name"]


def modules() -> list[str]:
    """The public modules, in the order of the API page."""
    return list(dict.fromkeys(module for module, _ in described()))


def public() -> Iterator[Any]:
    """The classes, functions and values behind the names of the API page."""
    for module, name in described():
        yield getattr(import_module(module), name)


def page() -> str:
    """The page as Markdown."""
    module, parts = "catalogsync", [_HEAD]
    blocks: list[str] = []
    for found in _DIRECTIVE.finditer(_PAGE.read_text()):
        module = found["module"] or module
        if found["section"]:
            parts += [*_fenced(blocks), f"{found['section']}\n"]
            blocks = []
        elif found["kind"] == "auto":
            value = getattr(import_module(module), found["name"])
            blocks.append("\n".join(_lines(value, found["name"])))
        elif found["alias"]:
            blocks.append(f"{found['name']} = {_annotation(found['alias'])}")
    return "\n".join([*parts, *_fenced(blocks)])


def _fenced(blocks: list[str]) -> list[str]:
    return ["```text\n" + "\n\n".join(blocks) + "\n```\n"] if blocks else []


if __name__ == "__main__":
    sys.stdout.write(page())
