"""Masked output: nothing of a value is shown, nothing else is changed, and nobody waits for what is no value."""

from __future__ import annotations

import itertools
import os
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import SecretValue
from container_image.build.redact import Redactor
from container_image.runtime.mask import MaskedStream, pump

# It begins as a prompt ends.
VALUE = b": tok9aZ8bY7cX6dW5eV4f/+"
PIECES = st.one_of(
    st.binary(max_size=8), st.sampled_from([VALUE, VALUE.hex().encode(), VALUE[::-1], VALUE[:9], b"Name: ", b"line\n"])
)


def through(data: bytes, cuts: list[int], idle: list[bool]) -> bytes:
    """The data through a masked stream, in pieces, with a pause behind some of them."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    stream = MaskedStream(Redactor([SecretValue("T", VALUE)]))
    shown = b""
    for (start, end), pause in zip(itertools.pairwise(places), itertools.cycle([*idle, False])):
        shown += stream.feed(data[start:end])
        if pause:
            shown += stream.idle()
    return shown + stream.end()


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=6), st.lists(st.integers(0, 300), max_size=8), st.lists(st.booleans(), max_size=8))
def test_at_most_three_bytes_of_a_value_are_shown_however_it_comes(
    pieces: list[bytes], cuts: list[int], idle: list[bool]
) -> None:
    data = b"".join(pieces)
    shown = through(data, cuts, idle)
    assert not any(form[3:] in shown for form in (VALUE, VALUE.hex().encode(), VALUE[::-1]))


@given(st.lists(PIECES.filter(lambda piece: len(piece) < 10), max_size=8), st.lists(st.integers(0, 300), max_size=8))
def test_with_a_pause_behind_every_piece_other_output_is_unchanged(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    if through(data, [], []) == data:
        assert through(data, cuts, [True]) == data


def test_a_value_whose_beginning_was_shown_as_a_prompt_is_masked_from_there_on() -> None:
    stream = MaskedStream(Redactor([SecretValue("T", VALUE)]))
    assert stream.feed(b"Name: ") == b"Name"
    assert stream.waits
    assert stream.idle() == b": "
    assert not stream.waits
    assert stream.feed(VALUE[2:7]) == b""
    # Four bytes of a value are no prompt.
    assert stream.idle() == b""
    assert not stream.waits
    assert stream.feed(VALUE[7:] + b"\n") == b"[T]\n"


def test_a_prompt_and_a_line_are_shown_at_once_and_a_value_in_two_writes_never() -> None:
    source, child = os.pipe()
    shown, target = os.pipe()
    thread = pump(os.fdopen(source, "rb", buffering=0), target, Redactor([SecretValue("T", VALUE)]))
    began = time.monotonic()
    os.write(child, b"line\nName: ")
    text = b""
    while text != b"line\nName: ":
        text += os.read(shown, 100)
    assert time.monotonic() - began < 5
    os.write(child, b"\n" + VALUE[:12])
    time.sleep(0.3)
    os.write(child, VALUE[12:] + b"end")
    os.close(child)
    thread.join()
    os.close(target)
    assert os.read(shown, 100) == b"\n[T]end"
    os.close(shown)


def test_who_leaves_is_told_on() -> None:
    source, child = os.pipe()
    shown, target = os.pipe()
    os.close(shown)
    thread = pump(os.fdopen(source, "rb", buffering=0), target, Redactor([]))
    os.write(child, b"x")
    thread.join(timeout=10)
    try:
        os.write(child, b"y")
    except BrokenPipeError:
        return
    finally:
        os.close(child)
        os.close(target)
    raise AssertionError("the pipe is still read")
