"""How every test of a refused argument looks at the error: the place, the value, the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bedrock_stream.errors import ConfigurationError


@contextmanager
def refused(argument: str, value: str, remedy: str = "") -> Iterator[pytest.ExceptionInfo[ConfigurationError]]:
    """The block is refused: the error names the argument or its place, what is wrong with it, and what to do."""
    with pytest.raises(ConfigurationError) as caught:
        yield caught
    error = caught.value
    assert error.argument == argument
    assert value in error.problem
    assert bool(remedy) == bool(error.remedy)  # a problem of the form "expected X, got Y" may need no remedy
    assert remedy in error.remedy
    assert str(error) == f"{error.argument}: {error.problem}" + (f"; {error.remedy}" if error.remedy else "")
