"""The `bedrock-stream` command. Needs `pip install "bedrock-stream[cli]"`, with `[demo]` the emulator's commands too.

A thin user of the library's public names: what a command does, any program can. Exit codes: 0 done; 1 the service, the
network or a stream failed; 2 the command was called wrongly; 130 Ctrl-C; 141 nobody reads the output; 143 SIGTERM.
"""

from __future__ import annotations

import importlib
import sys

__all__ = ("main",)


def main() -> int:
    """Run the command that `sys.argv` asks for and return its exit code."""
    try:
        for needed in ("typer", "rich"):
            importlib.import_module(needed)
        from .app import invoke

        return invoke(sys.argv[1:])
    except ImportError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(
            f'bedrock-stream: {error.name} is not installed; pip install "bedrock-stream[cli]", '
            'or "bedrock-stream[demo]" for the emulator too',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:  # before any command had begun
        return 130
