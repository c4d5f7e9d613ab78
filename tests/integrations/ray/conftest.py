"""A Ray of two CPUs on this machine, and the service that its actors ask. Without Ray, these tests are skipped."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.counting_thread import CountingThread

SECRET = "ABSKmostsecret9876543210"


@pytest.fixture(scope="session")
def cluster() -> Iterator[tuple[Any, CountingThread]]:
    """Start both. Keys and endpoint come from the environment, as on every node; nothing leaves the machine."""
    ray = pytest.importorskip("ray")
    data = pytest.importorskip("ray.data")
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch, CountingThread() as service:
        for name in list(os.environ):
            if name.startswith("AWS_") or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", service.url)
        patch.setenv("AWS_BEARER_TOKEN_BEDROCK", SECRET)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        try:
            ray.init(
                num_cpus=2,
                include_dashboard=False,
                logging_level="ERROR",
                log_to_driver=False,
                object_store_memory=200 * 1024**2,
                _temp_dir=folder,
            )
            data.DataContext.get_current().enable_progress_bars = False
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            yield ray, service
        finally:
            ray.shutdown()
            _kill_all_of(folder)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ray(cluster: tuple[Any, CountingThread]) -> Any:
    return cluster[0]


@pytest.fixture
def service(cluster: tuple[Any, CountingThread]) -> CountingThread:
    """The service, with nothing counted and each row answered at once."""
    gc.collect()  # what refers to the actors of a job that failed, which keep their CPUs as long
    cluster[1].begin()
    return cluster[1]


def _kill_all_of(folder: str) -> None:
    """Kill what a Ray with this folder has left: all of its processes name the folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                if folder.encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue  # it has ended, or is another user's
