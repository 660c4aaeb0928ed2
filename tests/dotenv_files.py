"""Random dotenv files: made of the pieces whose meaning readers disagree about."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("A", "B", "B_TOKEN", "url", "x1")

PIECES = (
    "a", "b c", "value", " ", "  ", "\t", "#", " #", " # later", "\t#", "'", '"', "\\", "\\n", "\\t", "\\'", '\\"', "\\\\", "\\$",
    "\\0", "\\d", "$", "$A", "${A}", "${B}", "${NOT_SET}", "${A:-d}", "${A-d}", "$$", "=", ":", "é", "\u00a0", "\x0b", "`", "${", "}",
    "%", "{", "-", "!",
)  # fmt: skip

_TEXT = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
_LINES = st.lists(st.sampled_from([*PIECES, "\n", "\r\n", "\nB=1"]), max_size=6).map("".join)
_VALUE = st.one_of(
    _TEXT,
    _LINES.map(lambda text: "'" + text.replace("'", "\\'") + "'"),
    _LINES.map(lambda text: '"' + text.replace('"', '\\"') + '"'),
)
_STATEMENT = st.tuples(
    st.sampled_from(["", "", "export ", "  ", "\t"]),
    st.sampled_from(NAMES),
    st.sampled_from(["=", "=", " = ", "= ", "=\t"]),
    _VALUE,
    st.sampled_from(["", "", " ", " # c", "# c"]),
    st.sampled_from(["\n", "\n", "\r\n", "\n\n", "\n# comment\n"]),
).map("".join)

FILES = st.lists(_STATEMENT, min_size=1, max_size=5).map("".join)
