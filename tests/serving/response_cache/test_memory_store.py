"""The store of one process: what it keeps, for how long, and what goes first."""

from __future__ import annotations

import itertools
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from serving.response_cache.memory_store import MemoryStore
from serving.response_cache.store import EntryKeys


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def keys(exact: int, alike: int | None = None, tenant: str = "t") -> EntryKeys:
    return EntryKeys(
        tenant=tenant,
        exact=exact.to_bytes(32, "big"),
        alike=None if alike is None else (alike + 1000).to_bytes(32, "big"),
    )


async def test_an_entry_is_found_until_its_time_is_over() -> None:
    clock = Clock()
    store = MemoryStore(max_entries=10, ttl_s=60.0, clock=clock)
    assert await store.find(keys(1)) is None
    await store.keep(keys(1), b"one")
    clock.now += 59.9
    assert await store.find(keys(1)) == ("exact", b"one")
    clock.now += 0.1
    assert await store.find(keys(1)) is None
    assert (len(store), store.n_bytes) == (0, 0)


async def test_expired_entries_make_room_without_being_asked_for() -> None:
    clock = Clock()
    store = MemoryStore(max_entries=10, ttl_s=60.0, clock=clock)
    for number in range(5):
        await store.keep(keys(number), b"x")
    clock.now += 60.0
    await store.keep(keys(9), b"y")
    assert len(store) == 1


async def test_the_newest_that_is_worded_alike_is_found() -> None:
    store = MemoryStore(max_entries=10, ttl_s=60.0)
    await store.keep(keys(1, alike=7), b"one")
    await store.keep(keys(2, alike=7), b"two")
    assert await store.find(keys(1, alike=7)) == ("exact", b"one")
    assert await store.find(keys(3, alike=7)) == ("semantic", b"two")
    assert await store.find(keys(3)) is None
    assert await store.find(keys(3, alike=8)) is None


async def test_the_longest_unused_goes_first() -> None:
    store = MemoryStore(max_entries=2, ttl_s=60.0)
    await store.keep(keys(1, alike=7), b"one")
    await store.keep(keys(2), b"two")
    assert await store.find(keys(1)) is not None
    await store.keep(keys(3), b"three")
    assert await store.find(keys(2)) is None
    assert await store.find(keys(1)) is not None
    await store.keep(keys(4), b"four")
    await store.keep(keys(5), b"five")
    assert await store.find(keys(9, alike=7)) is None


async def test_memory_is_bounded() -> None:
    store = MemoryStore(max_entries=1000, ttl_s=60.0, max_bytes=100_000)
    for number in range(200):
        await store.keep(keys(number), bytes(5_000))
        assert store.n_bytes <= 100_000
    assert 10 < len(store) < 20
    await store.keep(keys(999), bytes(50_000))  # which would drive out half of the others
    assert await store.find(keys(999)) is None
    assert len(store) > 10


async def test_what_an_entry_takes_is_known_well_enough() -> None:
    contents = [number.to_bytes(2, "big") * 500 for number in range(5_000)]
    store = MemoryStore(max_entries=10_000, ttl_s=60.0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number, content in enumerate(contents):
            await store.keep(keys(number, number), content)
        grown = tracemalloc.get_traced_memory()[0] - before + sum(map(len, contents))
    finally:
        tracemalloc.stop()
    assert 0.7 * grown < store.n_bytes < 1.4 * grown


async def test_one_tenant_is_forgotten_and_no_other() -> None:
    store = MemoryStore(max_entries=10, ttl_s=60.0)
    await store.keep(keys(1, alike=7, tenant="a"), b"one")
    await store.keep(keys(2, alike=8, tenant="b"), b"two")
    await store.forget("a")
    assert await store.find(keys(1, alike=7, tenant="a")) is None
    assert await store.find(keys(2, tenant="b")) == ("exact", b"two")
    await store.aclose()
    assert (len(store), store.n_bytes) == (0, 0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["keep", "find", "wait", "forget"]), st.integers(0, 4)), max_size=40
)


@given(STEPS)
async def test_it_behaves_as_a_plain_dictionary_would(steps: list[tuple[str, int]]) -> None:
    """A model of it, in the slowest and plainest way: by use, by time, by number."""
    clock, limit, ttl_s = Clock(), 3, 5.0
    store = MemoryStore(max_entries=limit, ttl_s=ttl_s, clock=clock)
    kept: dict[int, tuple[bytes, float, int]] = {}  # content, expiry, last use
    newest: dict[int, int] = {}
    turn = itertools.count()
    for what, number in steps:
        if what == "wait":
            clock.now += number
        kept = {n: one for n, one in kept.items() if one[1] > clock.now}
        newest = {alike: n for alike, n in newest.items() if n in kept}
        asked = keys(number, number % 2, tenant="ab"[number % 2])
        if what == "keep":
            content = f"{number} at {clock.now}".encode()
            await store.keep(asked, content)
            kept[number] = (content, clock.now + ttl_s, next(turn))
            newest[number % 2] = number
            if len(kept) > limit:
                gone = min(kept, key=lambda n: kept[n][2])
                del kept[gone]
        elif what == "forget":
            await store.forget("ab"[number % 2])
            kept = {n: one for n, one in kept.items() if n % 2 != number % 2}
        elif what == "find":
            newest = {alike: n for alike, n in newest.items() if n in kept}
            hit = number if number in kept else newest.get(number % 2)
            found = await store.find(asked)
            if hit is None:
                assert found is None
            else:
                assert found == ("exact" if hit == number else "semantic", kept[hit][0])
                kept[hit] = (*kept[hit][:2], next(turn))
        newest = {alike: n for alike, n in newest.items() if n in kept}
    assert len(store) <= limit
