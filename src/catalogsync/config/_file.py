"""Reading jobs from a TOML file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs
from cattrs import Converter

from catalogsync.catalog.products import Field
from catalogsync.engine import Options
from catalogsync.errors import MisconfiguredError
from catalogsync.integrations.inform import Receiver
from catalogsync.schedule import DAILY, Schedule
from catalogsync.state import StateSettings

from ._adapters import AdapterKind, Adapters
from ._environment import expand
from ._job import Job
from ._lanes import Lane
from ._presets import completed
from ._problems import Problem, ProblemsError, did_you_mean, joined, misconfigured
from ._serve import ServeSettings
from ._structure import make_converter, read_settings

T = TypeVar("T")
_TOP = ("jobs", "serve", "state")
_STORE = Path(".catalogsync", "runs.db")
_JOB = ("source", "sink", "options", "schedule", "lanes", "inform")
_LANE = ("only", "schedule")


@attrs.frozen
class Config:
    """The content of a configuration file.

    Attributes:
        jobs: The jobs by name.
        state: Settings of the state store of all jobs.
    """

    jobs: Mapping[str, Job]
    state: StateSettings

    def job(self, name: str) -> Job:
        """The job with this name.

        Raises:
            MisconfiguredError: There is no such job; the error lists the known ones.
        """
        if name not in self.jobs:
            raise _no_such_job(name, self.jobs)
        return self.jobs[name]


def load_config(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] = os.environ,
    adapters: Adapters | None = None,
    only: str | None = None,
) -> Config:
    """Read a configuration file.

    Args:
        path: The TOML file.
        environ: Values for `${NAME}` in texts.
        adapters: Adapters for `type`; None: the installed ones.
        only: Read this job alone; extras and variables of other jobs may be missing.

    Raises:
        MisconfiguredError: The file is not readable or not valid. The message has one
            line for each problem, with its path.
        MissingExtraError: An extra that a job needs is not installed.
    """
    reader = _Reader(
        file=Path(path), environ=environ, adapters=adapters or Adapters.installed()
    )
    tables = reader.tables()
    if only is not None and only not in tables:
        problems = reader.problems
        raise misconfigured(problems) if problems else _no_such_job(only, tables)
    names = tables if only is None else [only]
    found = reader.state()
    jobs = {name: reader.job(name, tables[name]) for name in names}
    state = reader.checked(found)
    return Config(
        jobs={
            name: attrs.evolve(job, state=state) for name, job in jobs.items() if job
        },
        state=state,
    )


def load_state(
    path: str | os.PathLike[str], *, environ: Mapping[str, str] = os.environ
) -> StateSettings:
    """Read only the settings of the state store from a configuration file.

    Args:
        path: The TOML file.
        environ: Values for `${NAME}` in texts.

    Raises:
        MisconfiguredError: The file is not readable or not valid.
    """
    reader = _Reader(file=Path(path), environ=environ)
    return reader.checked(reader.state())


def load_serve(
    path: str | os.PathLike[str], *, environ: Mapping[str, str] = os.environ
) -> ServeSettings:
    """Read only the table `serve` of a configuration file.

    Args:
        path: The TOML file.
        environ: Values for `${NAME}` in texts.

    Raises:
        MisconfiguredError: The file is not readable or not valid.
    """
    reader = _Reader(file=Path(path), environ=environ)
    return reader.checked(reader.serve())


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise MisconfiguredError(str(file), "the file does not exist") from None
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise MisconfiguredError(str(file), problem) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f"is not UTF-8 (at line {line})"
        raise MisconfiguredError(str(file), problem) from None
    except tomllib.TOMLDecodeError as error:
        raise MisconfiguredError(str(file), f"is not TOML: {error}") from None


def _no_such_job(name: str, known: Iterable[str]) -> MisconfiguredError:
    problem = did_you_mean(name, tuple(known), "unknown job", listed=True)
    return MisconfiguredError(joined("jobs", name), problem)


@attrs.define(kw_only=True)
class _Reader:
    """Turns tables into settings, and collects all problems."""

    file: Path
    environ: Mapping[str, str]
    adapters: Adapters = attrs.field(factory=Adapters.installed)
    problems: list[Problem] = attrs.field(init=False)
    _content: Mapping[str, Any] = attrs.field(init=False)
    _converter: Converter = attrs.field(factory=make_converter, init=False)

    def __attrs_post_init__(self) -> None:
        self._content = _parse(self.file)
        self.problems = [
            Problem(name, did_you_mean(name, _TOP, "unknown key"))
            for name in self._content
            if name not in _TOP
        ]

    def checked(self, settings: T | None) -> T:
        """The settings; raises if there are problems."""
        if self.problems or settings is None:
            raise misconfigured(self.problems)
        return settings

    def tables(self) -> Mapping[str, object]:
        """The tables of the jobs, by name."""
        tables = self._content.get("jobs", {})
        if not isinstance(tables, dict):
            raise misconfigured([*self.problems, Problem("jobs", "must be a table")])
        return cast("dict[str, object]", tables)

    def state(self) -> StateSettings | None:
        """The state store; by default, a SQLite file next to the configuration."""
        table = self._content.get("state", {})
        tree = expand(table, "state", self.environ, self.problems)
        if not isinstance(tree, dict):
            self.problems.append(Problem("state", "must be a table"))
            return None
        default = (self.file.absolute().parent / _STORE).as_posix()
        settings = {"url": f"sqlite:///{default}", **cast("dict[str, object]", tree)}
        found: StateSettings | None = self._read(settings, StateSettings, "state")
        return found

    def serve(self) -> ServeSettings | None:
        """The settings of the service; None if they are not valid."""
        jobs = self.tables()
        table = self._content.get("serve", {})
        tree = expand(table, "serve", self.environ, self.problems)
        settings: ServeSettings | None = self._read(tree, ServeSettings, "serve")
        for name in settings.webhooks if settings else ():
            if name not in jobs:
                problem = did_you_mean(name, jobs, "unknown job", listed=True)
                self.problems.append(Problem(f"serve.webhooks.{name}", problem))
        return settings

    def job(self, name: str, table: object) -> Job | None:
        """The job; None if it is not valid."""
        path, before = f"jobs.{name}", len(self.problems)
        tree = expand(table, path, self.environ, self.problems)
        if not isinstance(tree, dict):
            self.problems.append(Problem(path, "must be a table"))
            return None
        parts = cast("dict[str, object]", tree)
        self._check_keys(parts, _JOB, path)
        source = self._side(AdapterKind.SOURCE, parts, path)
        sink = self._side(AdapterKind.SINK, parts, path)
        options = self._read(parts.get("options", {}), Options, f"{path}.options")
        schedule = self._schedule(parts.get("schedule", DAILY), path)
        lanes = self._lanes(parts.get("lanes", []), f"{path}.lanes")
        inform = self._receivers(parts.get("inform", {}), f"{path}.inform")
        try:
            job = Job(
                name=name,
                source=source,
                sink=sink,
                options=options,
                schedule=schedule,
                lanes=lanes,
                inform=inform,
            )
        except MisconfiguredError as error:
            self.problems.append(Problem(joined(path, error.setting), error.problem))
            return None
        return job if len(self.problems) == before else None

    def _receivers(self, table: object, path: str) -> Mapping[str, Receiver]:
        """The receivers by name; those that are not valid are left out."""
        if not isinstance(table, dict):
            self.problems.append(Problem(path, "must be a table of receivers"))
            return {}
        receivers = cast("dict[str, object]", table)
        found = {
            name: self._read(settings, Receiver, joined(path, name))
            for name, settings in receivers.items()
        }
        return {name: each for name, each in found.items() if each is not None}

    def _schedule(self, value: object, path: str) -> Any:
        """A schedule as a table or text; None if it is not valid."""
        is_table = isinstance(value, dict)
        return self._read(value, Schedule if is_table else str, f"{path}.schedule")

    def _lanes(self, value: object, path: str) -> Sequence[Lane]:
        """The valid lanes of a job."""
        if not isinstance(value, list):
            self.problems.append(Problem(path, "must be a list of tables"))
            return ()
        tables = enumerate(cast("list[object]", value))
        lanes = [self._lane(table, f"{path}[{index}]") for index, table in tables]
        return tuple(lane for lane in lanes if lane is not None)

    def _lane(self, value: object, path: str) -> Lane | None:
        table = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        self._check_keys(table, _LANE, path)
        missing = [name for name in _LANE if name not in table]
        self.problems += [Problem(joined(path, name), "is missing") for name in missing]
        if missing:
            return None
        only = self._read(table["only"], tuple[Field, ...], f"{path}.only")
        schedule = self._schedule(table["schedule"], path)
        if only is None or schedule is None:
            return None
        try:
            return Lane(only=only, schedule=schedule)
        except MisconfiguredError as error:
            self.problems.append(Problem(joined(path, error.setting), error.problem))
            return None

    def _check_keys(
        self, table: Iterable[str], known: Collection[str], path: str
    ) -> None:
        self.problems += [
            Problem(joined(path, key), did_you_mean(key, known, "unknown key"))
            for key in table
            if key not in known
        ]

    def _side(self, kind: AdapterKind, parts: Mapping[str, object], path: str) -> Any:
        """The settings of a side; None if they are not valid."""
        path = joined(path, kind.value)
        table = parts.get(kind.value)
        if not isinstance(table, dict):
            text = "must be a table with a `type`" if table else "is missing"
            self.problems.append(Problem(path, text))
            return None
        settings = dict(cast("dict[str, object]", table))
        if kind is AdapterKind.SOURCE:
            try:
                settings = completed(settings, self.file.absolute().parent)
            except MisconfiguredError as error:
                problem = Problem(joined(path, error.setting), error.problem)
                self.problems.append(problem)
                return None
        name = settings.pop("type", None)
        if name is None:
            known = did_you_mean("", self._names(kind), "is missing")
            self.problems.append(Problem(f"{path}.type", known))
            return None
        name = self._read(name, str, f"{path}.type")
        if name is None:
            return None
        try:
            cls = self.adapters.settings(kind, name)
        except MisconfiguredError as error:
            self.problems.append(Problem(joined(path, error.setting), error.problem))
            return None
        return self._read(settings, cls, path)

    def _names(self, kind: AdapterKind) -> tuple[str, ...]:
        source = kind is AdapterKind.SOURCE
        return tuple(self.adapters.sources if source else self.adapters.sinks)

    def _read(self, value: object, cls: type[Any], path: str) -> Any:
        """The value as an object of this class; None if it is not valid."""
        try:
            return read_settings(self._converter, value, cls)
        except ProblemsError as error:
            self.problems += [problem.under(path) for problem in error.problems]
            return None
