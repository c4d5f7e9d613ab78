"""The shared AWS files, config and credentials: what one profile says, as a flat table.

Profiles are sections named `default` or `profile NAME` in the config file, `NAME` in the credentials file, whose
entries go before those of the config file. A profile may point to a `services NAME` section, in which each service has
an indented block of its own. Source: "Shared config and credentials files" in the AWS SDKs reference guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ..errors import ConfigurationError
from ..types.settings import Masked

__all__ = ("Profile", "Profiles", "Settings", "read_profile")

Settings = Mapping[str, str]
"""A profile's keys; those of its service blocks come as `bedrock_runtime.KEY` and `sts.KEY`."""

_FILES = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
_SERVICES = ("bedrock_runtime", "sts")
_Stamp = tuple[tuple[str, int, int, int], ...]
_Sections = Mapping[str, Settings]


class Profile(Masked, frozen=True):
    """One profile of the two files."""

    name: str
    named_by: str | None
    """The argument or variable that names it; None for `default`."""
    found: bool
    """Whether either file has it."""
    settings: Settings

    def __repr__(self) -> str:
        return f"Profile({self.name!r}, settings={sorted(self.settings)})"  # names only: keys may be among the values


class Profiles:
    """The profile that counts, read again whenever a file or the environment's choice has changed."""

    __slots__ = ("_kept", "_name")

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._kept: tuple[str | None, _Stamp, Profile] | None = None

    def read(self, environ: Mapping[str, str]) -> Profile:
        """Raises as `read_profile` does."""
        choice, stamp = self._name or _chosen(environ)[0], _stamp(environ)
        if self._kept is None or self._kept[:2] != (choice, stamp):
            self._kept = (choice, stamp, read_profile(environ, self._name))
        return self._kept[2]

    def forget(self) -> None:
        """Have the files read again, whether they seem to have changed or not."""
        self._kept = None


def read_profile(environ: Mapping[str, str], name: str | None = None) -> Profile:
    """The profile called `name`, else the one that `AWS_PROFILE` names, else `default`.

    Raises `ConfigurationError` for a file that cannot be read, and where an argument names what neither file has.
    """
    named, named_by = (name, "profile") if name else _chosen(environ)
    config, credentials = (_parse(variable, path) for variable, path in _paths(environ))
    sections = [f"profile {named}", named] if named else ["default", "profile default"]
    found = [_flatten(config, section) for section in sections if section in config][:1]
    found += [_flatten(credentials, section) for section in (named or "default",) if section in credentials]
    if name and not found:
        looked = " and ".join(str(path) for _, path in _paths(environ))
        raise ConfigurationError("profile", f"{name!r} is not in {looked}", "name one that is, or leave it out")
    return Profile(
        named or "default", named_by, bool(found), {key: text for part in found for key, text in part.items()}
    )


def _chosen(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    for variable in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        if environ.get(variable):
            return environ[variable], variable
    return None, None


def _paths(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return [(variable, _expanded(environ.get(variable) or usual, home)) for variable, usual in _FILES]


@lru_cache(maxsize=64)  # looked at with every call; another home is another path
def _expanded(path: str, _home: str | None) -> Path:
    return Path(path).expanduser()


def _stamp(environ: Mapping[str, str]) -> _Stamp:
    """What changes whenever one of the files does."""
    return tuple((str(path), *_changed(path)) for _, path in _paths(environ))


def _changed(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _parse(variable: str, path: Path) -> _Sections:
    """The sections of a file; none where there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(variable, path, error) from None
    from configparser import Error, RawConfigParser  # machines that have a role have no files, as a rule

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
    """A section's name as a shell would take its words apart: `[profile "a b"]`, `[profile   work]`."""
    from shlex import split

    try:
        return " ".join(split(section))
    except ValueError:  # quotes that do not match
        return section


def _unreadable(variable: str, path: Path, error: Exception) -> ConfigurationError:
    reason = str(error).splitlines()[0]  # the next ones quote the file, and that may hold a key
    return ConfigurationError(variable, f"{path} cannot be read: {reason}", "mend or remove it")


def _flatten(sections: _Sections, section: str) -> dict[str, str]:
    settings = dict(sections[section])
    services = sections.get(f"services {settings['services']}", {}) if "services" in settings else {}
    for service in _SERVICES:
        for line in services.get(service, "").splitlines():
            key, equals, value = line.partition("=")
            if equals:
                settings[f"{service}.{key.strip()}"] = value.strip()
    return settings
