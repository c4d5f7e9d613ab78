"""`Lines`: the same lines however the bytes are cut, in bounded memory."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_stream.batch.lines import Line, Lines


def split(pieces: list[bytes], most: int = 1000) -> list[Line]:
    lines = Lines(most)
    return [line for piece in pieces for line in lines.feed(piece)] + lines.finish()


def test_numbers_count_blank_lines_and_a_last_line_needs_no_end() -> None:
    lines = split([b"\xef\xbb\xbfa\r\n\n  \nb \nc"])
    assert [(line.number, line.data) for line in lines] == [(1, b"a"), (4, b"b"), (5, b"c")]


def test_of_a_line_that_is_too_long_only_its_length_is_kept() -> None:
    lines = Lines(10)
    for _ in range(1000):
        assert lines.feed(b"x" * 100) == []
        assert sum(map(len, lines._parts)) <= 100
    assert lines.feed(b"\nshort\n") == [Line(1, b"", 100_000), Line(2, b"short", 5)]


@given(
    st.lists(st.sampled_from([b"\n", b"\xef", b"\xbb\xbf", b"\xef\xbb\xbf", b"a", b"{} ", b"\r", b"x" * 30])), st.data()
)
@example([b"\xef", b"\xbb\xbf", b"\n"], None)
def test_any_cut_gives_the_same_lines(pieces: list[bytes], data: st.DataObject | None) -> None:
    whole = b"".join(pieces)
    expected = split([whole], 20)
    assert split(pieces, 20) == expected
    assert split([whole[at : at + 1] for at in range(len(whole))], 20) == expected
    if data is not None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
        assert split([whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)], 20) == expected
