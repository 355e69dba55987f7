"""Whether a file has arrived completely, or is still being uploaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import PurePosixPath

import attrs

from catalogsync._lib.bounds import above
from catalogsync._lib.texts import about
from catalogsync.errors import MisconfiguredError, TransientError

from ._location import FoundFile, find_file

__all__ = ["Upload", "check_marker"]


def check_marker(_: object, __: object, value: str | None) -> None:
    """Check the name of a marker; a validator of attrs.

    Raises:
        MisconfiguredError: It is not the name of a file.
    """
    if value is not None and (not value.strip() or "/" in value):
        problem = f"must be the name of a file, such as *.done, is {value!r}"
        raise MisconfiguredError("marker", problem)


@attrs.frozen(kw_only=True)
class Upload:
    """How one knows that a file is complete.

    Attributes:
        settled: Seconds since its last change after which it is; None: at once.
        marker: Name of a file beside it that says so; `*` stands for its name, with or
            without the extension. None: there is no such file.
        clock: The time, in seconds since the epoch.
        pause: Waits for some seconds.
    """

    settled: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(above(0))
    )
    marker: str | None = attrs.field(default=None, validator=check_marker)
    clock: Callable[[], float] = time.time
    pause: Callable[[float], object] = time.sleep

    def find(self, location: str) -> FoundFile:
        """Find a file that is complete; blocks.

        The time of its last change decides. A server that does not say it is asked
        twice, and both answers must be the same.

        Raises:
            TransientError: It is still being uploaded.
            MisconfiguredError: The server says nothing that could tell.
        """
        file = find_file(location)
        if self.marker is not None:
            self._check_marker(file, self.marker)
        if self.settled is not None and file.changed is not None:
            self._check_age(file, self.settled, self.clock() - file.changed)
        elif self.settled is not None:
            self._look_again(file, self.settled, location)
        return file

    def check_same(self, file: FoundFile, location: str) -> None:
        """Check that a file is still as it was before it was read; blocks.

        Raises:
            TransientError: It changed meanwhile.
        """
        if self.settled is not None and _state(find_file(location)) != _state(file):
            raise _uploading(file, "it changed while it was read")

    def _check_marker(self, file: FoundFile, marker: str) -> None:
        plain = PurePosixPath(file.name)
        names = [marker.replace("*", name) for name in (plain.name, plain.stem)]
        names = list(dict.fromkeys(names))
        if not any(file.has_beside(name) for name in names):
            raise _uploading(file, f"there is no {' or '.join(names)} beside it")

    def _check_age(self, file: FoundFile, settled: float, age: float) -> None:
        if age >= settled:
            return
        ago = f"{about(age)} ago" if age >= 0 else "in the future, by our clock"
        problem = f"it was changed {ago}, and counts as complete after {about(settled)}"
        raise _uploading(file, problem, retry_after=min(settled - age, settled))

    def _look_again(self, file: FoundFile, settled: float, location: str) -> None:
        if not file.version and file.size is None:
            problem = (
                f"{file.place}: the server says neither the time of the last change nor"
                " the size; use `marker`, or leave `settled` out"
            )
            raise MisconfiguredError("settled", problem)
        self.pause(settled)
        if _state(find_file(location)) != _state(file):
            raise _uploading(file, f"it changed within {about(settled)}")


def _state(file: FoundFile) -> tuple[str, int | None, str]:
    return (file.path, file.size, file.version)


def _uploading(
    file: FoundFile, why: str, *, retry_after: float | None = None
) -> TransientError:
    problem = f"{file.place} is still being uploaded: {why}"
    return TransientError(problem, retry_after=retry_after)
