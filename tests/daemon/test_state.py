"""The state of a stream."""

import pytest

from kwsd.bus.events import State
from kwsd.daemon.state import StreamState


def test_entering_the_same_state_for_the_same_reason_is_not_a_change() -> None:
    state = StreamState("", "default")
    assert state.enter("listening")
    assert not state.enter("listening")
    assert state.enter("listening", "zeros")
    assert not state.enter("listening", "zeros")
    assert state.enter("listening")


@pytest.mark.parametrize(
    ("name", "hears"), [("starting", False), ("listening", True), ("muted", True), ("lost", False), ("stopping", False)]
)
def test_a_stream_hears_while_its_source_delivers_audio(name: State, *, hears: bool) -> None:
    state = StreamState("", "default")
    state.enter(name)
    assert state.hears == hears


def test_only_a_stream_with_a_name_puts_it_before_a_line() -> None:
    assert StreamState("", "default").label("lost") == "lost"
    assert StreamState("door", "default").label("lost") == "door: lost"
