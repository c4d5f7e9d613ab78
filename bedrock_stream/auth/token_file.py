"""Read a token from a file that another process rotates, such as the ones EKS mounts into pods."""

from __future__ import annotations

from pathlib import Path

from ..errors import CredentialsUnavailable

__all__ = ("read_token_file",)


def read_token_file(source: str, path: Path, max_length: int) -> str:
    """Return the beginning of a file, long enough to detect that the token is longer than `max_length`.

    Line breaks are not translated: one may follow the token. Blocks. Raises `CredentialsUnavailable`.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read(max_length + 2)
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = f"{path} is not text"
    raise CredentialsUnavailable(source, reason)  # not chained: the decoder's error would show the file's bytes
