"""The tutorial, followed to the letter by a reader who has a clone and nothing else.

Every block is carried out in order and in the terminal that the page names. Only what
belongs to this machine is replaced: the two ports, by free ones, and the real store, by
the fake one, which takes no minutes to build.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
from yarl import URL

from catalogsync.testing.medusa import fake_medusa

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```(console|toml|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_A_CLONE = ("pyproject.toml", "README.md", "LICENSE", "src")
_READY = "127.0.0.1"


@attrs.frozen
class Block:
    """A block of the page, and the terminal that the text before it names."""

    kind: str
    text: str
    terminal: str


def blocks() -> Iterator[Block]:
    page, end = PAGE.read_text(encoding="utf-8"), 0
    for found in _BLOCK.finditer(page):
        before = page[end : found.start()].partition("Back in the first terminal")
        named = re.search(r"In a (third)|in a (second)\s", before[0]) and not before[1]
        yield Block(found[1], found[2], "other" if named else "first")
        end = found.end()


def script() -> tuple[str, list[str]]:
    """What is typed into the first terminal, and into the others."""
    lines, others, is_new = ["set -e"], list[str](), True
    for block in blocks():
        if block.kind == "console":
            commands = [
                line[2:] for line in block.text.splitlines() if line[:2] == "$ "
            ]
            assert len(commands) == len(block.text.splitlines())
            (others if block.terminal == "other" else lines).extend(commands)
        elif block.kind == "toml":
            sign, is_new = ">" if is_new else ">>", False
            lines.append(f"cat {sign}catalogsync.toml <<'END'\n{block.text}END")
        else:
            lines.append(f"cat >program.py <<'END'\n{block.text}END\npython program.py")
    return "\n".join(lines), others


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def background(command: str, folder: Path) -> AsyncIterator[None]:
    """A command of another terminal, which says an address when it is ready."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), cwd=folder, stdout=-1, stderr=-2
    )
    try:
        assert process.stdout
        said = b""
        while _READY.encode() not in said:
            part = await process.stdout.readline()
            assert part, said.decode()
            said += part
        yield
    finally:
        process.terminate()
        await process.communicate()


def clone(folder: Path) -> None:
    """What this test needs of a clone, without what was made in it."""
    for name in _IN_A_CLONE:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder)


async def shell(commands: str, folder: Path) -> str:
    hidden = ("VIRTUAL_ENV", "PYTHONPATH", "DUMMYJSON_URL", "MEDUSA_PASSWORD")
    environ = {name: text for name, text in os.environ.items() if name not in hidden}
    python = f"{Path(sys.base_prefix, 'bin')}{os.pathsep}{environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", commands),
        cwd=folder,
        env={
            **environ,
            "PATH": python,
            "PIP_CONSTRAINT": f"{ROOT / 'constraints.txt'}",
        },
        stdout=-1,
        stderr=-2,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def test_the_tutorial_to_the_letter(tmp_path: Path) -> None:
    clone(tmp_path)
    first, others = script()
    server, *store = others
    assert store == [
        "cd examples/medusa-store",
        "npm install",
        "node store.mjs start --admin",
    ]
    port = free_port()
    install, mark, rest = first.partition("export DUMMYJSON_URL")
    assert mark
    await shell(install, tmp_path)
    async with (
        background(server.replace("8080", f"{port}"), tmp_path),
        fake_medusa() as medusa,
    ):
        assert (medusa.email, medusa.password) == ("admin@example.com", "supersecret")
        again = f"set -e\n. .venv/bin/activate\ncd tutorial\n{mark}{rest}"
        ours = again.replace("8080", f"{port}").replace(
            "9000", f"{URL(medusa.url).port}"
        )
        said = await shell(ours, tmp_path)
    reports = re.findall(r"^(?:\w+: )?succeeded.*", said, re.MULTILINE)
    shown = [re.sub(r" in .*", "", line) for line in reports]
    assert shown == [
        "local: succeeded: 194 fetched = 194 created",
        "local: succeeded: 194 fetched = 194 unchanged",
        "succeeded 0 194",
        "succeeded: 194 fetched = 194 unchanged",
        "products: succeeded: 194 fetched = 194 created",
    ]
    assert "products: 0 to create, 0 to update, 194 unchanged" in said
