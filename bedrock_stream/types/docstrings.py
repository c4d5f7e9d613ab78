"""Descriptions of parameters in docstrings: Google's, NumPy's and Sphinx's styles, read by docstring-parser.

A docstring without such descriptions needs no parser, and none is imported for it. Descriptions that cannot be read,
for lack of the parser or by its judgment, are reported by a warning and never silently left out.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, NamedTuple

__all__ = ("DocstringWarning", "ReadDocstring", "read_docstring")

# The sections that describe parameters, or the attributes of a class. Others may be anything that the parser refuses.
_PARAMETERS = ("Args", "Arguments", "Parameters", "Params", "Keyword Args", "Keyword Arguments", "Other Parameters")
_SECTIONS = (*_PARAMETERS, "Attributes")
_SPHINX = re.compile(r"^[ \t]*:(param|parameter|arg|argument|key|keyword|attribute)\s+[^:\n]+:", re.MULTILINE)
_NUMPY = re.compile(rf"^[ \t]*({'|'.join(_SECTIONS)})[ \t]*\n[ \t]*-{{3,}}[ \t]*$", re.MULTILINE)
_GOOGLE = re.compile(rf"^[ \t]*({'|'.join(_SECTIONS)}):[ \t]*$", re.MULTILINE)

_MISSING = 'which are not read without docstring-parser; pip install "bedrock-stream[docstrings]"'
_reported_missing = False


class DocstringWarning(UserWarning):
    """The descriptions of parameters in a docstring were not read, so the model does not get them."""


class ReadDocstring(NamedTuple):
    """What a docstring says about a tool."""

    description: str
    """The first paragraph, without the descriptions of parameters."""
    parameters: dict[str, str]
    """The description of each described parameter, in one line."""


def read_docstring(text: str, name: str) -> ReadDocstring:
    """Return what a docstring says, which `inspect.cleandoc` has been applied to. `name` is for the warning.

    >>> read_docstring("Weather of a city.", "weather")
    ReadDocstring(description='Weather of a city.', parameters={})
    """
    if not (_SPHINX.search(text) or _NUMPY.search(text) or _GOOGLE.search(text)):
        return ReadDocstring(_first_paragraph(text), {})
    try:
        parsed = _parse(text)
    except ImportError:
        _report_missing(name)
    except Exception as error:  # the parser's own, and whatever an unusual text makes it raise
        problem = _one_line(str(error))
        _warn(f"the docstring of {name} cannot be read, so its parameters are not described: {problem}", 4)
    else:
        described = {
            each.strip().lstrip("*"): _one_line(parameter.description)
            for parameter in parsed.params
            if parameter.description
            for each in parameter.arg_name.split(",")  # NumPy describes several at once
        }
        return ReadDocstring(_first_paragraph((parsed.description or "").strip()), described)
    return ReadDocstring(_first_paragraph(text), {})


def _parse(text: str) -> Any:
    """Parse a docstring in the style that its descriptions have. Raises `ImportError`, and what the parser raises."""
    # Imported here: importing it takes longer than reading many docstrings.
    from docstring_parser import google, numpydoc, rest

    text = "\n" + text  # the parsers apply `cleandoc` too, which would move the lines below a section on the first line
    if _SPHINX.search(text):
        return rest.parse(text)
    if _NUMPY.search(text):
        return numpydoc.parse(text)
    multiple = google.SectionType.MULTIPLE
    sections = [google.Section(title, "param", multiple) for title in _PARAMETERS]
    sections.append(google.Section("Attributes", "attribute", multiple))
    # Without the other sections: one of them that it cannot read would cost the descriptions of all parameters.
    return google.GoogleParser(sections).parse(text)


def _report_missing(name: str) -> None:
    """Warn, once in a process, that no docstring's descriptions are read."""
    global _reported_missing
    if not _reported_missing:
        _reported_missing = True
        _warn(f"the docstring of {name} describes parameters, {_MISSING}", 5)


def _warn(message: str, level: int) -> None:
    # The level is that of the caller of `Tool.from_function`.
    warnings.warn(message, DocstringWarning, stacklevel=level)


def _first_paragraph(text: str) -> str:
    return re.split(r"\n\s*\n", text)[0].replace("\n", " ")


def _one_line(text: str) -> str:
    return " ".join(text.split())
