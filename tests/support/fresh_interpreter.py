"""Programs in processes that have loaded nothing before, without starting an interpreter for each.

One interpreter is started, loads nothing, and forks a child for each program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ("Run", "fresh_interpreter")

Run = Callable[[str], str]
"""Runs a program with warnings as errors, and returns what it printed. Raises `AssertionError` if the program fails."""

# Uses only what every interpreter has loaded. Compiled modules are shared by the children, in a folder of their own.
_SERVER = """
import os, sys
folder = sys.argv.pop()
sys.dont_write_bytecode, sys.pycache_prefix = False, folder

def receive(size):
    data = b""
    while len(data) < size:
        data += os.read(0, size - len(data)) or os._exit(0)
    return data

while True:
    code = receive(int(receive(10)))
    child = os.fork()
    if child == 0:
        output = os.open(folder + "/output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        status = 1
        try:
            exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
            sys.stdout.flush()
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.write(1, b"%10d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@contextmanager
def fresh_interpreter(folder: Path) -> Iterator[Run]:
    """Yield what runs a program in a process that has loaded nothing; `folder` is empty."""
    command = [sys.executable, "-W", "error", "-c"]
    if not hasattr(os, "fork"):
        yield lambda code: _run_alone([*command, code])
        return
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, _SERVER, str(folder)], stdin=pipe, stdout=pipe, bufsize=0) as server:  # noqa: S603 - our own code

        def run(code: str) -> str:
            assert server.stdin is not None
            assert server.stdout is not None
            data = code.encode()
            server.stdin.write(b"%10d" % len(data) + data)
            status = int(server.stdout.read(10))
            output = (folder / "output").read_text()
            assert status == 0, f"exit status {status}\n{code}\n{output}"
            return output

        try:
            yield run
        finally:
            server.kill()


def _run_alone(command: list[str]) -> str:
    return subprocess.run(command, check=True, timeout=50, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - our own code
