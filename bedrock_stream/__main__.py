"""Run `bedrock-stream` as `python -m bedrock_stream`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
