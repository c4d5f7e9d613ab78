"""Layering, `__all__`, and the cost of an import."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import bedrock_stream
from tests.support.exhaustive import exhaustive
from tests.support.fresh_interpreter import Run, fresh_interpreter

ROOT = Path(bedrock_stream.__file__).parent

# A module imports only from its own layer and from layers before it.
LAYERS = (
    "_version",
    "errors",
    "eventstream",
    "sse",
    "types",
    "observing",
    "dialects",
    "request",
    "auth",
    "transport",
    "client",
    "batch",
    "testing",
    "integrations",
    "gateway",
    "cli",
    "__main__",
)
CORE = LAYERS[: LAYERS.index("batch") + 1]
# Imports in a function body that may leave this order or close a circle, so that a program pays for them on first use.
EXCEPTIONS = {("client.client", "client.tool_loop"), ("client.late_calls", "batch.batch")}
# Imports for type checkers alone, which no program runs: an error names the type of the response that it carries.
FOR_CHECKERS = {("errors", "types.events"), ("errors.base", "types.response")}
PURE = (
    "errors",
    "eventstream",
    "sse",
    "types",
    "dialects",
    "request",
    "auth.sigv4",
    "auth.skew",
    "auth.credentials",
    "transport.bucket",
)
FOREIGN_TO_PURE = {"aiohttp", "anyio", "asyncio", "socket", "ssl", "threading", "time", "os", "botocore", "crcmod"}


def modules() -> dict[str, Path]:
    """Return every module of the package, by its name below `bedrock_stream`."""
    by_name = {}
    for path in ROOT.rglob("*.py"):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        by_name[".".join(parts)] = path
    return by_name


def layer_of(name: str) -> str:
    return name.partition(".")[0]


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


@cache
def imports(name: str, tree: ast.AST | None = None) -> frozenset[str]:
    """Return the absolute names of what a module imports, or a part of it; function bodies included."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    names: set[str] = set()
    for node in ast.walk(tree or tree_of(name)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [part for part in package if part]
            base = base[: len(base) - (node.level - 1)] if node.level else []
            prefix = ".".join(["bedrock_stream", *base] if node.level else [])
            target = ".".join(part for part in (prefix, node.module or "") if part)
            names |= {f"{target}.{alias.name}" for alias in node.names} | ({target} if node.module else set())
    return frozenset(names)


MODULES = {name: path for name, path in modules().items() if name}
IN_CORE = sorted(name for name in MODULES if layer_of(name) in CORE)


def own_imports(name: str, tree: ast.AST | None = None) -> set[str]:
    """Return the modules of the package that a module imports, by their names below `bedrock_stream`."""
    imported = imports(name, tree)
    return {target.removeprefix("bedrock_stream.") for target in imported} & set(MODULES) - {name}


def test_the_first_level_holds_the_layers_and_nothing_else() -> None:
    shown = {path.stem for path in ROOT.iterdir() if not path.name.startswith("__")}
    assert shown - {"py"} == set(LAYERS) - {"__main__"}  # `py.typed` is the marker for type checkers


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_from_its_layer_and_those_before_it(name: str) -> None:
    for target in own_imports(name):
        if (name, target) not in EXCEPTIONS | FOR_CHECKERS:
            assert LAYERS.index(layer_of(target)) <= LAYERS.index(layer_of(name)), f"{name} imports {target}"


def test_no_module_is_part_of_an_import_circle() -> None:
    outside = EXCEPTIONS | FOR_CHECKERS
    graph = {name: {target for target in own_imports(name) if (name, target) not in outside} for name in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize(("name", "target"), sorted(EXCEPTIONS))
def test_an_exception_is_an_import_inside_a_function(name: str, target: str) -> None:
    tree = tree_of(name)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert any(target in own_imports(name, function) for function in functions)
    top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert target not in own_imports(name, top)


@pytest.mark.parametrize(("name", "target"), sorted(FOR_CHECKERS))
def test_an_import_for_checkers_is_not_run(name: str, target: str) -> None:
    tree = ast.parse(MODULES[name].read_text())
    for_checkers = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    assert target in own_imports(name, ast.Module([*for_checkers], []))
    assert target not in own_imports(name, ast.Module([node for node in tree.body if node not in for_checkers], []))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if layer_of(name) == "dialects"))
def test_a_dialect_imports_nothing_of_request(name: str) -> None:
    assert not {target for target in own_imports(name) if layer_of(target) == "request"}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith(PURE)))
def test_a_pure_module_imports_no_network_clock_or_event_loop(name: str) -> None:
    roots = {target.partition(".")[0] for target in imports(name)}
    assert not roots & FOREIGN_TO_PURE


def test_aiohttp_is_imported_in_one_folder_of_the_client() -> None:
    importing = {
        name
        for name in MODULES
        if layer_of(name) in CORE and any(target.startswith("aiohttp") for target in imports(name))
    }
    assert {layer_of(name) for name in importing} == {"transport"}


def test_every_name_in_all_exists() -> None:
    for info in pkgutil.walk_packages(bedrock_stream.__path__, "bedrock_stream."):
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{info.name}.{name}"


def test_the_package_exports_the_names_that_type_checkers_see() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(bedrock_stream.__all__) - {"__version__"}
    assert set(bedrock_stream.__all__) <= set(dir(bedrock_stream))
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = bedrock_stream.nothing_of_the_kind  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run a program in a process that has loaded nothing."""
    with fresh_interpreter(tmp_path_factory.mktemp("fresh")) as run:
        yield run


@pytest.mark.parametrize("name", ["", *IN_CORE[:: exhaustive(whole=1, part=5)]])
def test_each_module_can_be_imported_first(fresh: Run, name: str) -> None:
    target = f"bedrock_stream.{name}".rstrip(".")
    fresh(f"import {target}")


HEAVY = {"aiohttp", "anyio", "asyncio", "ssl", "botocore", "crcmod", "typer", "rich"}
CLIENT = "Client(region='us-east-1', api_key='a key', endpoint_url='http://127.0.0.1:9')"


@pytest.mark.parametrize(
    ("names", "most"),
    [
        ("__version__", 2),
        ("stream, TextDelta", 6),  # the package, its version, and for each name its subpackage and module
        ("stream, generate, TextDelta, Usage", 6),
    ],
)
def test_the_package_imports_nothing_heavy(fresh: Run, names: str, most: int) -> None:
    loaded = loaded_by(fresh, f"from bedrock_stream import {names}")
    assert not HEAVY & loaded
    assert len(own(loaded)) <= most, sorted(own(loaded))


def test_no_name_loads_aiohttp_before_a_client_is_made(fresh: Run) -> None:
    code = """
import sys, bedrock_stream
for name in bedrock_stream.__all__:
    getattr(bedrock_stream, name)
    assert "aiohttp" not in sys.modules, name
"""
    assert "bedrock_stream.client.client" in loaded_by(fresh, code)


def test_a_client_loads_what_a_usual_call_needs_and_no_more(fresh: Run) -> None:
    loaded = loaded_by(fresh, f"from bedrock_stream import Client; {CLIENT}")
    assert {"aiohttp", "bedrock_stream.dialects.converse", "bedrock_stream.transport.transport"} <= loaded
    rare = {"auth.chain", "auth.sts", "auth.instance", "auth.botocore", "client.tool_loop"}
    rare |= {"dialects.anthropic", "dialects.openai", "dialects.llama"}
    assert not {f"bedrock_stream.{name}" for name in rare} & loaded
    assert len(own(loaded)) <= 112, sorted(own(loaded))  # nine of them are the folders themselves


@pytest.mark.parametrize(
    ("model", "late"), [("amazon.nova-lite-v1:0", 0), ("anthropic.claude-sonnet-4-5-20250929-v1:0", 5)]
)
def test_a_first_call_imports_almost_nothing(fresh: Run, model: str, late: int) -> None:
    made = f"""
import asyncio, contextlib
from bedrock_stream import Client, RetryPolicy, errors
client = {CLIENT}
"""
    called = f"""
with contextlib.suppress(errors.ConnectionFailed):  # nothing listens there
    asyncio.run(client.generate({model!r}, "Hello", retry=RetryPolicy(max_attempts=1)))
"""
    new = loaded_by(fresh, made + called) - loaded_by(fresh, made)
    assert new == own(new)  # only this package, so not anyio's backends either
    assert len(new) <= late, sorted(new)


@pytest.mark.parametrize(
    "source", ["credentials=lambda: Credentials('AKIA', 's')", "api_key=lambda: 'a key'", "profile='p'"]
)
def test_a_first_call_of_a_credential_source_imports_nothing(fresh: Run, source: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile p]\naws_access_key_id = AKIA\naws_secret_access_key = s\n")
    made = f"""
import asyncio, contextlib, os
from bedrock_stream import Client, Credentials, RetryPolicy, errors
os.environ["AWS_CONFIG_FILE"] = {str(tmp_path / "config")!r}
client = {CLIENT.replace("api_key='a key'", source)}
"""
    called = """
with contextlib.suppress(errors.ConnectionFailed):  # nothing listens there
    asyncio.run(client.generate("amazon.nova-lite-v1:0", "Hello", retry=RetryPolicy(max_attempts=1)))
"""
    before, after = loaded_by(fresh, made), loaded_by(fresh, made + called)
    assert own(after) == own(before)
    assert not {"anyio", "aiohttp"} & {name.partition(".")[0] for name in after - before}


def loaded_by(fresh: Run, code: str) -> set[str]:
    """Return the names of all modules that a new interpreter has loaded after this code."""
    return set(fresh(f"{code}\nimport sys; print(*sys.modules)").splitlines()[-1].split())


def own(loaded: set[str]) -> set[str]:
    return {name for name in loaded if name.startswith("bedrock_stream")}
