"""Plans as files: what is written is read, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.strategies import histories

from catalogsync import (
    Action,
    Category,
    Change,
    Create,
    Existing,
    Field,
    Image,
    MisconfiguredError,
    Outcome,
    OutcomeStatus,
    Plan,
    Product,
    ProductKey,
    ProductStatus,
    Report,
    RunStatus,
    Update,
)
from catalogsync.catalog.changes import (
    ExistingReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
)
from catalogsync.diff.compare import plan
from catalogsync.engine.removing import removal
from catalogsync.plans import (
    Estimate,
    PlanHead,
    PlanSource,
    PlanWriter,
    estimate,
    fingerprint,
)
from catalogsync.report import CategoryCounts, Counts
from catalogsync.state import RunRecord

HEAD = PlanHead(job="job", source="shop", sink="store", endpoint="here", made_at=5.5)
REPORT = Report(
    run_id="1",
    job="job",
    status=RunStatus.SUCCEEDED,
    counts=Counts(),
    started_at=1.0,
    duration_s=2.0,
)
EXPECTED = Estimate(writes=1, requests=2, seconds=None)
KEY = ProductKey("shop", "1")
CUP = Product(
    key=KEY,
    title="Cup",
    status=ProductStatus.PUBLISHED,
    images=[Image(url="a"), Image(url="b")],
    tags=["red", "new"],
)
Shown = Change | ReferenceChange


def write(file: Path, changes: Sequence[Shown], report: Report = REPORT) -> None:
    with PlanWriter(file, HEAD) as writer:
        for change in changes:
            writer.add(change)
        writer.finish(report, EXPECTED)


def products_of(read: Plan) -> list[Product]:
    async def pages() -> list[Product]:
        source, found = PlanSource(read), list[Product]()
        cursor: str | None = None
        while True:
            page = await source.read(cursor)
            found += page.products
            if not page.next:
                return found
            (cursor,) = page.next

    return asyncio.run(pages())


def create(product: Product) -> Change:
    change = plan(product, None)
    assert change is not None
    return change


def existing(product: Product, **more: Any) -> Existing:
    return Existing(product=product, last_applied=create(product).last_applied, **more)


def update(desired: Product, there: Existing) -> Change:
    change = plan(desired, there)
    assert change is not None
    return change


def category(
    id_: str = "cups",
    name: str = "Cups",
    parent: str | None = None,
    there: ExistingReference | None = None,
) -> ReferenceChange:
    above = Reference(
        kind=ReferenceKind.CATEGORY, source="shop", id=parent or "", name="Above"
    )
    reference = Reference(
        kind=ReferenceKind.CATEGORY,
        source="shop",
        id=id_,
        name=name,
        parent=above if parent else None,
    )
    return ReferenceChange(reference=reference, existing=there)


@st.composite
def plans(draw: st.DrawFn) -> list[Shown]:
    """Creations, updates, removals and categories."""
    names = [*draw(st.sets(st.text(), max_size=2)), None]
    shown: list[Shown] = [
        category(id_, parent=draw(st.sampled_from(names))) for id_ in names if id_
    ]
    for number in range(draw(st.integers(0, 3))):
        key = ProductKey("shop", f"{number}: {draw(st.text('a:é', max_size=2))}")
        before, after = draw(histories(key=key))
        change = plan(after, existing(before))
        which = draw(st.integers(0, 2))
        if which == 0 and change is not None:
            shown.append(change)
        elif which == 1:
            action = draw(st.sampled_from([Action.UNPUBLISH, Action.DELETE]))
            shown.append(removal(existing(before), action))
        else:
            shown.append(create(after))
    return shown


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans") / "plan.jsonl"


@given(plans())
def test_what_is_written_is_read(file: Path, shown: list[Shown]) -> None:
    write(file, shown)
    read = Plan.read(file)
    changes = [each for each in shown if isinstance(each, Change)]
    assert read.head == HEAD
    assert read.changes == {
        each.key: (each.action, fingerprint(each)) for each in changes
    }
    written = [each for each in shown if isinstance(each, ReferenceChange)]
    assert read.references == {each.reference: fingerprint(each) for each in written}
    assert [_names(each) for each in read.references] == [
        _names(each.reference) for each in written
    ]
    desired = [
        each.desired
        for each in changes
        if isinstance(each, Create | Update) and each.desired is not None
    ]
    assert products_of(read) == desired
    assert PlanSource(read).name == "shop"


def _names(reference: Reference) -> list[str]:
    """What of a reference does not count when two are compared."""
    above = _names(reference.parent) if reference.parent else []
    return [*above, f"{reference.id}: {reference.name}"]


def _flipped(data: bytes, place: int, byte: int) -> bytes:
    return data[:place] + bytes([byte]) + data[place + 1 :]


def _cut(data: bytes, place: int, _: int) -> bytes:
    return data[:place]


def _left_out(data: bytes, place: int, length: int) -> bytes:
    return data[:place] + data[place + length + 1 :]


def _put_in(data: bytes, place: int, byte: int) -> bytes:
    return data[:place] + bytes([byte]) * 3 + data[place:]


@given(
    plans(),
    st.sampled_from([_flipped, _cut, _left_out, _put_in]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 255),
)
def test_a_damaged_plan_is_refused_or_the_same(
    file: Path,
    shown: list[Shown],
    damage: Callable[[bytes, int, int], bytes],
    where: float,
    byte: int,
) -> None:
    write(file, shown)
    whole = Plan.read(file)
    products = products_of(whole)
    data = file.read_bytes()
    file.write_bytes(damage(data, int(len(data) * where), byte))
    try:
        read = Plan.read(file)
    except MisconfiguredError as error:
        assert error.setting.startswith(f"{file}, line ")  # noqa: PT017
        return
    assert read == whole
    assert products_of(read) == products


def lines_of(file: Path) -> list[bytes]:
    write(file, [category(), create(CUP)])
    return file.read_bytes().splitlines(keepends=True)


NO_LINE = "is not a line of a plan: "
DAMAGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int, str]] = {
    "nothing": (lambda _: [], 1, "is missing: the plan was cut"),
    "no end": (lambda lines: lines[:3], 4, "is missing: the plan was cut"),
    "half a line": (lambda lines: [*lines[:2], lines[2][:40]], 3, NO_LINE),
    "no head": (lambda lines: lines[1:], 1, "line: 'category' is not expected here"),
    "another head": (
        lambda lines: [*lines[:2], *lines],
        3,
        "line: 'plan' is not expected here",
    ),
    "more": (lambda lines: [*lines, lines[1]], 5, "'category' is not expected here"),
    "a line less": (lambda lines: lines[:2] + lines[3:], 3, "lines before were chang"),
    "a line twice": (
        lambda lines: [*lines[:3], *lines[2:]],
        5,
        "check: the lines before were changed",
    ),
    "another title": (
        lambda lines: [line.replace(b"Cup", b"Mug") for line in lines],
        4,
        "check: the lines before were changed",
    ),
    "no check": (
        lambda lines: [*lines[:3], b'{"line":"end"}\n'],
        4,
        "check: the lines before were changed",
    ),
    "no object": (lambda lines: [lines[0], b"[]\n"], 2, NO_LINE + "not a JSON object"),
    "no JSON": (lambda lines: [lines[0], b"\xff\n"], 2, NO_LINE),
    "an empty line": (lambda lines: [lines[0], b"\n"], 2, NO_LINE),
    "an endless line": (lambda lines: [lines[0], b"[" * 100_000], 2, NO_LINE),
    "an endless number": (lambda lines: [lines[0], b"1" * 5000], 2, NO_LINE),
    "no kind": (lambda lines: [lines[0], b"{}\n"], 2, "None is not expected here"),
    "another kind": (lambda lines: [lines[0], b'{"line":[]}'], 2, "[] is not expected"),
    "nothing around": (
        lambda lines: [lines[0], lines[1].replace(b"[]", b"[5]")],
        2,
        "within[0]: must be an object",
    ),
    "another version": (
        lambda lines: [lines[0].replace(b'"version":2', b'"version":3')],
        1,
        "version: was made by another version; make a new plan",
    ),
    "no time": (
        lambda lines: [lines[0].replace(b"5.5", b'"5"')],
        1,
        "made_at: must be a number",
    ),
    "no job": (
        lambda lines: [lines[0].replace(b'"job"', b'"jobb"', 1)],
        1,
        "job: is missing",
    ),
    "no key": (
        lambda lines: [lines[0], lines[2].replace(b'"shop:1"', b"5", 1)],
        2,
        "key: must be text",
    ),
    "a key without a source": (
        lambda lines: [lines[0], lines[2].replace(b"shop:1", b"1", 1)],
        2,
        "a product key is source:id",
    ),
    "another action": (
        lambda lines: [lines[0], lines[2].replace(b"create", b"cremate", 1)],
        2,
        "'cremate' is not a valid Action",
    ),
}


@pytest.mark.parametrize(
    ("damage", "number", "expected"), DAMAGES.values(), ids=DAMAGES
)
def test_damage_is_reported_with_its_line(
    tmp_path: Path,
    damage: Callable[[list[bytes]], list[bytes]],
    number: int,
    expected: str,
) -> None:
    file = tmp_path / "plan.jsonl"
    file.write_bytes(b"".join(damage(lines_of(file))))
    with pytest.raises(MisconfiguredError) as caught:
        Plan.read(file)
    assert str(caught.value).startswith(f"{file}, line {number}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_plan_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(MisconfiguredError, match="cannot be read: "):
        Plan.read(tmp_path / name)


def test_pages_and_the_line_of_a_bad_product(tmp_path: Path) -> None:
    file = tmp_path / "plan.jsonl"
    products = [
        Product(key=ProductKey("shop", str(number)), title="Cup")
        for number in range(450)
    ]
    write(file, [create(product) for product in products])
    read = Plan.read(file)
    assert products_of(read) == products
    lines = file.read_bytes().splitlines(keepends=True)
    lines[420] = lines[420].replace(b'"title":"Cup"}', b'"title":5}')
    file.write_bytes(b"".join(lines))
    with pytest.raises(MisconfiguredError, match=r"line 421: .* title: must be text"):
        products_of(read)


def test_the_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "plan.jsonl"
    file.write_text("before")
    with PlanWriter(file, HEAD) as writer:
        writer.add(create(CUP))
        assert file.read_text() == "before"
        writer.finish(REPORT, EXPECTED)
        assert Plan.read(file).changes
    with PlanWriter(file, HEAD) as writer:
        writer.add(create(MUG))
    assert Plan.read(file).changes
    assert list(tmp_path.iterdir()) == [file]


def test_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place in ("folder", "no/plan.jsonl"):
        with (
            pytest.raises(MisconfiguredError, match="cannot be written: "),
            PlanWriter(tmp_path / place, HEAD) as writer,
        ):
            writer.finish(REPORT, EXPECTED)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe, and its content."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    with suppress(OSError):
        os.close(reader)


def test_something_other_than_a_plain_file_is_written_to(
    pipe: tuple[Path, int],
) -> None:
    path, reader = pipe
    write(path, [create(CUP)])
    assert path.is_fifo()
    path.with_name("plan.jsonl").write_bytes(os.read(reader, 1 << 16))
    assert Plan.read(path.with_name("plan.jsonl")).changes.keys() == {KEY}


def test_a_disk_that_takes_no_more(pipe: tuple[Path, int]) -> None:
    path, reader = pipe
    with PlanWriter(path, HEAD) as writer:
        os.close(reader)
        with pytest.raises(MisconfiguredError, match="pipe: cannot be written: Broken"):
            writer.finish(REPORT, EXPECTED)


def test_the_last_line_sums_up(tmp_path: Path) -> None:
    file = tmp_path / "plan.jsonl"
    failure = Outcome(KEY, OutcomeStatus.FAILED, "no", said="half: \ud83d")
    report = attrs.evolve(
        REPORT, counts=Counts(fetched=1, failed=1), failures=[failure]
    )
    write(file, [], report)
    last = json.loads(file.read_bytes().splitlines()[-1])
    assert last["counts"]["failed"] == 1
    assert last["failures"][0]["said"] == "half: \ud83d"
    assert last["estimate"] == {"writes": 1, "requests": 2, "seconds": None}
    assert Plan.read(file).changes == {}


def test_lines_are_for_people_too(tmp_path: Path) -> None:
    file = tmp_path / "plan.jsonl"
    there = existing(CUP, missing_parts=("no variant",), foreign=True)
    renamed = category(
        name="Mugs", there=ExistingReference(id="c", name="Cups", ours=True)
    )
    write(file, [renamed, update(attrs.evolve(CUP, title="Mug"), there)])
    _, reference, product, _ = map(json.loads, file.read_bytes().splitlines())
    assert (reference["line"], reference["action"]) == ("category", "update")
    assert (reference["name"], reference["was"]) == ("Mugs", "Cups")
    assert (product["key"], product["title"]) == ("shop:1", "Mug")
    assert product["diff"] == [{"path": "title", "old": "Cup", "new": "Mug"}]
    assert (product["incomplete"], product["adopts"]) == (["no variant"], True)


# The fingerprint of a change

MUG = attrs.evolve(CUP, title="Mug")


def test_the_fingerprint_does_not_depend_on_what_the_change_leaves_alone() -> None:
    there = existing(CUP)
    other = attrs.evolve(there, product=attrs.evolve(CUP, description="By hand"))
    assert fingerprint(update(MUG, there)) == fingerprint(update(MUG, other))


def test_the_fingerprint_does_not_depend_on_the_order_of_tags_or_ids_of_a_sink() -> (
    None
):
    one = existing(attrs.evolve(CUP, tags=["a", "b"]))
    other = attrs.evolve(one, product=attrs.evolve(CUP, tags=["b", "a"]))
    assert fingerprint(update(CUP, one)) == fingerprint(update(CUP, other))
    changes = [
        plan(CUP, None, {Field.TAGS: ids}) for ids in (("t1", "t2"), ("new", "x"))
    ]
    assert len({fingerprint(change) for change in changes if change}) == 1


@pytest.mark.parametrize(
    "other",
    [
        update(attrs.evolve(CUP, title="Pot"), existing(CUP)),
        update(
            MUG, attrs.evolve(existing(CUP), product=attrs.evolve(CUP, title="Pot"))
        ),
        update(MUG, attrs.evolve(existing(CUP), last_applied="other")),
        update(MUG, existing(CUP, missing_parts=("no variant",))),
        update(MUG, existing(CUP, foreign=True)),
        update(attrs.evolve(MUG, images=CUP.images[::-1]), existing(CUP)),  # type: ignore[index]
        create(MUG),
        removal(existing(CUP), Action.UNPUBLISH),
    ],
)
def test_another_change_has_another_fingerprint(other: Change) -> None:
    assert fingerprint(update(MUG, existing(CUP))) != fingerprint(other)


def test_the_fingerprint_of_a_removal() -> None:
    one = removal(existing(CUP), Action.UNPUBLISH)
    drafted = attrs.evolve(CUP, status=ProductStatus.DRAFT)
    others = [
        removal(existing(CUP), Action.DELETE),
        removal(attrs.evolve(existing(CUP), product=drafted), Action.UNPUBLISH),
        removal(attrs.evolve(existing(CUP), product=MUG), Action.UNPUBLISH),
        removal(attrs.evolve(existing(CUP), last_applied=None), Action.UNPUBLISH),
    ]
    assert len({fingerprint(each) for each in (one, *others)}) == 5
    assert fingerprint(one) == fingerprint(removal(existing(CUP), Action.UNPUBLISH))


def test_the_fingerprint_of_a_category() -> None:
    there = ExistingReference(id="c", name="Cups", parent="p", ours=True)
    changes = [
        category(),
        category(name="Mugs"),
        category(parent="kitchen"),
        category(there=there),
        category(there=attrs.evolve(there, name="Pots")),
        category(there=attrs.evolve(there, parent="q")),
    ]
    assert len({fingerprint(each) for each in changes}) == 6
    assert fingerprint(category()) == fingerprint(
        attrs.evolve(category(), parent="new kitchen")
    )


# The estimate


def test_an_estimate_from_earlier_runs() -> None:
    report = attrs.evolve(
        REPORT,
        writes=4,
        requests=10,
        categories=CategoryCounts(created=2, updated=1, existing=5),
    )
    assert estimate(report, []) == Estimate(writes=4, requests=17, seconds=None)
    ran = attrs.evolve(report, phases={"write": 6.0, "find": 1.0})
    idle = attrs.evolve(REPORT, phases={})
    records = [
        RunRecord(
            run_id="1",
            job="job",
            source="shop",
            sink="store",
            started_at=0.0,
            report=each,
        )
        for each in (ran, idle, None)
    ]
    each = 6.0 / 4
    assert estimate(report, records).seconds == 4 * each
    reads_long = attrs.evolve(report, duration_s=60.0)
    assert estimate(reads_long, records).seconds == 60.0 + each
    at_once = attrs.evolve(report, writes=40, writers=6)
    assert estimate(at_once, records).seconds == 40 * each / 6
    few = attrs.evolve(report, writes=2, writers=6)
    assert estimate(few, records).seconds == 2.0 + each
    assert estimate(report, records[1:]).seconds is None


def test_a_category_of_a_product_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "plan.jsonl"
    parent = Category(id="kitchen", name="Kitchen")
    cups = Category(id="cups", name="Cups", parent=parent)
    write(file, [create(attrs.evolve(CUP, categories=[cups]))])
    (product,) = products_of(Plan.read(file))
    assert product.categories == (cups,)
