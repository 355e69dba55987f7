"""Every text that a person can see, on one page to read: `python -m tests.messages`.

The texts are collected from the source: strings of several words that are not docstrings,
the help of commands, and what is between the tags of templates.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

PACKAGE = Path(__file__).parents[1] / "src" / "catalogsync"
_WORDS = re.compile(r"[A-Za-z]{2,}[,:;]? (?:[a-z]|\{)|\} [a-z]{2,}")
# SQL, content policies and other texts for machines.
_MACHINES = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|ALTER|CREATE|DROP|PRAGMA|SET|SHOW|BEGIN|REPLACE)\b"
    r"|.*(?:-src '|<\w+|text/|charset=)",
    re.DOTALL,
)
_MADE_UP = {"testing/_words.py", "testing/catalog.py"}
_CODE = re.compile(r"cast|re\.compile|.*\.split")


@attrs.frozen
class Message:
    """A text, with `{...}` for what is filled in.

    Attributes:
        where: File and line.
        text: What a person reads.
    """

    where: str
    text: str

    @property
    def room(self) -> str:
        """The folder or module that it is from."""
        return self.where.split("/")[0].split(":")[0].removesuffix(".py")


def messages() -> Iterator[Message]:
    """All messages of the package."""
    for path in sorted(PACKAGE.rglob("*")):
        name = path.relative_to(PACKAGE).as_posix()
        if path.suffix == ".py":
            texts = of_module(ast.parse(path.read_text(encoding="utf-8")))
        elif path.suffix == ".html":
            texts = of_template(path.read_text(encoding="utf-8"))
        elif path.suffix == ".js":
            texts = of_script(path.read_text(encoding="utf-8"))
        else:
            continue
        for line, text in texts:
            if (
                name not in _MADE_UP
                and _WORDS.search(text)
                and not _MACHINES.match(text)
            ):
                yield Message(f"{name}:{line}", text)


def of_module(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and _CODE.fullmatch(ast.unparse(node.func)):
            yield from of_module(ast.Tuple(node.args[1:]))
            continue
        if isinstance(node, ast.FunctionDef) and _is_command(node):
            yield node.lineno, ast.get_docstring(node) or ""
        text = _text(node)
        if text is not None:
            yield getattr(node, "lineno", 0), text
        elif not _is_docstring(node):
            yield from of_module(node)


def _text(node: ast.AST) -> str | None:
    """The text that an expression makes; None: it is not a string."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_part, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = _text(left), _text(right)
            if first is None and second is None:
                return None
            return _part(left) + _part(right)
        case _:
            return None


def _part(node: ast.AST) -> str:
    text = _text(node)
    if text is not None:
        return text
    value = node.value if isinstance(node, ast.FormattedValue) else node
    return f"{{{ast.unparse(value)}}}"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_command(function: ast.FunctionDef) -> bool:
    return any(
        re.search(r"\b(?:command|group)\b", ast.unparse(each))
        for each in function.decorator_list
    )


def of_template(text: str) -> Iterator[tuple[int, str]]:
    """What is between tags, and in attributes that are read out."""
    text = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r"\{%.*?%\}", "\0", line)
        for read in re.findall(r'\b(?:aria-label|alt|title)="([^"]*)"', bare):
            yield number, read
        for part in re.split(r"\0|<[^>]*>", bare):
            yield number, part.strip()
        for literal in re.findall(
            r'"([^"]*)"', "".join(re.findall(r"\{[{%].*?[}%]\}", line))
        ):
            yield number, literal.strip()


def of_script(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for first, second in re.findall(r'"([^"]*)"|`([^`]*)`', line):
            yield number, first or second


def page() -> str:
    """All messages, with a section for each room."""
    lines, room = ["# Messages"], ""
    for message in messages():
        if message.room != room:
            room = message.room
            lines += ["", f"## {room}", ""]
        lines.append(f"- {message.where}: {' / '.join(message.text.split(chr(10)))}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
