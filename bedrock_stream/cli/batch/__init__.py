"""`bedrock-stream batch`: ask each line of a file, and write the answers to another one.

`settings` are the options, `source` reads IN, `output` writes OUT, `running` is the run, `stopping` takes signals,
`display` shows the progress, `checking` is `--check` and `--dry-run`. The formats of the lines are in
`bedrock_stream.batch`.
"""

from __future__ import annotations

from typing import Any

from . import checking
from .running import batch
from .settings import BatchSettings

__all__ = ("run_batch",)

_OF_THE_CALL = ("system", "max_tokens", "temperature", "top_p")


async def run_batch(*, check: bool, dry_run: bool, no_input: bool, invocation_type: Any, **arguments: Any) -> int:
    """Run the command with its command-line arguments. Return the exit code. Raises `ConfigurationError`."""
    options = {name: value for name in _OF_THE_CALL if (value := arguments.pop(name)) is not None}
    settings = BatchSettings(invocation=invocation_type, with_input=not no_input, options=options, **arguments)
    if check:
        return await checking.check(settings)
    return await checking.dry_run(settings) if dry_run else await batch(settings)
