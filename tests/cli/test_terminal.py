"""Text from a model reaches a terminal without control sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.cli.terminal import Cleaner, clean, one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, höflich, 日本\n\tindented", "plain, höflich, 日本\n\tindented"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;c2VjcmV0\x07", ""),
        ("\x1bPq#0\x1b\\picture", "picture"),
        ("\x1bcreset", "reset"),
        ("\x1b(0charset", "charset"),
        ("bell\x07 back\x08 carriage\r\n", "bell back carriage\n"),
        ("\x9b31m\x7f\x00", "31m"),
        ("\x1b]no end\nnext line", "no end\nnext line"),
    ],
)
def test_control_sequences_are_removed(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert Cleaner().feed(text) == shown


@given(st.lists(st.text(st.sampled_from("\x1b[]P;0123mH\x07\\ ab\n\x9c"), max_size=6)))
def test_text_in_pieces_is_cleaned_like_the_full_text(pieces: list[str]) -> None:
    cleaner = Cleaner()
    cleaned = "".join(map(cleaner.feed, pieces))
    # The cleaner holds back an unterminated sequence at the end; `clean` knows that no more text follows.
    assert clean("".join(pieces)).startswith(cleaned)
    assert not set(cleaned) & set("\x1b\x07\x9c")


def test_an_unterminated_sequence_holds_back_little() -> None:
    cleaner = Cleaner()
    shown = "".join(cleaner.feed("word ") for _ in range(3)) + cleaner.feed("\x1b]")
    shown += "".join(cleaner.feed("word ") for _ in range(100))
    assert len(shown) > 400
    assert "\x1b" not in shown


def test_one_line() -> None:
    assert one_line("first\r\n  second\x1b[1m\nthird") == "first second third"


def test_visible_escapes_unsafe_characters() -> None:
    assert visible("a\x1b[1m\r\x9b\tb\n") == "a\\x1b[1m\\x0d\\x9b\tb\n"
