"""Ways through the pages of a list: by counting, and along links or cursors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import attrs
from yarl import URL

from catalogsync.errors import BrokenReplyError, MisconfiguredError
from catalogsync.protocols import Cursor

from ._client import Ask, Parameters
from ._paths import JsonPath
from ._settings import Paging
from ._windows import Window, following, windows

__all__ = ["Answer", "Chain", "Counting", "Place", "Walk", "next_link", "whole"]

_LINK = re.compile(
    r"<([^<>]{1,8192})>((?:\s*;\s*[\w*]+\s*=\s*(?:\"[^\"]*\"|[^\s,;\"]*))*)"
)
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s,;\"]*))", re.IGNORECASE)
_LONGEST = 8192
_LONGEST_TOTAL = 18


@attrs.frozen(kw_only=True)
class Answer:
    """A page as the server sends it.

    Attributes:
        what: Method and address of the request, for messages.
        records: The records.
        total: Number of all records; None: the server does not say.
        body: The whole answer.
        link: The header `Link`.
    """

    what: str
    records: Sequence[object]
    total: int | None
    body: object = attrs.field(repr=False)
    link: str = attrs.field(default="", repr=False)


@attrs.frozen
class Place:
    """Where the records of a page are, for messages.

    Attributes:
        page: The page, such as `page 3`; empty: records are counted from the first.
        before: Number of records before the page, if they are.
    """

    page: str = ""
    before: int = 0

    def of(self, number: int) -> str:
        """The position of a record, from 1."""
        record = f"record {self.before + number}"
        return f"{self.page}, {record}" if self.page else record


class Walk(Protocol):
    """A way through the pages, for one pass."""

    def place(self, cursor: Cursor | None, /) -> Place:
        """Where the records of a page are."""
        ...

    def ask(self, cursor: Cursor | None, /) -> Ask:
        """The request for a page; None: the first one."""
        ...

    def known(self, cursor: Cursor | None, /) -> int:
        """How many records at the beginning of a page belong to the one before."""
        ...

    def following(self, cursor: Cursor | None, answer: Answer, /) -> Sequence[Cursor]:
        """The pages that follow a page.

        Raises:
            BrokenReplyError: The answer is not the page, or the list does not end.
        """
        ...


@attrs.define(kw_only=True)
class Counting:
    """Pages by offset or by number.

    Attributes:
        base: The request without the parameters of a page.
        paging: The settings.
        more: Path to whether there is another page.
        most: Largest size of a page; smaller if the first page shows a lower limit.
        overlap: Whether pages overlap; false if the server cannot do that.
        announced: Total that the first page announced; None: none.
    """

    base: Ask
    paging: Paging
    more: JsonPath
    most: int = attrs.field(init=False)
    overlap: bool = attrs.field(init=False)
    announced: int | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.most = self.paging.size
        self.overlap = self.paging.overlap and bool(self.paging.size_name)

    @property
    def numbered(self) -> bool:
        """Whether pages are counted, instead of records."""
        return self.paging.style == "page"

    def place(self, cursor: Cursor | None, /) -> Place:
        """Where the records of a page are: the list has an order."""
        return Place(before=self._window(cursor).begin)

    def ask(self, cursor: Cursor | None, /) -> Ask:
        """The request for a page; None: the first one."""
        return self.ask_for(self._window(cursor))

    def ask_for(self, window: Window) -> Ask:
        """The request for some records."""
        at = window.begin
        if self.numbered:
            at = window.begin // window.size + self.paging.first
        parameters: Parameters = {self.paging.name: at}
        if self.paging.size_name:
            parameters = {**parameters, self.paging.size_name: window.size}
        return attrs.evolve(self.base, parameters=parameters)

    def known(self, cursor: Cursor | None, /) -> int:
        """How many records at the beginning of a page belong to the one before."""
        return self._window(cursor).known

    def second(self, answer: Answer) -> Window | None:
        """The page after the first one, if there is one and it should overlap."""
        count = len(answer.records)
        if not self.overlap or not count or not self._goes_on(answer):
            return None
        if answer.total is not None and answer.total <= count:
            return None
        most = min(self.most, count)
        window = following(count, most, numbered=self.numbered, overlap=True)
        return window if window.known else None

    def following(self, cursor: Cursor | None, answer: Answer, /) -> Sequence[Cursor]:
        """The pages that follow a page: all of them after the first, if there is a total."""
        window, count = self._window(cursor), len(answer.records)
        if cursor is None:
            return self._after_first(answer)
        self._check_count(window, answer)
        if self.announced is not None or count <= window.known:
            return ()
        return self._next(window.begin, window.size, answer)

    def _after_first(self, answer: Answer) -> Sequence[Cursor]:
        count = len(answer.records)
        self.announced = None
        if not count:
            return ()
        full = count >= self.most
        self.most = min(self.most, count)
        if answer.total is None or (full and answer.total == count):
            # A total that is exactly one page may be the number of records in the page.
            return self._next(0, count, answer)
        self.announced = answer.total
        if (answer.total - count) / self.most > self.paging.max_pages:
            raise self._endless(answer, f"{answer.total} records")
        rest = windows(
            answer.total,
            count,
            self.most,
            numbered=self.numbered,
            overlap=self.overlap,
        )
        return [str(window) for window in rest]

    def _next(self, begin: int, size: int, answer: Answer) -> Sequence[Cursor]:
        if not self._goes_on(answer):
            return ()
        counted = not self.numbered or self.overlap
        end = begin + (len(answer.records) if counted else size)
        if end > self.paging.max_pages * self.most:
            raise self._endless(answer, f"more than {self.paging.max_pages} pages")
        window = following(end, self.most, numbered=self.numbered, overlap=self.overlap)
        return (str(window),)

    def _goes_on(self, answer: Answer) -> bool:
        return not self.more.text or self.more.search(answer.body) is not False

    def _check_count(self, window: Window, answer: Answer) -> None:
        if answer.total is None:
            return
        count = len(answer.records)
        expected = max(0, min(window.size, answer.total - window.begin))
        if count != expected:
            problem = (
                f"{count} records instead of {expected} from record {window.begin} on;"
                f" the total is {answer.total}: is `total` the number of all records?"
            )
            raise BrokenReplyError(f"{answer.what}: {problem}")

    def _endless(self, answer: Answer, many: str) -> Exception:
        problem = (
            f"{answer.what}: the list has {many}; if it really is that long, raise"
            " `paging.max_pages`"
        )
        return BrokenReplyError(problem)

    def _window(self, cursor: Cursor | None) -> Window:
        return Window(0, self.most) if cursor is None else Window.parse(cursor)


@attrs.define(kw_only=True)
class Chain:
    """Pages along cursors, next addresses, or the header `Link`; also a single page.

    A page is named by its number: cursors and addresses may contain secrets.

    Attributes:
        base: The request for the first page, without its size.
        origin: Address of the server.
        paging: The settings.
        next: Path to the next cursor or address.
        more: Path to whether there is another page.
    """

    base: Ask
    origin: URL
    paging: Paging
    next: JsonPath
    more: JsonPath
    _places: dict[int, str] = attrs.field(factory=dict[int, str], init=False)
    _numbers: dict[str, int] = attrs.field(factory=dict[str, int], init=False)

    def place(self, cursor: Cursor | None, /) -> Place:
        """Where the records of a page are."""
        single = self.paging.style == "none"
        return Place() if single else Place(f"page {cursor or 1}")

    def ask(self, cursor: Cursor | None, /) -> Ask:
        """The request for a page; None: the first one."""
        if cursor is None:
            return attrs.evolve(self.base, parameters=self._size())
        place = self._places.get(int(cursor)) if cursor.isdecimal() else None
        if place is None:
            raise BrokenReplyError(f"{cursor!r} is not a page of this source")
        if self.paging.style == "cursor":
            parameters = {**self._size(), self.paging.name: place}
            return attrs.evolve(self.base, parameters=parameters)
        url = URL(place, encoded=True)
        return Ask(path=url.raw_path, query=url.raw_query_string)

    def known(self, cursor: Cursor | None, /) -> int:
        """No records: the pages do not overlap."""
        return 0

    def following(self, cursor: Cursor | None, answer: Answer, /) -> Sequence[Cursor]:
        """The next page, if there is one."""
        number = 1 if cursor is None else int(cursor)
        place = self._place(cursor, answer)
        if not place:
            return ()
        if number >= self.paging.max_pages:
            problem = f"the list does not end after {number} pages; if it really is"
            problem = f"{problem} that long, raise `paging.max_pages`"
            raise BrokenReplyError(f"{answer.what}: {problem}")
        known = self._numbers.setdefault(place, number + 1)
        if known != number + 1:
            problem = f"page {number} says that page {known} is next: that is a circle"
            raise BrokenReplyError(f"{answer.what}: {problem}")
        self._places[number + 1] = place
        return (str(number + 1),)

    def _size(self) -> Parameters:
        name = self.paging.size_name
        return {name: self.paging.size} if name else {}

    def _place(self, cursor: Cursor | None, answer: Answer) -> str:
        """The next cursor or the path of the next page; empty: there is no next page."""
        if self.paging.style == "none":
            return ""
        if self.more.text and self.more.search(answer.body) is False:
            return ""
        if self.paging.style == "link":
            found: object = next_link(answer.link)
        else:
            found = self.next.search(answer.body)
        if found is None or found is False or found == "":
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            problem = f"`{self.next.text}` is neither text nor a whole number"
            raise BrokenReplyError(f"{answer.what}: {problem}")
        if len(text := str(found)) > _LONGEST:
            raise BrokenReplyError(f"{answer.what}: the next page has too long a name")
        return text if self.paging.style == "cursor" else self._resolved(cursor, text)

    def _resolved(self, cursor: Cursor | None, link: str) -> str:
        """The path and query of a link.

        Raises:
            MisconfiguredError: It leads to another server, which must not receive the
                credentials.
        """
        ask = self.ask(cursor)
        here = self.origin.join(URL(ask.path, encoded=True)).with_query(None)
        try:
            url = here.join(URL(link))
            same = url.host == self.origin.host and (
                url.port == self.origin.port or url.is_default_port()
            )
        except ValueError:
            raise BrokenReplyError("the next page has no valid address") from None
        if not same or url.scheme not in {"http", "https"}:
            problem = (
                f"the next page is on another server ({url.host}); credentials stay"
                f" with {self.origin.host}"
            )
            raise MisconfiguredError("paging.next", problem)
        return (
            f"{url.raw_path}{'?' if url.raw_query_string else ''}{url.raw_query_string}"
        )


def next_link(header: str) -> str:
    """The address in a header `Link` whose relation is `next`; empty: there is none."""
    for address, parameters in _LINK.findall(header):
        relation = _REL.search(parameters)
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return str(address)
    return ""


def whole(value: object) -> int | None:
    """A total, from a number or digits; None: it is neither."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:_LONGEST_TOTAL])
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value
