"""One row of a batch as its caller says it: a prompt or a body, with options of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from ..errors import ConfigurationError, RowInvalid
from ..types.call_options import CallOptions
from ..types.checks import is_integer
from ..types.messages import Prompt, read_prompt

__all__ = ("Ask", "read_ask")

_LONGEST = 20 * 1000 * 1000  # characters; the service takes no request of more bytes


class Ask:
    """One row of a batch. Exactly one of `prompt` and `body` is set; it is checked when the batch reads it.

    >>> Ask(prompt="Hello", key="row-7", max_tokens=100)
    Ask(prompt='Hello', key='row-7')
    """

    __slots__ = ("body", "converse", "key", "model", "options", "prompt", "tokens")

    def __init__(
        self,
        prompt: Prompt | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        converse: bool = False,
        key: str | None = None,
        model: str | None = None,
        tokens: int | None = None,
        **options: Unpack[CallOptions],
    ) -> None:
        self.prompt: Any = prompt
        """What `generate` takes."""
        self.body: Mapping[str, Any] | None = body
        """JSON in the model's own format, as for `invoke`; the row's response is then a dict."""
        self.converse: bool = converse
        """Whether `body` is in the format of Converse."""
        self.key: str | None = key
        """The caller's name of the row, unique in the batch."""
        self.model: str | None = model
        """The row's model; None for the batch's."""
        self.tokens: int | None = tokens
        """The input tokens as far as the caller knows them, for quotas."""
        self.options: dict[str, Any] = {**options}
        """Options of the call that take precedence over the batch's."""

    def __repr__(self) -> str:  # without options, which may contain keys
        shown = (f"{name}={getattr(self, name)!r}" for name in ("prompt", "body", "key", "model"))
        return f"Ask({', '.join(part for part in shown if not part.endswith('=None'))})"


def read_ask(item: Any, index: int) -> Ask:
    """Return a row in any accepted form as an `Ask` whose prompt is a str or messages. Raises `RowInvalid`."""
    name = f"prompts[{index}]"
    if type(item) is str:
        if not item.strip() or len(item) > _LONGEST:
            raise RowInvalid(name, *_text_problem(item))
        return Ask(item)
    ask = item if isinstance(item, Ask) else Ask(item)
    if (ask.prompt is None) == (ask.body is None):
        problem = "has both a prompt and a body" if ask.body is not None else "has neither a prompt nor a body"
        raise RowInvalid(name, problem, "pass one of them")
    for field, kinds, expected in (("key", str, "a str"), ("model", str, "a str"), ("body", Mapping, "a dict")):
        value = getattr(ask, field)
        if value is not None and not (isinstance(value, kinds) and value):
            raise RowInvalid(name, f"expected {expected} as {field}, got {value!r}"[:300])
    if ask.tokens is not None and not (is_integer(ask.tokens) and ask.tokens >= 0):
        raise RowInvalid(name, f"expected a number of tokens, got {ask.tokens!r}")
    if ask.body is None:
        return _with_messages(ask, name)
    return ask


def _with_messages(ask: Ask, name: str) -> Ask:
    """Return a row with its prompt as a str or messages: an iterator can be read only once."""
    prompt: Any = ask.prompt
    if isinstance(prompt, str):
        if not prompt.strip() or len(prompt) > _LONGEST:
            raise RowInvalid(name, *_text_problem(prompt))
    else:
        try:
            prompt = read_prompt(prompt)
        except ConfigurationError as error:
            raise RowInvalid(f"{name}.{error.argument}", error.problem, error.remedy) from None
    read = Ask(prompt, key=ask.key, model=ask.model, tokens=ask.tokens)
    read.options = ask.options
    return read


def _text_problem(text: str) -> tuple[str, str]:
    if not text.strip():
        return f"expected text that is not blank, got {text[:20]!r}", "leave the row out"
    return f"expected at most {_LONGEST} characters, got {len(text)}", "split the row"
