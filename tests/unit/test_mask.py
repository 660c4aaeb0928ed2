"""Masked output: nothing of a value is shown, nothing else is changed, and nobody waits for what is no value."""

from __future__ import annotations

import itertools
import os
import time

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from container_image import SecretValue
from container_image.build.redact import Redactor
from container_image.runtime.mask import MaskedStream, pump

# It begins as a prompt ends.
VALUE = b": tok9aZ8bY7cX6dW5eV4f/+"
TOKEN = b"tok9aZ8bY7cX6dW5eV4f/+"
PIECES = st.one_of(
    st.binary(max_size=8), st.sampled_from([VALUE, VALUE.hex().encode(), VALUE[::-1], VALUE[:9], b"Name: ", b"line\n"])
)


def through(data: bytes, cuts: list[int], idle: list[bool], value: bytes = VALUE) -> bytes:
    """The data through a masked stream, in pieces, with a pause behind some of them."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    stream = MaskedStream(Redactor([SecretValue("T", value)]))
    shown = b""
    for (start, end), pause in zip(itertools.pairwise(places), itertools.cycle([*idle, False])):
        shown += stream.feed(data[start:end])
        if pause:
            shown += stream.idle()
    return shown + stream.end()


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=6), st.lists(st.integers(0, 300), max_size=8), st.lists(st.booleans(), max_size=8))
def test_no_part_of_a_value_is_shown_however_it_comes(pieces: list[bytes], cuts: list[int], idle: list[bool]) -> None:
    shown = through(b"".join(pieces), cuts, idle)
    for form, run in ((TOKEN, 12), (TOKEN.hex().encode(), 24), (TOKEN[::-1], 12)):
        assert not any(form[at : at + run] in shown for at in range(len(form) - run + 1))


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(TOKEN) - 12),
    st.integers(12, len(TOKEN)),
    st.lists(st.integers(0, 60), max_size=30),
    st.sampled_from([b"", b"Name", b"line\n"]),
    st.sampled_from([b"", b"~end\n"]),
)
def test_at_most_three_bytes_of_a_part_are_shown_where_the_program_pauses_there(
    start: int, length: int, cuts: list[int], before: bytes, after: bytes
) -> None:
    part = TOKEN[start : start + length]
    assume(len(part) >= 12)
    allowed = {before + part[:early] + b"[T]" + after for early in range(4)}
    assert through(before + part + after, cuts, [True], TOKEN) in allowed
    # A pause behind every byte.
    assert through(before + part + after, list(range(60)), [True], TOKEN) in allowed


@settings(deadline=None)
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


def test_a_value_at_the_end_of_a_prompt_is_shown_as_masked_while_the_program_waits() -> None:
    stream = MaskedStream(Redactor([SecretValue("T", VALUE)]))
    shown = stream.feed(b"remove " + VALUE) + stream.idle()
    assert shown == b"remove [T]"
    assert stream.feed(b"? ") + stream.idle() + stream.end() == b"? "


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
