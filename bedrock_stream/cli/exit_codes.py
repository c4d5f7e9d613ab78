"""How a command ends: every way out becomes an exit code and at most one line on stderr.

Ctrl-C and SIGTERM cancel the command's task, so connections close and the terminal is put back before the process goes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from ..errors import BedrockStreamError, ConfigurationError, MissingCredentials
from .terminal import one_line

__all__ = ("FAILED", "MISUSED", "complain", "outcome", "run")

FAILED = 1
MISUSED = 2
_INTERRUPTED = 128 + 2  # what a shell says of SIGINT, SIGPIPE and SIGTERM
_UNREAD = 128 + 13
_TERMINATED = 128 + 15

_OPTIONS = {
    "api_key": "--api-key",
    "endpoint_url": "--endpoint-url",
    "host": "--host",
    "hosts": "--allow-host",
    "keys": "--key",
    "max_tokens": "--max-tokens",
    "model": "MODEL",
    "models": "--model",
    "prompt": "PROMPT",
    "region": "--region",
    "system": "--system",
}
"""What the library's arguments are called here."""


def run(coroutine: Coroutine[Any, Any, int | None]) -> int | None:
    """`asyncio.run`, on uvloop where it is installed."""
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        from uvloop import new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_terminable(coroutine))


async def _terminable(coroutine: Coroutine[Any, Any, int | None]) -> int | None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in one
    with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await coroutine


def outcome(action: Callable[[], int | None]) -> int:
    """Carry out a command and return its exit code."""
    try:
        code = action() or 0
        sys.stdout.flush()  # the last chance to hear that nobody reads
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the terminal has echoed ^C
        return _INTERRUPTED
    except asyncio.CancelledError:
        return _TERMINATED
    except BrokenPipeError:
        _abandon_stdout()
        return _UNREAD
    except ConfigurationError as error:
        return complain(_explain(error), MISUSED)
    except BedrockStreamError as error:
        request = f" (request {error.request_id})" if error.request_id else ""
        return complain(f"{error}{request}", FAILED)
    except OSError as error:
        return complain(str(error), FAILED)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        kind = type(error).__name__
        return complain(f"unexpected {kind}: {error}; `python -X dev -m bedrock_stream.cli` shows where", FAILED)
    return code


def complain(sentence: str, code: int) -> int:
    """Say on one line of stderr what went wrong; return the exit code."""
    print(f"bedrock-stream: {one_line(sentence)}", file=sys.stderr)
    return code


def _explain(error: ConfigurationError) -> str:
    if isinstance(error, MissingCredentials):
        return f"{error}, or try --emulator"
    name = _OPTIONS.get(error.argument, error.argument)
    return f"{name}: {error.problem}" + (f"; {error.remedy}" if error.remedy else "")


def _abandon_stdout() -> None:
    """Let what is still buffered go nowhere, or the interpreter would complain at its exit."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
