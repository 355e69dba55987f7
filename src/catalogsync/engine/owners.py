"""Who owns a lease, and whether that process still runs.

A killed process leaves its lease behind. On the same machine, the next run need not
wait until it expires, if the process is certainly gone. A process id alone proves
nothing: ids are reused, other hosts and containers have the same ones, and a zombie
keeps its id. So the owner's text also names the boot (a digest of host name, boot id
and namespaces) and the start time of the process. Whatever cannot be read or does
not match counts as running.

A run can also end without returning its lease while its process continues, for example
because the event loop was shut down around it. The process remembers such owners.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from pathlib import Path

__all__ = ["is_dead", "mark_abandoned", "this_process", "unmark_abandoned"]

_PROC = Path("/proc")
_OWNER = re.compile(r", process (\d{1,18}) \(boot ([0-9a-f]{12}), tick (\d{1,18})\)\Z")
_STATE, _THREADS, _STARTED = 0, 17, 19  # in /proc/PID/stat, after the name
_ENDED = frozenset("ZXx")
_abandoned: set[str] = set()


def mark_abandoned(owner: str) -> None:
    """Remember an owner of this process that is over and may have left its lease."""
    _abandoned.add(owner)


def unmark_abandoned(owner: str) -> None:
    """Forget an owner that has returned its lease."""
    _abandoned.discard(owner)


def this_process() -> str:
    """Host and process, for an owner's text; on Linux, in the form of `is_dead`."""
    text = f"{socket.gethostname()}, process {os.getpid()}"
    boot, stat = _boot(), _stat(os.getpid())
    return f"{text} (boot {boot}, tick {stat[_STARTED]})" if boot and stat else text


def is_dead(owner: str) -> bool:
    """Whether an owner is over: marked so here, or its process on this machine is gone."""
    if owner in _abandoned:
        return True
    found = _OWNER.search(owner)
    if found is None or found[2] != _boot():
        return False
    pid, started = int(found[1]), found[3]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it exists, and belongs to another user
        pass
    stat = _stat(pid)
    return bool(stat) and (stat[_STARTED] != started or _has_ended(stat))


def _has_ended(stat: list[str]) -> bool:
    """Whether it is a zombie; while other threads run, it is not."""
    return stat[_STATE] in _ENDED and int(stat[_THREADS]) <= 1


def _boot() -> str:
    """A digest shared by processes that see the same process ids; empty: unknown."""
    try:
        if (_PROC / "self").readlink() != Path(str(os.getpid())):
            return ""  # /proc belongs to another namespace
        parts = [
            socket.gethostname(),
            (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii"),
            *(str((_PROC / "self/ns" / name).readlink()) for name in ("pid", "time")),
        ]
    except (OSError, ValueError):
        return ""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; empty: it cannot be read."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return fields if len(fields) > _STARTED else []
