"""The house itself: floors look down only, doors are what they promise, and the shop window costs nothing."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import bedrock_stream

ROOT = Path(bedrock_stream.__file__).parent

# A module imports only from floors below its own. The shop window and what OUTSIDE names stand outside:
# nothing in the house imports them.
FLOORS: dict[str, int] = {
    "_version": 0,
    "errors": 0,
    "hosts": 0,
    "masked": 0,
    "eventstream": 1,
    "auth.sigv4": 1,
    "auth.skew": 1,
    "auth.credentials": 1,
    "auth.sts.xml_answer": 1,
    "body": 1,
    "clocks": 1,
    "events": 1,
    "models": 1,
    "profiles": 1,
    "endpoints": 1,
    "attachments": 1,
    "tools": 1,
    "explanation": 1,
    "retry": 1,
    "statistics": 1,
    "targets": 1,
    "messages": 2,
    "proxies": 2,
    "pricing": 2,
    "tool_input": 2,
    "auth.sources": 2,
    "auth.keys": 2,
    "assembly": 3,
    "options": 3,
    "auth.place": 3,
    "families": 4,
    "observing": 4,
    "caching": 4,
    "conversation": 4,
    "output": 4,
    "dialects": 4,
    "dialects.members": 5,
    "dialects.payloads": 5,
    "dialects.texts": 5,
    "dialects.native": 5,
    "dialects.chunks": 6,
    "dialects.converse": 7,
    "dialects.anthropic": 7,
    "dialects.openai": 7,
    "dialects.llama": 7,
    "dialects.raw": 7,
    "request": 7,
    "routing": 8,
    "plan": 9,
    "slots": 9,
    "certificates": 9,
    "auth.calling": 9,
    "auth.hush": 9,
    "auth.refresh": 9,
    "logs": 9,
    "transport": 10,
    "auth.sts": 10,
    "auth.instance": 10,
    "auth.botocore": 10,
    "loops": 11,
    "auth.chain": 11,
    "auth.places": 12,
    "auth.identities": 13,
    "signing": 14,
    "attempt": 15,
    "attempts": 16,
    "calls": 17,
    "approach": 17,
    "whole": 17,
    "live": 18,
    "streaming": 19,
    "toolloop": 20,
    "client": 21,
    "shared": 22,
}
OUTSIDE = ("testing", "cli", "integrations", "gateway", "playground")
PURE = [name for name, floor in FLOORS.items() if floor < FLOORS["plan"]] + ["plan"]
FOREIGN_TO_PURE = {"aiohttp", "anyio", "asyncio", "socket", "ssl", "threading", "time", "os", "botocore", "crcmod"}


def modules() -> dict[str, Path]:
    """Every module of the house by its name below `bedrock_stream`."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


def floor_of(name: str) -> int | None:
    """The floor of a module: its own, or that of the room around it."""
    while name:
        if name in FLOORS:
            return FLOORS[name]
        name = name.rpartition(".")[0]
    return None


def room_of(name: str) -> str:
    while name not in FLOORS and "." in name:
        name = name.rpartition(".")[0]
    return name


def imports(name: str, path: Path) -> set[str]:
    """Absolute names of what a module imports, function bodies included."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [part for part in package if part]
            base = base[: len(base) - (node.level - 1)] if node.level else []
            prefix = ".".join(["bedrock_stream", *base] if node.level else [])
            target = ".".join(part for part in (prefix, node.module or "") if part)
            found |= {target} if node.module else {f"{target}.{alias.name}" for alias in node.names}
    return found


HOUSE = {name: path for name, path in modules().items() if name and not name.startswith(OUTSIDE) and name != "auth"}


@pytest.mark.parametrize("name", sorted(HOUSE))
def test_a_module_imports_only_from_floors_below(name: str) -> None:
    floor = floor_of(name)
    assert floor is not None, f"{name} stands on no floor: give it one"
    for target in imports(name, HOUSE[name]):
        if target.startswith("bedrock_stream"):
            inside = target.removeprefix("bedrock_stream").lstrip(".")
            below = floor_of(inside)
            assert below is not None, f"{name} imports {target}, which stands outside the house"
            assert below < floor or room_of(inside) == room_of(name), f"{name} looks up to {target}"


@pytest.mark.parametrize("name", sorted(name for name in HOUSE if room_of(name) in PURE))
def test_pure_rooms_know_no_network_no_clock_and_no_loop(name: str) -> None:
    roots = {target.partition(".")[0] for target in imports(name, HOUSE[name])}
    assert not roots & FOREIGN_TO_PURE


def test_aiohttp_is_known_in_one_file() -> None:
    knowing = [name for name, path in HOUSE.items() if any(t.startswith("aiohttp") for t in imports(name, path))]
    assert knowing == ["transport"]


def test_every_floor_has_its_module() -> None:
    assert set(FLOORS) <= set(modules())


def test_the_doors_open() -> None:
    for info in pkgutil.walk_packages(bedrock_stream.__path__, "bedrock_stream."):
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{info.name}.{name}"


def test_the_shop_window_shows_what_type_checkers_see() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(bedrock_stream.__all__) - {"__version__"}
    assert set(bedrock_stream.__all__) <= set(dir(bedrock_stream))
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = bedrock_stream.nothing_of_the_kind


@pytest.mark.parametrize("name", ["", *sorted(HOUSE)])
def test_each_module_can_be_imported_first(name: str) -> None:
    target = f"bedrock_stream.{name}".rstrip(".")
    run_alone(f"import {target}")


HEAVY = {"aiohttp", "anyio", "asyncio", "ssl", "botocore", "crcmod", "typer", "rich"}
CLIENT = "Client(region='us-east-1', api_key='a key', endpoint_url='http://127.0.0.1:9')"


@pytest.mark.parametrize(
    ("names", "most"),
    [
        ("__version__", 2),
        ("stream, TextDelta", 4),  # the shop window, the version, and a module for each
        ("stream, generate, TextDelta, Usage", 4),
    ],
)
def test_the_shop_window_loads_nothing_heavy(names: str, most: int) -> None:
    loaded = loaded_by(f"from bedrock_stream import {names}")
    assert not HEAVY & loaded
    assert len(own(loaded)) <= most, sorted(own(loaded))


@pytest.mark.parametrize("name", sorted(bedrock_stream.__all__))
def test_no_name_loads_aiohttp_before_a_client_is_made(name: str) -> None:
    assert "aiohttp" not in loaded_by(f"from bedrock_stream import {name}")


def test_a_client_loads_what_a_usual_call_needs_and_no_more() -> None:
    loaded = loaded_by(f"from bedrock_stream import Client; {CLIENT}")
    assert {"aiohttp", "bedrock_stream.dialects.converse", "bedrock_stream.transport"} <= loaded
    rare = {"auth.chain", "auth.sts", "auth.instance", "auth.botocore", "toolloop"}
    rare |= {"dialects.anthropic", "dialects.openai", "dialects.llama"}
    assert not {f"bedrock_stream.{name}" for name in rare} & loaded
    assert len(own(loaded)) <= 70, sorted(own(loaded))


@pytest.mark.parametrize(
    ("model", "late"), [("amazon.nova-lite-v1:0", 0), ("anthropic.claude-sonnet-4-5-20250929-v1:0", 5)]
)
def test_a_first_call_imports_next_to_nothing(model: str, late: int) -> None:
    made = f"""
import asyncio, contextlib
from bedrock_stream import Client, RetryPolicy, errors
client = {CLIENT}
"""
    called = f"""
with contextlib.suppress(errors.ConnectionFailed):  # nobody listens there
    asyncio.run(client.generate({model!r}, "Hello", retry=RetryPolicy(max_attempts=1)))
"""
    new = loaded_by(made + called) - loaded_by(made)
    assert new == own(new)  # no other package, so neither of anyio's back ends
    assert len(new) <= late, sorted(new)


@pytest.mark.parametrize(
    "source", ["credentials=lambda: Credentials('AKIA', 's')", "api_key=lambda: 'a key'", "profile='p'"]
)
def test_a_first_question_to_a_source_of_keys_imports_nothing_either(source: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile p]\naws_access_key_id = AKIA\naws_secret_access_key = s\n")
    made = f"""
import asyncio, contextlib, os
from bedrock_stream import Client, Credentials, RetryPolicy, errors
os.environ["AWS_CONFIG_FILE"] = {str(tmp_path / "config")!r}
client = {CLIENT.replace("api_key='a key'", source)}
"""
    called = """
with contextlib.suppress(errors.ConnectionFailed):  # nobody listens there
    asyncio.run(client.generate("amazon.nova-lite-v1:0", "Hello", retry=RetryPolicy(max_attempts=1)))
"""
    assert own(loaded_by(made + called)) == own(loaded_by(made))
    assert not {"anyio", "aiohttp"} & {name.partition(".")[0] for name in loaded_by(made + called) - loaded_by(made)}


def loaded_by(code: str) -> set[str]:
    """Names of all modules that an interpreter of its own has loaded after this code."""
    return set(run_alone(f"{code}\nimport sys; print(*sys.modules)").splitlines()[-1].split())


def own(loaded: set[str]) -> set[str]:
    return {name for name in loaded if name.startswith("bedrock_stream")}


def run_alone(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, check=True, timeout=50, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - ours
