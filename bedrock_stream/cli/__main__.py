"""Run `bedrock-stream` as `python -m bedrock_stream.cli`."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
