"""How long until a program that streams is there: its import, and its first event?

CPU milliseconds of a fresh interpreter. `import` is the line that a program with this client begins with, less an
interpreter that imports nothing. `first text` goes on: a client is made, a request signed and sent to a server that
answers at once, until the first text is here; asyncio is part of it for all. aiohttp alone is the floor. The library's
own import must not load aiohttp at all, which this question checks too.

Tried and lost:
- Nothing yet.
"""

from __future__ import annotations

import subprocess
import sys

from .contenders import load
from .measure import OURS, Lab, Row, Sample, Setting
from .orders import Order

__all__ = ("ask", "trial")

_QUICK = (OURS, "aiohttp_alone", "aiobotocore")
_SLOW = ("boto3", "aws_sdk", "langchain_aws", "pydantic_ai", "litellm")
_GOALS = {"ms import": {"aiohttp_alone": 2.0}, "ms to the first text": {"aiohttp_alone": 1 / 1.25}}

_IMPORT = """
import time
began = time.process_time()
{line}
print(time.process_time() - began)
"""

# The contenders' modules import next to nothing themselves.
_FIRST_TEXT = """
import asyncio, time, types
from benchmarks.contenders.{name} import reading

async def run():
    async with reading(types.SimpleNamespace(url={url!r}, form={form!r}, cafile=None, keep=True, streams=1)) as read:
        at = []
        await read({prompt!r}, lambda piece: at.append(time.process_time()))
        print(at[0])

asyncio.run(run())
"""


def ask(lab: Lab) -> None:
    """Race them, once for each figure, since each has goals of its own."""
    contenders = _QUICK if lab.quick else (*_QUICK, *_SLOW)
    for unit, goals in _GOALS.items():
        lab.race("startup", contenders, Setting(case=unit, url=lab.servers.plain), goals=goals)
    if not lab.quick:
        native = Setting(case="ms to the first text, native", form="invoke", url=lab.servers.plain)
        lab.race("startup", [OURS, "anthropic"], native)
    loaded = _imports_aiohttp()
    lab.note(Row(question="startup", case="import loads aiohttp", contender=OURS, value=loaded), most=0)


def trial(setting: Setting) -> Sample:
    """Start an interpreter."""
    contender = load(setting.contender)
    if setting.case == "ms import":
        code = _IMPORT.format(line=contender.IMPORT)
    else:
        prompt = Order(3).prompt()
        code = _FIRST_TEXT.format(name=setting.contender, url=setting.url, form=setting.form, prompt=prompt)
    return Sample({"ms": float(_run(code)) * 1000})


def _imports_aiohttp() -> bool:
    return _run(f"import sys\n{load(OURS).IMPORT}\nprint('aiohttp' in sys.modules)") == "True"


def _run(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return ran.stdout.splitlines()[-1]
