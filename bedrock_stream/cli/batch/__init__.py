"""`bedrock-stream batch`: ask each line of a file, and write the answers beside each other.

`settings` are the options, `source` reads IN, `output` writes OUT, `running` is the run, `stopping` takes signals,
`display` shows the progress, `checking` is `--check` and `--dry-run`. The formats of the lines are in
`bedrock_stream.batch`.
"""

from .running import batch
from .settings import BatchSettings

__all__ = ("BatchSettings", "batch")
