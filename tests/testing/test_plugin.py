"""The pytest plugin in separate processes, with and without other plugins."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

from bedrock_stream.testing import plugin

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]
ASYNCIO = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function", "-o")
AUTO = (*ASYNCIO, "asyncio_mode=auto")
STRICT = (*ASYNCIO, "asyncio_mode=strict")
ANYIO = ("-p", "anyio.pytest_plugin")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test file in a separate pytest process, with this checkout's plugin and those named in `arguments`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(plugin.__file__).parents[2]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(dedent(code))
        return pytester.runpytest_subprocess("-p", "bedrock_stream.testing.plugin", "-W", "error", *arguments)

    return run


ASK = """
    import pytest
    from bedrock_stream import stream
    from bedrock_stream.testing import text

    {mark}
    async def test_ask(bedrock_emulator):
        bedrock_emulator.script(text("Hi"))
        async with stream("amazon.nova-lite-v1:0", "Hello") as answer:
            assert (await answer.response()).text == "Hi"
        await bedrock_emulator.wait_until_idle()
        assert bedrock_emulator.request_count == 1
"""
BACKEND = """
    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""


@pytest.mark.parametrize(
    ("mark", "arguments"),
    [
        ("", AUTO),
        ("@pytest.mark.asyncio", STRICT),
        ("@pytest.mark.anyio", ANYIO),
        ("@pytest.mark.anyio", (*ANYIO, *STRICT)),
    ],
)
def test_it_serves_async_tests_of_every_plugin(run: Run, mark: str, arguments: tuple[str, ...]) -> None:
    run(ASK.format(mark=mark) + (BACKEND if "anyio" in mark else ""), *arguments).assert_outcomes(passed=1)


def test_it_serves_a_blocking_client_in_a_trio_test(run: Run) -> None:
    if find_spec("trio") is None:
        pytest.skip("trio is not installed")
    code = """
        import boto3, pytest
        from contextlib import closing
        from anyio import to_thread

        @pytest.fixture
        def anyio_backend():
            return "trio"

        def ask():
            with closing(boto3.client("bedrock-runtime")) as client:
                client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "Hello"}]}])

        @pytest.mark.anyio
        async def test_ask(bedrock_emulator):
            await to_thread.run_sync(ask)
            assert len(await bedrock_emulator.wait_for_requests(1)) == 1
    """
    run(code, *ANYIO).assert_outcomes(passed=1)


def test_it_serves_boto3_in_a_sync_test_despite_other_settings_in_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_PROFILE": "mine",
        "AWS_SESSION_TOKEN": "mine",
        "AWS_BEARER_TOKEN_BEDROCK": "mine",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:9",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "example.com",
    }.items():
        monkeypatch.setenv(name, value)
    code = """
        import boto3, os
        from contextlib import closing

        def test_ask(bedrock_emulator):
            with closing(boto3.client("bedrock-runtime")) as client:
                answer = client.converse_stream(
                    modelId="m", messages=[{"role": "user", "content": [{"text": "Hello"}]}]
                )
                assert list(answer["stream"])
            bedrock_emulator.block_until_idle()
            assert bedrock_emulator.requests[0].auth == "sigv4"
            assert os.environ["NO_PROXY"] == "example.com,127.0.0.1"

        def test_the_environment_is_restored():
            assert os.environ["AWS_PROFILE"] == os.environ["AWS_BEARER_TOKEN_BEDROCK"] == "mine"
            assert os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] == "http://127.0.0.1:9"
            assert "AWS_REGION" not in os.environ
    """
    run(code).assert_outcomes(passed=2)


def test_the_marker_passes_arguments(run: Run) -> None:
    code = """
        import pytest
        from bedrock_stream.testing import http_error

        @pytest.mark.bedrock_emulator(region="eu-north-1", models={"m"}, script=lambda _: http_error(500, "X"))
        def test_region(bedrock_emulator):
            assert bedrock_emulator.environ["AWS_REGION"] == "eu-north-1"
    """
    run(code, "--strict-markers").assert_outcomes(passed=1)


def test_the_docstring_example_works(run: Run) -> None:
    """A backend whose reader disconnects, as in the fixture's docstring."""
    if find_spec("fastapi") is None:
        pytest.skip("fastapi is not installed")
    run(example("fastapi"), *AUTO).assert_outcomes(passed=1)


def test_the_docstring_example_works_with_starlette_only(run: Run) -> None:
    if find_spec("starlette") is None:
        pytest.skip("starlette is not installed")
    code = example("fastapi").replace("from fastapi import FastAPI", "from starlette.applications import Starlette")
    code = code.replace("fastapi.responses", "starlette.responses").replace("app = FastAPI()", "app = Starlette()")
    code = code.replace('@app.get("/chat")\n', "").replace("async def chat():", "async def chat(request):")
    code += '\n\napp.add_route("/chat", chat)\n'
    run(code, *AUTO).assert_outcomes(passed=1)


def test_the_docstring_example_detects_a_backend_that_keeps_streaming(run: Run) -> None:
    """The example's test must be able to fail: this backend keeps reading after its reader has disconnected."""
    if find_spec("starlette") is None:
        pytest.skip("starlette is not installed")
    code = """
        import asyncio
        import pytest
        from bedrock_stream import stream
        from bedrock_stream.testing import stall, text, visit

        reading = []

        async def app(scope, receive, send):
            async def read():
                async for piece in stream("amazon.nova-lite-v1:0", "Hello").text_stream:
                    await queue.put(piece)
            queue = asyncio.Queue()
            reading.append(asyncio.create_task(read()))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": (await queue.get()).encode(), "more_body": True})

        async def test_a_disconnect_closes_the_stream(bedrock_emulator):
            bedrock_emulator.script(text("Hello"), stall())
            await visit(app, "/chat", leave_after=1)
            with pytest.raises(TimeoutError):
                await bedrock_emulator.wait_until_idle(0.2)
            reading[0].cancel()
            await bedrock_emulator.wait_until_idle()
    """
    run(code, *AUTO).assert_outcomes(passed=1)


def example(word: str) -> str:
    """Return the code block in the fixture's docstring that contains `word`."""
    doc = inspect.getdoc(plugin.bedrock_emulator)
    assert doc is not None
    blocks = re.findall(r"(?:^    .*\n?|^\n)+", doc, re.MULTILINE)
    return dedent(next(block for block in blocks if word in block))


# ------------------------------------------------------------------------------------------------- loaded but not used


def test_loading_it_imports_nothing_else(run: Run) -> None:
    code = """
        import sys

        def test_imported_modules():
            ours = {name for name in sys.modules if name.startswith("bedrock_stream")}
            package = "bedrock_stream"
            assert ours == {package, f"{package}._version", f"{package}.testing", f"{package}.testing.plugin"}
            assert not {"aiohttp", "msgspec", "crcmod"} & set(sys.modules)
    """
    run(code).assert_outcomes(passed=1)


def test_without_the_extra_the_fixture_fails_and_names_the_extra(run: Run) -> None:
    code = """
        import sys

        sys.modules["crcmod"] = None

        def test_unused():
            pass

        def test_used(bedrock_emulator):
            pass
    """
    result = run(code)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(['*crcmod is not installed; pip install "bedrock-stream?testing?"*'])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_fixture_and_marker_are_documented(run: Run) -> None:
    result = run("", "--fixtures")
    result.stdout.fnmatch_lines(["bedrock_emulator*", "*a local Amazon Bedrock Runtime*"])
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.bedrock_emulator(?*arguments)*"])


def test_coverage_includes_module_level_code(run: Run) -> None:
    """The package's modules are imported after coverage has started, so their module-level lines count."""
    if find_spec("pytest_cov") is None:
        pytest.skip("pytest-cov is not installed")
    code = """
        def test_used(bedrock_emulator):
            assert bedrock_emulator.url
    """
    result = run(code, "--cov=bedrock_stream.testing.service.received", "--cov-report=term", "-p", "pytest_cov")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*received.py*100%*"])
