"""The `bedrock-stream` command. Install it with `bedrock-stream[cli]`, or with `bedrock-stream[demo]` for the emulator.

The commands are thin wrappers around the library's public classes. Their exit codes are in `exit_codes.MEANINGS`.
"""

from __future__ import annotations

import importlib
import sys

__all__ = ("main",)


def main() -> int:
    """Run the command line in `sys.argv` and return its exit code."""
    try:
        for package in ("typer", "rich"):
            importlib.import_module(package)
        from .app import invoke

        return invoke(sys.argv[1:])
    except ImportError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(
            f'bedrock-stream: {error.name} is not installed; pip install "bedrock-stream[cli]", '
            'or "bedrock-stream[demo]" to include the emulator',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:  # Ctrl-C during the imports, before `run_command` can handle it
        return 130
