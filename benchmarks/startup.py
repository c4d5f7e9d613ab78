"""CPU time of a new process until the client is imported, and until its first text.

CPU milliseconds of a new interpreter. To import: the import statement of the client alone. To the first text:
everything since the start of the process, with creating a client, and signing and sending a request to a server that
responds at once; asyncio is included for all. aiohttp alone is the lower bound. The import of this library must not
load aiohttp, which is checked here too. All modules are compiled to bytecode first, as in an installed package.

Tried without success:
- Running from a checkout without compiling: with PYTHONDONTWRITEBYTECODE each run compiled our modules again, 90 ms.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
from pathlib import Path

import msgspec

from .contenders import load
from .measure import OURS, Lab, Row, Sample, Setting
from .orders import Order

__all__ = ("ask", "trial")

_ROOT = Path(__file__).parent.parent
_QUICK = (OURS, "aiohttp_alone", "aiobotocore")
_SLOW = ("boto3", "aws_sdk", "langchain_aws", "pydantic_ai", "litellm")
_GOALS = {"ms to import": {"aiohttp_alone": 2.0}, "ms to the first text": {"aiohttp_alone": 1 / 1.25}}

# The modules of the contenders import almost nothing at module level.
_PROGRAM = """
import time
start = time.process_time()
{line}
imported = time.process_time() - start

import asyncio, types
from benchmarks.contenders.{name} import reading

target = types.SimpleNamespace(url={url!r}, form={form!r}, cafile=None, keep=True, streams=1)
pieces, times = [], []

async def run():
    async with reading(target) as read:
        await read({prompt!r}, lambda piece: (times.append(time.process_time()), pieces.append(piece)))

asyncio.run(run())

import msgspec
from benchmarks.reading import sampled

figures = {{"ms to import": imported * 1000, "ms to the first text": times[0] * 1000}}
print(msgspec.json.encode(sampled(target, [pieces], figures)).decode())
"""


def ask(lab: Lab) -> None:
    """Run the contenders."""
    for package in (OURS, "benchmarks"):
        compileall.compile_dir(_ROOT / package, quiet=2)
    converse = Setting(case="converse", url=lab.servers.plain)
    lab.race("startup", _QUICK if lab.quick else (*_QUICK, *_SLOW), converse, goals=_GOALS)
    lab.race("startup", [OURS, "anthropic"], Setting(case="native", form="invoke", url=lab.servers.plain))
    loaded = _imports_aiohttp()
    lab.add(Row(question="startup", case="import loads aiohttp", contender=OURS, value=float(loaded)), most=0)


def trial(setting: Setting) -> Sample:
    """Measure one new interpreter."""
    contender = load(setting.contender)
    code = _PROGRAM.format(
        line=contender.IMPORT,
        name=setting.contender,
        url=setting.url,
        form=setting.form,
        prompt=Order(3).prompt(),
    )
    return msgspec.json.decode(_run(code), type=Sample)


def _imports_aiohttp() -> bool:
    return _run(f"import sys\n{load(OURS).IMPORT}\nprint('aiohttp' in sys.modules)") == "True"


def _run(code: str) -> str:
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return process.stdout.splitlines()[-1]
