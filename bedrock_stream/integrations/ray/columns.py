"""Rows of a dataset to rows of a batch, and their outcomes to columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ...batch.asks import Ask
from ...batch.records import plain_response
from ...batch.rows import Row
from ...dialects.converse import Converse
from ...errors import BedrockStreamError, ConfigurationError, RowInvalid
from ...request.models import describe
from ...request.route import native_dialect
from ...types.response import Response
from .job import Job
from .need import need

__all__ = ("COLUMNS", "Asked", "add_columns", "read_asks")

COLUMNS = {
    "text": "string",
    "error": "string",
    "error_type": "string",
    "retryable": "bool",
    "stop_reason": "string",
    "input_tokens": "int64",
    "output_tokens": "int64",
    "cost": "float64",
    "request_id": "string",
    "seconds": "float64",
}
"""What is added to each row, with the types of Arrow: blocks whose values are all null must have the same."""

Asked = Ask | RowInvalid
"""A row to ask, or why it cannot be asked."""


def read_asks(job: Job, table: Any) -> list[Asked]:
    """Return the rows of an Arrow table. Raises `ConfigurationError` for a column that is missing or would be lost."""
    added = [*COLUMNS, *(("response",) if job.response else ())]
    taken = [name for name in added if name in table.column_names]
    if taken:
        raise ConfigurationError("ds", f"has a column {taken[0]!r} already", "rename it: ds.rename_columns({...})")
    source: Any = job.prompt if job.body is None else job.body
    values: Iterable[Any] = table.to_pylist() if callable(source) else _column(table, source)
    keys = [None] * table.num_rows if job.key is None else _column(table, job.key)
    return [_read_ask(job, source, value, key) for value, key in zip(values, keys, strict=True)]


def add_columns(job: Job, table: Any, rows: Sequence[Row]) -> Any:
    """Return the table with the outcomes of its rows."""
    pa = need("pyarrow")
    records = [_outcome(job, row) for row in rows]
    for name, kind in COLUMNS.items():
        values = [record[name] for record in records]
        table = table.append_column(name, _array(pa, values, kind))
    if job.response:
        table = table.append_column("response", _array(pa, [_json(row.response) for row in rows], "string"))
    return table


def _column(table: Any, name: str) -> list[Any]:
    if name not in table.column_names:
        have = ", ".join(map(repr, table.column_names))
        raise ConfigurationError("ds", f"has no column {name!r}", f"its columns are {have}")
    values: list[Any] = table.column(name).to_pylist()
    return values


def _read_ask(job: Job, source: str | Callable[[dict[str, Any]], Any], value: Any, key: Any) -> Asked:
    name = source if isinstance(source, str) else "prompt" if job.body is None else "body"
    if callable(source):
        try:
            value = source(value)
        except Exception as error:
            return RowInvalid(name, f"the function raised {error!r}"[:500])
    if isinstance(value, Ask):
        ask = value
    elif job.body is None:
        ask = Ask(value)
    else:
        if isinstance(value, str | bytes):
            try:
                value = msgspec.json.decode(value)
            except (ValueError, RecursionError) as error:
                return RowInvalid(name, f"is not JSON: {error}")
        ask = Ask(body=value, converse=job.converse)
    if key is not None and job.journal is not None and ask.key is None:
        ask.key = str(key)
    return ask


def _outcome(job: Job, row: Row) -> dict[str, Any]:
    record: dict[str, Any] = dict.fromkeys(COLUMNS)
    record["seconds"] = row.seconds
    if row.error is not None:
        error = row.error
        record |= {"error": str(error) or type(error).__name__, "error_type": type(error).__name__}
        record |= {"retryable": bool(getattr(error, "retryable", False))}
        record |= {"request_id": getattr(error, "request_id", None)}
        return record
    response = _read_body(job, row.response) if isinstance(row.response, Mapping) else row.response
    record["cost"] = row.cost
    if isinstance(response, Response):
        record |= {"text": response.text, "stop_reason": response.stop_reason, "request_id": response.request_id}
        if response.usage is not None:
            record["input_tokens"] = response.usage.input_tokens
            record["output_tokens"] = response.usage.output_tokens
    return record


def _read_body(job: Job, body: Mapping[str, Any]) -> Response | None:
    """Return a response in a model's own JSON as far as this library reads its format."""
    model = describe(job.model)
    dialect = Converse() if job.converse else native_dialect(model)
    if dialect is None:
        return None
    try:
        return dialect.answer(msgspec.json.encode(body), request_id=None, model=model.id, family=model.family)
    except BedrockStreamError:
        return None


def _json(response: Any) -> str | None:
    if response is None:
        return None
    plain = plain_response(response) if isinstance(response, Response) else response
    return msgspec.json.encode(plain, enc_hook=_model_dump).decode()


def _model_dump(value: Any) -> Any:
    if hasattr(value, "model_dump"):  # a pydantic model in `Response.parsed`
        return value.model_dump(mode="json")
    raise TypeError(f"an object of type {type(value).__name__} is not JSON serializable")


def _array(pa: Any, values: list[Any], kind: str) -> Any:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half of a surrogate pair
        return pa.array([None if text is None else text.encode(errors="replace").decode() for text in values], kind)
