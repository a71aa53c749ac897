import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kwsd.pipeline.ring import Ring

blocks = st.lists(st.integers(0, 25), max_size=20)


@given(capacity=st.integers(1, 10), sizes=blocks)
def test_newest_is_the_end_of_the_stream_after_any_split_into_blocks(capacity: int, sizes: list[int]) -> None:
    stream = np.arange(1, sum(sizes) + 1, dtype=np.float32)
    ring = Ring(capacity)
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        ring.append(stream[end - size : end])
        expected = np.concatenate([np.zeros(capacity, np.float32), stream[:end]])[-capacity:]
        np.testing.assert_array_equal(ring.newest, expected)


@given(sizes=blocks)
def test_rows_of_any_shape_keep_their_order(sizes: list[int]) -> None:
    stream = np.arange(sum(sizes) * 6, dtype=np.float32).reshape(-1, 2, 3)
    ring = Ring(4, (2, 3))
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        ring.append(stream[end - size : end])
    expected = np.concatenate([np.zeros((4, 2, 3), np.float32), stream])[-4:]
    np.testing.assert_array_equal(ring.newest, expected)


def test_a_cleared_ring_holds_zeros() -> None:
    ring = Ring(3)
    ring.append(np.ones(5, np.float32))
    ring.clear()
    np.testing.assert_array_equal(ring.newest, np.zeros(3, np.float32))


def test_reading_copies_nothing() -> None:
    ring = Ring(3)
    assert ring.newest.base is not None
    assert np.shares_memory(ring.newest, ring.newest)
