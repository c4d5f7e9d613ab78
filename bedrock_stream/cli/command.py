"""The command line as the user of this machine has to type it."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ("command_name", "play_command")

_NAME = "bedrock-stream"


def command_name() -> str:
    """Return the command as it was typed: a script that is not on the PATH with its folder."""
    typed = Path(sys.argv[0])
    if typed.name == "__main__.py" and "bedrock_stream" in typed.parts:
        return f"{_shown(Path(sys.executable))} -m bedrock_stream"
    found = shutil.which(_NAME)
    if typed.name != _NAME or (found is not None and Path(found).resolve() == typed.resolve()):
        return _NAME
    return _shown(typed)


def play_command() -> str:
    """Return what starts the playground here, with the installation of what it needs if that is missing."""
    play = f"{command_name()} play"
    if all(find_spec(name) is not None for name in ("starlette", "uvicorn")):
        return play
    return f'{_shown(Path(sys.executable))} -m pip install -q "bedrock-stream[play]" && {play}'


def _shown(path: Path) -> str:
    """Return a path as short as it works from this folder."""
    whole = Path(os.path.abspath(path))
    below = whole.is_relative_to(Path.cwd())
    short = str(whole.relative_to(Path.cwd())) if below else str(whole)
    if below and os.sep not in short:
        short = os.path.join(os.curdir, short)
    return f'"{short}"' if " " in short else short
