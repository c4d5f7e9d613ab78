"""`python -m bedrock_stream.cli` is `bedrock-stream`."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
