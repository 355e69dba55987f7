"""Who owns a lease, and whether that process still runs.

A process that was killed leaves its lease behind. On the machine where it ran, the
next run need not wait until the lease expires. A process id alone proves nothing: ids
are used again, other hosts and containers have the same ones, and a process that has
ended keeps its id until its parent collects it. So an owner's text also names the boot
(a digest of host name, boot and namespaces) and the time at which the process started,
and whatever cannot be read or does not match counts as running.

A run can also end without giving its lease back while its process goes on, say because
the loop was shut down around it. The process remembers the owners of such leases.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from pathlib import Path

__all__ = ["is_dead", "release", "retire", "this_process"]

_PROC = Path("/proc")
_OWNER = re.compile(r", process (\d{1,18}) \(boot ([0-9a-f]{12}), tick (\d{1,18})\)\Z")
_STATE, _THREADS, _STARTED = 0, 17, 19  # in /proc/PID/stat, behind the name
_ENDED = frozenset("ZXx")
_retired: set[str] = set()


def retire(owner: str) -> None:
    """Note that an owner of this process is over, and may have left its lease."""
    _retired.add(owner)


def release(owner: str) -> None:
    """Note that an owner that is over left nothing."""
    _retired.discard(owner)


def this_process() -> str:
    """Host and process for the text of an owner; on Linux, in a form to check."""
    text = f"{socket.gethostname()}, process {os.getpid()}"
    boot, stat = _boot(), _stat(os.getpid())
    return f"{text} (boot {boot}, tick {stat[_STARTED]})" if boot and stat else text


def is_dead(owner: str) -> bool:
    """Whether an owner is over, or its process ran on this boot and is gone."""
    if owner in _retired:
        return True
    found = _OWNER.search(owner)
    if found is None or found[2] != _boot():
        return False
    pid, started = int(found[1]), found[3]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it is there, and somebody else's
        pass
    stat = _stat(pid)
    return bool(stat) and (stat[_STARTED] != started or _has_ended(stat))


def _has_ended(stat: list[str]) -> bool:
    """Whether only its parent still has to collect it; other threads may go on."""
    return stat[_STATE] in _ENDED and int(stat[_THREADS]) <= 1


def _boot() -> str:
    """What all processes that see the same process ids share; empty: unknown."""
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
    """The fields of /proc/PID/stat behind the name; empty: it cannot be read."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return fields if len(fields) > _STARTED else []
