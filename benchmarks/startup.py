"""How long until a program that streams is there: its import, and its first event?

CPU milliseconds of a fresh interpreter. To import: the line alone that a program with this client begins with. To the
first text: everything since the process began, with a client made, a request signed and sent to a server that answers
at once; asyncio is part of it for all. aiohttp alone is the floor. The library's own import must not load aiohttp at
all, which this question looks at too. Everything is there as bytecode, as it is wherever a package was installed.

Tried and lost:
- A checkout as it is: where PYTHONDONTWRITEBYTECODE is set, each run compiled our modules again, at 90 ms a run.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
from pathlib import Path

from .contenders import load
from .measure import OURS, Lab, Row, Sample, Setting
from .orders import Order

__all__ = ("ask", "trial")

_ROOT = Path(__file__).parent.parent
_QUICK = (OURS, "aiohttp_alone", "aiobotocore")
_SLOW = ("boto3", "aws_sdk", "langchain_aws", "pydantic_ai", "litellm")
_GOALS = {"ms to import": {"aiohttp_alone": 2.0}, "ms to the first text": {"aiohttp_alone": 1 / 1.25}}

# The contenders' modules import next to nothing themselves.
_PROGRAM = """
import time
began = time.process_time()
{line}
imported = time.process_time() - began

import asyncio, types
from benchmarks.contenders.{name} import reading

async def run():
    async with reading(types.SimpleNamespace(url={url!r}, form={form!r}, cafile=None, keep=True, streams=1)) as read:
        texts = []
        await read({prompt!r}, lambda piece: texts.append(time.process_time()))
        print(imported, texts[0])

asyncio.run(run())
"""


def ask(lab: Lab) -> None:
    """Race them."""
    for package in (OURS, "benchmarks"):
        compileall.compile_dir(_ROOT / package, quiet=2)
    converse = Setting(case="converse", url=lab.servers.plain)
    lab.race("startup", _QUICK if lab.quick else (*_QUICK, *_SLOW), converse, goals=_GOALS)
    lab.race("startup", [OURS, "anthropic"], Setting(case="native", form="invoke", url=lab.servers.plain))
    loaded = _imports_aiohttp()
    lab.note(Row(question="startup", case="import loads aiohttp", contender=OURS, value=float(loaded)), most=0)


def trial(setting: Setting) -> Sample:
    """Start an interpreter."""
    contender = load(setting.contender)
    code = _PROGRAM.format(
        line=contender.IMPORT,
        name=setting.contender,
        url=setting.url,
        form=setting.form,
        prompt=Order(3).prompt(),
    )
    imported, text = map(float, _run(code).split())
    return Sample({"ms to import": imported * 1000, "ms to the first text": text * 1000})


def _imports_aiohttp() -> bool:
    return _run(f"import sys\n{load(OURS).IMPORT}\nprint('aiohttp' in sys.modules)") == "True"


def _run(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return ran.stdout.splitlines()[-1]
