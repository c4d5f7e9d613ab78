"""Run by hand: `pip install atheris`, then `python -m tests.fuzz.guided [FOLDER] -runs=10000000`.

A coverage-guided fuzzer looks for bytes that take a new path through the decoder. Each input is decoded whole, in
pieces and byte by byte; the first byte chooses the pieces. `fixtures/decoder_corpus.hex` has what it found, one input a
line, which the tests decode; `python -m tests.fuzz.guided --keep FOLDER` replaces it.
"""

from __future__ import annotations

import sys
from pathlib import Path

CORPUS = Path(__file__).parents[2] / "fixtures" / "decoder_corpus.hex"

__all__ = ("CORPUS", "check_input")


def check_input(data: bytes) -> None:
    """Check that any split of the bytes after the first one has the same result."""
    from tests.fuzz.fuzz_decoder import check

    step = data[0] % 64 + 1 if data else 1
    check(data[1:], range(0, len(data), step))


def keep(folder: Path) -> None:
    """Write the inputs in a folder to the corpus."""
    inputs = sorted((path.read_bytes() for path in folder.iterdir()), key=lambda data: (len(data), data))
    CORPUS.write_text("".join(f"{data.hex()}\n" for data in inputs), encoding="ascii")


def main() -> None:
    """Fuzz, or keep what was found."""
    if sys.argv[1:2] == ["--keep"]:
        keep(Path(sys.argv[2]))
        return
    import atheris

    with atheris.instrument_imports(include=["bedrock_stream.eventstream"]):
        from tests.fuzz import fuzz_decoder  # noqa: F401 - imports the decoder, for the first time
    atheris.Setup(sys.argv, check_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
