"""A build's events: what a step prints arrives whole, in whatever pieces BuildKit tells it, and redacted."""

from __future__ import annotations

import base64
import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import SecretValue
from container_image.build.progress import Progress
from container_image.build.redact import Redactor

TOKEN = "tok9aZ8bY7cX6dW5eV4fQ3sK0pLmR2hJ8uNwE1gT"
STARTED = {"vertexes": [{"digest": "d", "name": "RUN x", "started": "2024-01-01T00:00:00Z"}]}
DONE = {"vertexes": [{**STARTED["vertexes"][0], "completed": "2024-01-01T00:00:01Z"}]}


def told(values: list[bytes], pieces: list[bytes]) -> tuple[str, list[tuple[str, str | None]]]:
    """The text of a step that prints the pieces, and the warnings."""
    progress = Progress(Redactor([SecretValue(f"T{place}", value) for place, value in enumerate(values)]), str)
    logs = [{"logs": [{"vertex": "d", "data": base64.b64encode(piece).decode()}]} for piece in pieces]
    events = [event for record in (STARTED, *logs, DONE) for event in progress.feed(json.dumps(record).encode())]
    text = "".join(event.text for event in events if event.kind == "log")
    return text, [(warning.code, warning.secret) for warning in progress.warnings]


@settings(deadline=None)
@given(st.text(max_size=40), st.lists(st.integers(0, 200), max_size=8))
def test_characters_are_whole_however_the_output_is_cut(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "replace")
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    # A binary value holds single bytes of characters.
    value = bytes(range(0x80, 0xC0)) + bytes(range(0xC2, 0xF4))
    shown, warnings = told([value], [data[a:b] for a, b in itertools.pairwise(places)])
    assert shown == data.decode()
    assert not warnings


def test_a_value_that_is_cut_and_told_in_pieces_is_redacted_and_warned_of() -> None:
    data = f"the token is {TOKEN[:-1]}".encode()
    for size in (1, 5, 16, 100):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert told([TOKEN.encode()], pieces) == ("the token is [T0]", [("secret-in-log", "T0")])


def test_what_is_held_back_of_a_step_without_an_end_is_little() -> None:
    progress = Progress(Redactor([SecretValue("T", TOKEN.encode())]), str)
    record = {"logs": [{"vertex": "d", "data": base64.b64encode(b"waiting for the service\n").decode()}]}
    shown = [event.text for data in (STARTED, record) for event in progress.feed(json.dumps(data).encode())]
    assert "".join(shown) == "waiting for the service\n"
