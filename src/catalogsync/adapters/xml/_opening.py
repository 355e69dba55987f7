"""Opening a file as the records that its settings select."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path as Folder
from typing import TYPE_CHECKING

from catalogsync.files import FileRecords, FoundFile

from ._parser import Parser, Path
from ._tree import Tree, TreeNodes
from ._values import Names

if TYPE_CHECKING:
    from ._settings import XMLSettings

__all__ = ["opened_xml"]


def _nodes(tree: Tree) -> tuple[TreeNodes, Sequence[Path]]:
    return TreeNodes(tree), [Path.parse(path) for path in tree.nodes]


def opened_xml(
    settings: XMLSettings, file: FoundFile, _: Folder, stack: ExitStack
) -> FileRecords:
    """Open a file; its records are read as they are taken.

    Args:
        settings: The settings.
        file: The file.
        stack: Closes what is opened.

    Raises:
        MisconfiguredError: The file is an archive without the member.
        TransientError: It cannot be read now.
    """
    tree = settings.category_tree
    parser = Parser(
        place=file.place,
        records=[Path.parse(path) for path in settings.records],
        outside={name: Path.parse(path) for name, path in settings.outside.items()},
        names=Names({uri: name for name, uri in settings.namespaces.items()}),
        complete=settings.complete,
        after_version=settings.after_version,
        tree=None if tree is None else _nodes(tree),
    )
    stream = stack.enter_context(
        file.open(most=settings.max_size, member=settings.member)
    )
    return FileRecords(
        columns=(),
        rows=parser.parse(stream),
        plain=True,
        outside=parser.found,
        version=lambda: parser.version,
    )
