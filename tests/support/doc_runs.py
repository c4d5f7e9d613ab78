"""Run programs of the documentation in processes of their own, which find the emulator where readers find AWS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bedrock_stream.testing import API_KEY, REGION
from tests.support.doc_pages import ROOT

__all__ = ("environment", "run_python", "run_tests")

# As a reader's own project has them with `asyncio_mode = "auto"`, whether this package is installed or not.
_PYTEST = ["-m", "pytest", "-q", "-p", "pytest_asyncio.plugin", "-p", "bedrock_stream.testing.plugin"]
_PYTEST += ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]


def environment(url: str) -> dict[str, str]:
    """Return the environment of a program; `url` is the emulator's."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
    return environ | {
        "AWS_BEARER_TOKEN_BEDROCK": API_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_ENDPOINT_URL_BEDROCK_MANTLE": url,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_REGION": REGION,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONPATH": str(ROOT),
    }


def run_python(arguments: list[str], folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, in development mode and with warnings as errors."""
    command = [sys.executable, "-X", "dev", "-W", "error", *arguments]
    return subprocess.run(  # noqa: S603 - our own programs
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=55
    )


def run_tests(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests of a program with pytest."""
    (folder / "test_page.py").write_text(code, encoding="utf-8")
    environ = {**environment("http://127.0.0.1:9"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return run_python([*_PYTEST, "test_page.py"], folder, environ)
