"""Run a command: every outcome becomes an exit code and at most one line on stderr.

Ctrl-C and SIGTERM cancel the command's task, so connections are closed and the terminal is restored before the process
exits.
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

__all__ = ("FAILURE", "MEANINGS", "SOME_FAILED", "STOPPED", "USAGE_ERROR", "print_error", "run", "run_command")

FAILURE = 1
USAGE_ERROR = 2
SOME_FAILED = 3
STOPPED = 4
# The codes that a shell reports for a process ended by SIGINT, SIGPIPE and SIGTERM: 128 and the signal's number.
_INTERRUPTED = 128 + 2
_BROKEN_PIPE = 128 + 13
_TERMINATED = 128 + 15

MEANINGS = {
    0: "success",
    FAILURE: "the service, the network, the stream or a check failed",
    USAGE_ERROR: "a wrong option or argument, missing credentials, a missing extra",
    SOME_FAILED: "some rows of a batch failed",
    STOPPED: "rows of a batch are left; run it again",
    _INTERRUPTED: "Ctrl-C (SIGINT)",
    _BROKEN_PIPE: "the reader of stdout closed it (SIGPIPE)",
    _TERMINATED: "SIGTERM",
}
"""The exit codes of all commands."""

_OPTIONS = {
    "Quota.rpm": "--rpm",
    "Quota.tpm": "--tpm",
    "Stop.cost": "--max-cost",
    "Stop.failures": "--max-failures",
    "Stop.output_tokens": "--max-output-tokens",
    "api": "--api",
    "api_key": "--api-key",
    "concurrency": "--concurrency",
    "document": "--document",
    "endpoint": "--endpoint",
    "endpoint_url": "--endpoint-url",
    "host": "--host",
    "hosts": "--allow-host",
    "image": "--image",
    "keys": "--key",
    "max_tokens": "--max-tokens",
    "model": "MODEL",
    "models": "--model",
    "output_schema": "--schema",
    "patience": "--patience",
    "prices": "--prices",
    "profile": "--profile",
    "prompt": "PROMPT",
    "region": "--region",
    "schema": "--schema",
    "stop_sequences": "--stop",
    "system": "--system",
    "temperature": "--temperature",
    "top_p": "--top-p",
}
"""The command line's option for each argument of the library."""


def run(coroutine: Coroutine[Any, Any, int | None]) -> int | None:
    """Run a coroutine like `asyncio.run`, on uvloop if it is installed."""
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        from uvloop import new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_cancel_on_sigterm(coroutine))


async def _cancel_on_sigterm(coroutine: Coroutine[Any, Any, int | None]) -> int | None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in one
    with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await coroutine


def run_command(action: Callable[[], int | None]) -> int:
    """Run a command, report its error on stderr, and return its exit code."""
    try:
        code = action() or 0
        sys.stdout.flush()  # raises BrokenPipeError here rather than at interpreter exit
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # end the line on which the terminal echoed ^C
        return _INTERRUPTED
    except asyncio.CancelledError:
        return _TERMINATED
    except BrokenPipeError:
        _discard_stdout()
        return _BROKEN_PIPE
    except ConfigurationError as error:
        return print_error(_usage_message(error), USAGE_ERROR)
    except BedrockStreamError as error:
        request = f" (request {error.request_id})" if error.request_id else ""
        return print_error(f"{error}{request}", FAILURE)
    except OSError as error:
        return print_error(str(error), FAILURE)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        kind = type(error).__name__
        message = f"unexpected {kind}: {error}; run `python -X dev -m bedrock_stream` for a traceback"
        return print_error(message, FAILURE)
    return code


def print_error(message: str, code: int) -> int:
    """Print a message as one line on stderr and return the exit code."""
    print(f"bedrock-stream: {one_line(message)}", file=sys.stderr)
    return code


def _usage_message(error: ConfigurationError) -> str:
    # Parts of an option, such as `stop_sequences[0]`, are of the option.
    name = _OPTIONS.get(error.argument.partition("[")[0], error.argument)
    message = f"{name}: {error.problem}" + (f"; {error.remedy}" if error.remedy else "")
    if isinstance(error, MissingCredentials):
        message += ", or use `bedrock-stream ask --emulator`" + (
            f"; searched: {error.searched}" if error.searched else ""
        )
    return message


def _discard_stdout() -> None:
    """Redirect stdout to the null device; otherwise the interpreter fails to flush it at exit and prints an error."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())
