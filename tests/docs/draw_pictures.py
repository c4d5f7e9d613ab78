"""Draw the two pictures of `docs/architecture.md` from the code.

python -m tests.docs.draw_pictures

`layers.svg` shows what each layer is and which ones it imports. `request.svg` shows the way of one request through
them; `STEPS` names the functions, and a test compares them with the calls of a real stream.
"""

from __future__ import annotations

import ast
import re
import textwrap
from functools import cache

from tests.docs.svg import circle, document, line, rect, text
from tests.promises.test_architecture import FOREIGN_TO_PURE, LAYERS, MODULES, ROOT, imports, layer_of, own_imports
from tests.support.page_tables import DOCS

__all__ = ("PICTURES", "STEPS", "draw_layers", "draw_request")

PICTURES = DOCS / "pictures"

_NAMED = [layer for layer in LAYERS if not layer.startswith("_")]

STEPS: dict[str, list[tuple[str, str]]] = {
    "At the call: nothing is sent": [
        ("client.client.Client.stream", "takes the arguments"),
        ("types.options.read_options", "checks each option"),
        ("request.models.ids.describe", "looks up what the model takes"),
        ("request.endpoints.resolve_endpoint", "chooses the endpoint of the region"),
        ("request.call.plan_call", "turns the arguments into one request"),
        ("request.supported.check_options", "refuses or drops what the model refuses"),
        ("request.conversation.normalize_conversation", "makes the history one that the model accepts"),
        ("request.route.choose_route", "chooses the API, and so the dialect"),
        ("dialects.converse.body.write_body", "writes the body of that API"),
        ("request.http.build_request", "adds URL and headers"),
        ("client.stream.Stream.__init__", "is what the caller gets"),
    ],
    "At the first await": [
        ("client.attempts.Attempts.open", "sends, and retries until an event is delivered"),
        ("auth.resolver.CredentialResolver.resolve", "gets credentials, fresh ones if they expire"),
        ("transport.slots.Slots.acquire", "waits for a free connection slot"),
        ("auth.sigv4.sign", "signs last, so that the date is of now"),
        ("transport.transport.Transport.send", "sends by aiohttp"),
        ("transport.connections.Connector.connect", "takes a pooled connection or opens one"),
        ("client.checks.check", "raises unless the response is an event stream"),
    ],
    "For each piece of the response": [
        ("transport.http_response.HttpResponse.read", "waits for bytes, within the time limits"),
        ("dialects.incoming.EventStream.receive", "passes bytes on to decoder and reader"),
        ("eventstream.decoder.Decoder.feed", "makes frames of bytes, with both checksums"),
        ("dialects.converse.reader.ConverseReader.feed", "makes typed events of frames"),
        ("types.response.Assembly.extend", "adds the events to the Response"),
    ],
    "At the end of the message": [
        ("transport.http_response.HttpResponse.close", "closes or keeps the connection"),
        ("transport.slots.Slots.release", "hands the slot to the next request"),
        ("types.response.Assembly.response", "is the whole Response, for response()"),
    ],
}
"""The functions that one stream calls for the first time, in this order, by phases."""


def draw_layers() -> str:
    """Return the picture of the layers: a row each, with a dot for each layer that it imports."""
    left, top, height, matrix, step = 8, 112, 40, 520, 20
    width, bottom = matrix + step * len(_NAMED) + 12, top + height * len(_NAMED)
    elements = [
        text(left, 22, "The layers, and what each imports", "title"),
        rect(left, 36, 12, 12, "pure"),
        text(left + 18, 46, "pure: no sockets, no clock, no event loop", "small"),
        rect(left, 56, 12, 12, "io"),
        text(left + 18, 66, "with input and output", "small"),
        text(left, 92, "A row imports the columns that have a dot: only what is above it.", "small"),
    ]
    for index, layer in enumerate(_NAMED):
        x, y = matrix + step * index + step / 2, top + height * index
        elements.append(text(x + 4, top - 8, layer, "small", rotate=-60))
        elements.append(line([(x, top), (x, y + height / 2)], "grid"))
        elements.append(rect(left, y + 4, 104, height - 8, "pure" if _is_pure(layer) else "io"))
        elements.append(text(left + 52, y + height / 2 + 4, layer, "on middle"))
        lines = textwrap.wrap(_sentence(layer), 60)[:2]
        first = y + height / 2 + (4 if len(lines) == 1 else -3)
        elements += [text(left + 114, first + 15 * row, words, "small") for row, words in enumerate(lines)]
        elements += [
            circle(matrix + step * column + step / 2, y + height / 2, 4.5, "pure" if _is_pure(used) else "io")
            for column, used in enumerate(_NAMED)
            if used in _uses(layer)
        ]
    return document(width, bottom + 8, "The layers of bedrock_stream and their imports", elements)


def draw_request() -> str:
    """Return the picture of a request's way: a row for each step, and a line through the layers."""
    left, top, height, step = 8, 110, 26, 26
    functions = [name for steps in STEPS.values() for name, _ in steps]
    lanes = [layer for layer in _NAMED if layer in {layer_of(name) for name in functions}]
    words = left + step * len(lanes) + 16
    elements = [text(left, 22, "The way of one request: stream() on Converse", "title")]
    way, y = [], float(top)
    for phase, steps in STEPS.items():
        elements.append(rect(words - 8, y + 3, 670, height - 6, "band"))
        elements.append(text(words, y + 17, phase, "title"))
        y += height
        for name, meaning in steps:
            way.append((left + step * (lanes.index(layer_of(name)) + 0.5), y + height / 2))
            elements.append(text(words, y + 17, name, "code"))
            elements.append(text(words + 350, y + 17, meaning, "small"))
            y += height
    for index, layer in enumerate(lanes):
        x = left + step * (index + 0.5)
        elements.append(text(x + 4, top - 4, layer, "small", rotate=-60))
        elements.append(line([(x, top), (x, y)], "grid"))
    elements += [line(way, "way"), *(circle(x, place, 5, "pure") for x, place in way)]
    return document(words + 670, int(y) + 8, "The way of one request through the layers", elements)


@cache
def _is_pure(layer: str) -> bool:
    modules = [name for name in MODULES if layer_of(name) == layer]
    return not any(target.partition(".")[0] in FOREIGN_TO_PURE for name in modules for target in imports(name))


@cache
def _uses(layer: str) -> set[str]:
    modules = [name for name in MODULES if layer_of(name) == layer]
    above = LAYERS[: LAYERS.index(layer)]  # beside them, a few names for type checkers or inside a function
    return {layer_of(target) for name in modules for target in own_imports(name)} & {*above}


def _sentence(layer: str) -> str:
    """Return the first sentence of the layer's docstring."""
    file = ROOT / layer / "__init__.py"
    source = (file if file.exists() else ROOT / f"{layer}.py").read_text(encoding="utf-8")
    first = re.match(r".+?[.](?=\s|$)", ast.get_docstring(ast.parse(source)) or "", re.DOTALL)
    assert first is not None, f"{layer} has no sentence"
    return " ".join(first[0].replace("`", "").split())


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "layers.svg").write_text(draw_layers(), encoding="utf-8")
    (PICTURES / "request.svg").write_text(draw_request(), encoding="utf-8")
