"""Arguments of `Asker` and `ask` that cannot be used, and credentials, which never reach an actor. Needs no Ray."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import pytest

from bedrock_stream import Client, Quota, Target
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.integrations.ray import RayQuota, ask
from bedrock_stream.integrations.ray.job import Job, read_folder, refuse_credentials
from tests.integrations.ray.conftest import SECRET
from tests.support.counting_server import MODEL


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected either prompt or body, got neither"),
        ({"prompt": "p", "body": "b"}, "got both"),
        ({"prompt": 5}, "prompt: expected a column or a function"),
        ({"body": ""}, "body: expected a column or a function"),
        ({"prompt": "p", "key": 1}, "key: expected the name of a column"),
        ({"prompt": "p", "concurrency": 0}, "concurrency: expected a positive int"),
        ({"prompt": "p", "patience": 0}, "patience: expected a positive number"),
        ({"prompt": "p", "response": "xml"}, 'response: expected "json"'),
        ({"prompt": "p", "client": "c"}, "client: expected a function that returns a Client, got str"),
        ({"prompt": "p", "client": Client(api_key="key")}, "client: expected a function that returns a Client"),
        ({"prompt": "p", "journal": ""}, "expected a path"),
        ({"prompt": "p", "quota": 5}, "quota: expected a Quota"),
        ({"prompt": "p", "quota": Quota(rpm=5)}, "quota: a Quota cannot be sent to the actors"),
        ({"prompt": "p", "options": {"max_token": 5}}, "did you mean max_tokens"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Job(model=MODEL, **{"options": {}, **arguments})


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"api_key": SECRET}, "api_key"),
        ({"provider_options": {"secret_access_key": SECRET}}, "secret_access_key"),
        ({"failover": [Target(region="us-west-2", api_key=SECRET)]}, "failover"),
        ({"failover": [Target(options={"session_token": SECRET})]}, "failover"),
    ],
)
def test_credentials_are_refused_and_not_shown(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: would send credentials") as caught:
        ask(None, model=MODEL, prompt="question", **options)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if "bedrock_stream" in frame.filename]
    assert frames
    assert not any(SECRET in value for frame in frames for value in (frame.locals or {}).values())


def test_other_options_are_not_refused() -> None:
    refuse_credentials({"max_tokens": 5, "failover": [Target(region="us-west-2")], "provider_options": None})


def test_a_folder_is_the_same_in_every_process() -> None:
    assert str(read_folder("run").path).startswith("/") or sys.platform == "win32"
    assert read_folder("s3://bucket/run").path == "s3://bucket/run"


def test_a_missing_ray_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    for use in (lambda: ask(None, model=MODEL), lambda: RayQuota("name", rpm=5)):
        with pytest.raises(ConfigurationError, match=r'pip install "bedrock-stream\[ray\]"'):
            use()
