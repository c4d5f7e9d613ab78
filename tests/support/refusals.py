"""Check of a rejected argument: the error names the argument, the problem and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bedrock_stream.errors import ConfigurationError


@contextmanager
def refused(argument: str, problem: str, remedy: str = "") -> Iterator[pytest.ExceptionInfo[ConfigurationError]]:
    """Check that the block raises a `ConfigurationError` for this argument or path, with these parts of its text.

    Without `remedy` the error must not have one: its problem then says what is expected.
    """
    with pytest.raises(ConfigurationError) as caught:
        yield caught
    error = caught.value
    assert error.argument == argument
    assert problem in error.problem
    assert bool(remedy) == bool(error.remedy)  # a problem of the form "expected X, got Y" may need no remedy
    assert remedy in error.remedy
    assert str(error) == f"{error.argument}: {error.problem}" + (f"; {error.remedy}" if error.remedy else "")
