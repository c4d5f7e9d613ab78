"""Lists the model ids of an installed botocore and litellm that the capability table has no row for.

    python -m bedrock_stream.testing.model_drift

Neither package is imported: botocore's service models and litellm's price map are read as files.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from ..errors import ConfigurationError
from ..request.models import describe
from ..request.models.table import ROWS, row_of

__all__ = ("ids_of_botocore", "ids_of_litellm", "main", "without_row")

_SERVICES = ("bedrock", "bedrock-runtime")


def without_row(ids: Iterable[str]) -> list[str]:
    """Return the foundation models' ids, of known makers, whose facts are only inferred or missing."""
    missing = set()
    for name in ids:
        try:
            model = describe(name)
        except ConfigurationError:  # a speech model, or not an id at all
            continue
        row = row_of(model.base)
        if model.vendor is not None and (row is None or not row.known):
            missing.add(model.base)
    return sorted(missing)


def ids_of_botocore() -> set[str] | None:
    """Return the model ids that botocore's service models mention; None if it is not installed."""
    folder = _folder("botocore")
    if folder is None:
        return None
    makers = "|".join(sorted({start.partition(".")[0] for row in ROWS for start in row.ids}))
    # An id has a version number, which distinguishes it from host names.
    pattern = re.compile(rf"\b(?:{makers})\.[a-z][\w.:-]*\d[\w:]*")
    return {name for text in _service_models(folder) for name in pattern.findall(text)}


def _service_models(folder: Path) -> Iterator[str]:
    for service in _SERVICES:
        for path in sorted((folder / "data" / service).glob("*/service-2.json*")):
            data = path.read_bytes()
            yield (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def ids_of_litellm() -> set[str] | None:
    """Return the ids of Bedrock's chat models in litellm's price map; None if it is not installed."""
    folder = _folder("litellm")
    path = None if folder is None else folder / "model_prices_and_context_window_backup.json"
    if path is None or not path.exists():
        return None
    return {
        name.rpartition("/")[2]  # `bedrock/us-east-1/ID`
        for name, price in json.loads(path.read_bytes()).items()
        if str(price.get("litellm_provider")).startswith("bedrock") and price.get("mode") == "chat"
    }


def _folder(package: str) -> Path | None:
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def main() -> int:
    """Print the ids without a row, by source. Returns 1 if there are any, else 0."""
    found = 0
    for source, ids in (("botocore", ids_of_botocore()), ("litellm", ids_of_litellm())):
        if ids is None:
            print(f"{source}: not installed")
            continue
        missing = without_row(ids)
        found += len(missing)
        print(f"{source}: {len(ids)} ids, {len(missing)} without a row")
        for name in missing:
            print(f"  {name}")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
