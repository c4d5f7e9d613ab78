"""Lines of a batch file as rows: Bedrock's batch records, OpenAI's batch lines, and plain prompts. Pure.

The first line that is of a format decides for the whole file. A line that cannot be a row becomes one that has an
error, so that it has a place in the result. The input of a row is kept as its bytes were.
Source: "Format and upload your batch inference data" in Bedrock's user guide, and OpenAI's Batch API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from ..dialects.converse.body import REQUEST_MEMBERS
from ..errors import ConfigurationError, RowInvalid
from ..types.checks import check_cost, is_integer
from .asks import Ask
from .lines import MAX_LINE, Line

__all__ = ("FORMATS", "Chat", "Entry", "Invocation", "LineReader")

FORMATS = ("bedrock", "openai", "prompts")
"""The formats by name."""

Invocation: TypeAlias = Literal["InvokeModel", "Converse"]
"""What AWS calls the type of a job: whether its inputs are in the model's own format or in that of Converse."""

Chat: TypeAlias = Callable[[dict[str, Any]], tuple[Any, Mapping[str, Any]]]
"""Returns the messages and options of the body of a chat completion request. Raises `ConfigurationError`."""

_Members: TypeAlias = dict[str, msgspec.Raw]

_read_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

# Options of a call that a line of prompts may have: those that say what is asked, and not where or by whom.
_OPTIONS = frozenset(
    {"system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "reasoning"}
    | {"effort", "output_schema", "prompt_cache", "prompt_cache_ttl", "additional_model_request_fields", "extra"}
    | {"response_field_paths", "anthropic_beta", "prompt_variables", "guardrail", "performance", "service_tier"}
    | {"request_metadata", "use_converse"}
)
_PATHS = (None, "/v1/chat/completions")  # of OpenAI's API, as far as its requests can be asked here


class Entry(msgspec.Struct, frozen=True):
    """One line as a row."""

    line: Line
    record_id: str
    """Its name in the result; made of the line's number where the line has none."""
    model_input: bytes
    """The input as JSON, byte for byte as in the line where it is a member of it; else `null`."""
    item: Ask | RowInvalid
    """What `Client.map` takes."""


class LineReader:
    """Reads the lines of one file, in a format of `FORMATS`, or None for that of the first line that has one."""

    def __init__(
        self,
        name: str | None = None,
        *,
        chat: Chat,
        own_models: bool = False,
        invocation: Invocation | None = None,
    ) -> None:
        """`chat` reads OpenAI's bodies. `own_models`: each line names its model; else those of the lines are ignored.

        `invocation` decides between the formats of Bedrock's bodies where both fit.
        """
        self.format: str | None = name
        """The format, once it is known."""
        self._chat = chat
        self._own_models = own_models
        self._invocation = invocation

    def read(self, line: Line) -> Entry:
        """Return a line as a row."""
        record_id, model_input = f"L{line.number:010d}", b"null"
        key: str | None = None
        try:
            members = _members(line)
            kind = self._kind(members)
            key = _name_of(members, {"bedrock": "recordId", "openai": "custom_id", "prompts": "id"}[kind])
            record_id = key or record_id
            model_input = _input_of(members, kind)
            ask = {"bedrock": self._bedrock, "openai": self._openai, "prompts": self._prompt}[kind](members)
            ask.key = key
            if self._own_models and ask.model is None:
                raise RowInvalid("model", "is missing", "pass --model")
        except RowInvalid as error:
            item: Ask | RowInvalid = error
        except ConfigurationError as error:
            item = RowInvalid(error.argument, error.problem, error.remedy)
        except RecursionError:
            item = RowInvalid("JSON", "is nested too deeply")
        else:
            item = ask
        if isinstance(item, RowInvalid):
            item = RowInvalid(_place(line, item.argument), item.problem, item.remedy)
        return Entry(line, record_id, model_input, item)

    def _kind(self, members: _Members) -> str:
        if self.format is not None:
            return self.format
        for name, needed in (("bedrock", {"modelInput"}), ("openai", {"custom_id", "body"}), ("prompts", {"prompt"})):
            if needed <= members.keys():
                self.format = name
                return name
        problem = "expected modelInput, or custom_id and body, or prompt"
        raise RowInvalid("", f"{problem}; got {_names(members)}", "name the format with --format, or fix the line")

    def _bedrock(self, members: _Members) -> Ask:
        body = _object_of(members, "modelInput")
        converse = self._invocation == "Converse" if self._invocation is not None else _is_converse(body)
        return Ask(body=body, converse=converse)

    def _openai(self, members: _Members) -> Ask:
        body = _object_of(members, "body")
        path = _value_of(members, "url")
        if path not in _PATHS:
            raise RowInvalid("url", f"expected {_PATHS[1]!r}, got {path!r:.200}")
        if "custom_id" not in members:
            raise RowInvalid("custom_id", "is missing", "name each line")
        messages, options = self._chat(body)
        return Ask(messages, model=self._model_of(body.get("model")), **options)

    def _prompt(self, members: _Members) -> Ask:
        if "prompt" not in members:
            raise RowInvalid("prompt", f"is missing; got {_names(members)}", "pass text, or a list of messages")
        unknown = members.keys() - _OPTIONS - {"prompt", "id", "model"}
        if unknown:
            problem = f"is not an option of a prompt; known are {', '.join(sorted(_OPTIONS))}"
            raise RowInvalid(min(unknown), problem)
        prompt = _value_of(members, "prompt")
        if not isinstance(prompt, str | list):
            raise RowInvalid("prompt", f"expected text or a list of messages, got {prompt!r:.200}")
        options = {name: _value_of(members, name) for name in members.keys() & _OPTIONS}
        options = {name: value for name, value in options.items() if value is not None}
        return Ask(prompt, model=self._model_of(_value_of(members, "model")), **options)

    def _model_of(self, value: Any) -> str | None:
        if not self._own_models or value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise RowInvalid("model", f"expected the id of a model, got {value!r:.200}")
        return value


def _members(line: Line) -> _Members:
    """Return the members of a line. Raises `RowInvalid` for what is not a JSON object."""
    if line.length > MAX_LINE:
        raise RowInvalid("", f"has {line.length} bytes, expected at most {MAX_LINE}", "split the row")
    try:
        line.data.decode()  # the decoder does not look at what it leaves out
        check_cost(line.data)
        return _read_members(line.data)
    except UnicodeDecodeError as error:
        raise RowInvalid("", f"is not valid UTF-8: {error.reason} at byte {error.start}", "save it as UTF-8") from None
    except msgspec.ValidationError:
        raise RowInvalid("", f"expected a JSON object, got {_quoted(line.data)}") from None
    except ValueError as error:
        raise RowInvalid("", f"is not valid JSON: {error}", f"it begins with {_quoted(line.data)}") from None


def _value_of(members: _Members, name: str) -> Any:
    """Return the value of a member, None without one. Raises `RowInvalid`."""
    if name not in members:
        return None
    try:
        return msgspec.json.decode(members[name])
    except ValueError as error:
        raise RowInvalid(name, f"is not valid JSON: {error}") from None


def _object_of(members: _Members, name: str) -> dict[str, Any]:
    if name not in members:
        raise RowInvalid(name, f"is missing; got {_names(members)}", "pass a JSON object")
    value = _value_of(members, name)
    if not isinstance(value, dict) or not value:
        raise RowInvalid(name, f"expected a JSON object, got {_quoted(bytes(members[name]))}")
    return value


def _name_of(members: _Members, member: str) -> str | None:
    """Return the caller's name of a row. A number is as good as text."""
    value = _value_of(members, member)
    if value is None:
        return None
    if not (isinstance(value, str) and value) and not is_integer(value):
        raise RowInvalid(member, f"expected text, got {value!r:.200}")
    return str(value)


def _input_of(members: _Members, kind: str) -> bytes:
    """Return what a line asks, as JSON: a member of it, or for a prompt all but its id."""
    if kind == "prompts":
        parts = (b"%s:%s" % (msgspec.json.encode(name), bytes(raw)) for name, raw in members.items() if name != "id")
        return b"{%s}" % b",".join(parts)
    return bytes(members.get("modelInput" if kind == "bedrock" else "body", b"null"))


def _is_converse(body: Mapping[str, Any]) -> bool:
    """Return whether a body is in the format of Converse: its members alone, and blocks that have no `type`.

    Nova's own format is close to it, and has names such as `schemaVersion` and `max_new_tokens`.
    """
    config = body.get("inferenceConfig")
    if body.keys() - REQUEST_MEMBERS or (isinstance(config, dict) and any("_" in name for name in config)):
        return False
    messages = body.get("messages")
    if not isinstance(messages, list):
        return False
    blocks = [message.get("content") for message in messages if isinstance(message, dict)]
    return all(
        isinstance(content, list) and all(isinstance(block, dict) and "type" not in block for block in content)
        for content in blocks
    )


def _place(line: Line, argument: str) -> str:
    return f"line {line.number}" + (f", {argument}" if argument else "")


def _names(members: _Members) -> str:
    return ", ".join(repr(name)[:80] for name in [*members][:8]) or "no members"


def _quoted(data: bytes) -> str:
    return repr(data[:60].decode(errors="replace"))
