"""Read a profile from the shared AWS files, config and credentials, as a flat mapping of settings.

Profiles are sections named `default` or `profile NAME` in the config file, and `NAME` in the credentials file, whose
settings take precedence. A profile may refer to a `services NAME` section, in which each service has an indented block.
Source: "Shared config and credentials files" in the AWS SDKs and Tools Reference Guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ..errors import ConfigurationError
from ..types.settings import Masked

__all__ = ("Profile", "Profiles", "Settings", "read_profile")

Settings = Mapping[str, str]
"""A profile's settings; those of its service blocks are named `bedrock_runtime.NAME` and `sts.NAME`."""

_FILES = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
_SERVICES = ("bedrock_runtime", "sts")
_FileStates = tuple[tuple[str, int, int, int], ...]
_Sections = Mapping[str, Settings]


class Profile(Masked, frozen=True):
    """One profile, merged from the two files."""

    name: str
    named_by: str | None
    """The argument or variable that names it; None for `default`."""
    found: bool
    """True if at least one of the files has it."""
    settings: Settings

    def __repr__(self) -> str:
        return f"Profile({self.name!r}, settings={sorted(self.settings)})"  # names only: values may be secrets


class Profiles:
    """A cache for the profile in use, which is read again when a file or `AWS_PROFILE` changes."""

    __slots__ = ("_cached", "_name")

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._cached: tuple[str | None, _FileStates, Profile] | None = None

    def read(self, environ: Mapping[str, str]) -> Profile:
        """Return the profile, from the cache if nothing has changed. Raises as `read_profile` does."""
        name, states = self._name or _named_by_environment(environ)[0], _file_states(environ)
        if self._cached is None or self._cached[:2] != (name, states):
            self._cached = (name, states, read_profile(environ, self._name))
        return self._cached[2]

    def invalidate(self) -> None:
        """Read the files again next time, even if they do not seem to have changed."""
        self._cached = None


def read_profile(environ: Mapping[str, str], name: str | None = None) -> Profile:
    """Read the profile called `name`, else the one that `AWS_PROFILE` names, else `default`.

    Raises `ConfigurationError` if a file cannot be read, or if neither file has a profile that is named by argument.
    """
    named, named_by = (name, "profile") if name else _named_by_environment(environ)
    config, credentials = (_parse(variable, path) for variable, path in _paths(environ))
    # In the config file, `[default]` takes precedence over `[profile default]`; `[NAME]` is tolerated there.
    candidates = [f"profile {named}", named] if named else ["default", "profile default"]
    sections = [_flatten(config, section) for section in candidates if section in config][:1]
    sections += [_flatten(credentials, section) for section in (named or "default",) if section in credentials]
    if name and not sections:
        files = " and ".join(str(path) for _, path in _paths(environ))
        raise ConfigurationError("profile", f"{name!r} is not in {files}", "name an existing profile, or leave it out")
    # Later sections override earlier ones: the credentials file takes precedence over the config file.
    settings = {key: value for section in sections for key, value in section.items()}
    return Profile(named or "default", named_by, bool(sections), settings)


def _named_by_environment(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the name of the selected profile and the variable that names it."""
    # AWS_DEFAULT_PROFILE is the older name of AWS_PROFILE, which botocore still reads.
    for variable in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        if environ.get(variable):
            return environ[variable], variable
    return None, None


def _paths(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return [(variable, _expand(environ.get(variable) or default, home)) for variable, default in _FILES]


@lru_cache(maxsize=64)  # called for each request; `_home` is part of the key, since it changes the result
def _expand(path: str, _home: str | None) -> Path:
    return Path(path).expanduser()


def _file_states(environ: Mapping[str, str]) -> _FileStates:
    """Return a value that changes when one of the files changes."""
    return tuple((str(path), *_file_state(path)) for _, path in _paths(environ))


def _file_state(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _parse(variable: str, path: Path) -> _Sections:
    """Return the sections of a file; empty if the file does not exist."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(variable, path, error) from None
    from configparser import Error, RawConfigParser  # rarely needed: machines with a role usually have no files

    parser = RawConfigParser(default_section="", strict=False)
    try:
        parser.read_string(text, source=str(path))
    except Error as error:
        raise _unreadable(variable, path, error) from None
    sections = {section: dict(parser.items(section)) for section in parser.sections()}
    for section in parser.sections():
        sections.setdefault(_unquote(section), sections[section])
    return sections


def _unquote(section: str) -> str:
    """Return a section's name with quotes removed and white space folded: `[profile "a b"]`, `[profile   work]`."""
    # botocore splits section names with shlex, as a shell would.
    from shlex import split

    try:
        return " ".join(split(section))
    except ValueError:  # unbalanced quotes
        return section


def _unreadable(variable: str, path: Path, error: Exception) -> ConfigurationError:
    reason = str(error).splitlines()[0]  # further lines quote the file, which may contain a key
    return ConfigurationError(variable, f"{path} cannot be read: {reason}", "fix or remove it")


def _flatten(sections: _Sections, section: str) -> dict[str, str]:
    settings = dict(sections[section])
    services = sections.get(f"services {settings['services']}", {}) if "services" in settings else {}
    for service in _SERVICES:
        # configparser returns a service's indented block as one value of several lines.
        for line in services.get(service, "").splitlines():
            key, equals, value = line.partition("=")
            if equals:
                settings[f"{service}.{key.strip()}"] = value.strip()
    return settings
