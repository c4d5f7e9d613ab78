"""Let a model work with the files of a folder. It asks before it changes anything."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from bedrock_stream import Client, ToolCall

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
HARMLESS = {"list_files", "read_file"}


class Folder:
    """The tools. No path leads out of the folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def _path(self, name: str) -> Path:
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root):
            raise ValueError(f"{name} is outside of the folder")  # the model reads this
        return path

    def list_files(self) -> list[str]:
        """List the names of all files."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def read_file(self, name: str) -> str:
        """Read a text file."""
        return self._path(name).read_text(encoding="utf-8")

    def delete_file(self, name: str) -> str:
        """Delete a file."""
        self._path(name).unlink()
        return f"{name} is deleted."


def approve(call: ToolCall) -> bool | str:
    """Return True, or what the model reads in place of a result."""
    if call.name in HARMLESS:
        return True
    return input(f"\n{call.name}({call.input})? [y/N] ") == "y" or "The user does not allow this."


async def main(root: Path, task: str) -> None:
    folder = Folder(root)
    tools: list[Callable[..., object]] = [folder.list_files, folder.read_file, folder.delete_file]
    async with Client() as client, client.run_tools(MODEL, task, tools=tools, before_call=approve) as run:
        async for text in run.text_stream:
            print(text, end="", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), " ".join(sys.argv[2:])))
