"""Read a profile from the shared AWS files, config and credentials, as a flat mapping of settings.

Profiles are sections named `default` or `profile NAME` in the config file, and `NAME` in the credentials file, whose
settings take precedence. A profile may refer to a `services NAME` section, in which each service has an indented block.
Source: "Shared config and credentials files" in the AWS SDKs and Tools Reference Guide.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import NamedTuple

from ..errors import ConfigurationError
from ..types.settings import Masked

__all__ = ("Profile", "Profiles", "Settings", "read_profile")

Settings = Mapping[str, str]
"""A profile's settings; those of its service blocks are named `bedrock_runtime.NAME` and `sts.NAME`."""

_FILES = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
_SERVICES = ("bedrock_runtime", "sts")
_INTERVAL = 1.0  # seconds between two looks at the files
_SLOW = 0.01  # seconds; a look that takes longer would delay the other streams
_FileStates = tuple[tuple[int, int, int], ...]
_Selection = tuple[str | None, ...]
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


class _Look(NamedTuple):
    """What a look at the files found."""

    selection: _Selection
    states: _FileStates
    found: Profile | ConfigurationError
    at: float
    is_slow: bool

    def profile(self) -> Profile:
        if isinstance(self.found, ConfigurationError):
            raise copy.copy(self.found)  # one error for each call: more facts are added to it
        return self.found


class Profiles:
    """The profile in use. Its files are looked at once a second at most, and read again when one of them has changed.

    A call is planned with the profile, so the first look blocks. If it was slow, as in a home directory on a network,
    later looks happen in a thread, and the profile that is known is used meanwhile. `clock` is monotonic.
    """

    __slots__ = ("_clock", "_is_looking", "_last", "name")

    def __init__(self, name: str | None = None, clock: Callable[[], float] | None = None) -> None:
        self.name: str | None = name
        """The profile that is named in code, if any."""
        self._clock = clock or monotonic
        self._last: _Look | None = None
        self._is_looking = False  # in a thread

    def read(self, environ: Mapping[str, str]) -> Profile:
        """Return the profile as it was a second ago or later; as it is if `environ` selects another or other files.

        Raises as `read_profile` does.
        """
        last, selection = self._last, _selection(environ)
        if last is None or last.selection != selection:
            last = self._look(environ, selection)
        elif last.is_slow:
            if self._clock() - last.at >= _INTERVAL:
                self._look_in_thread(dict(environ), selection)
        elif isinstance(last.found, ConfigurationError) or self._clock() - last.at >= _INTERVAL:
            last = self._look(environ, selection)  # at once after an error, which may have been fixed
        return last.profile()

    def has_changed(self, environ: Mapping[str, str]) -> bool:
        """Look at the files now, and return whether that gave another profile. False where looking is slow."""
        last = self._last
        if last is None or last.is_slow:
            return False
        return self._look(environ, _selection(environ)).found is not last.found

    async def reread(self, environ: Mapping[str, str]) -> None:
        """Read the files now, even if they do not seem to have changed; in a thread where looking is slow."""
        look = partial(self._look, dict(environ), _selection(environ), forced=True)
        if self._last is None or not self._last.is_slow:
            look()
            return
        from .threads import run_in_thread

        await run_in_thread(look)

    # ------------------------------------------------------------------------------------------------------- internals

    def _look(self, environ: Mapping[str, str], selection: _Selection, *, forced: bool = False) -> _Look:
        last, began = self._last, self._clock()
        states = _file_states(environ)
        if last is None or forced or (last.selection, last.states) != (selection, states):
            found = _find_profile(environ, self.name)
        else:
            found = last.found
        now = self._clock()
        look = _Look(selection, states, found, now, now - began >= _SLOW)
        if forced or self._last is last:  # else another thread has looked later
            self._last = look
        return look

    def _look_in_thread(self, environ: Mapping[str, str], selection: _Selection) -> None:
        if self._is_looking:
            return
        self._is_looking = True

        def look() -> None:
            try:
                self._look(environ, selection)
            finally:
                self._is_looking = False

        # A daemon, since files on a server that does not answer must not keep the process alive.
        Thread(target=look, name="bedrock-stream config files", daemon=True).start()


def _find_profile(environ: Mapping[str, str], name: str | None) -> Profile | ConfigurationError:
    try:
        return read_profile(environ, name)
    except ConfigurationError as error:
        return error.with_traceback(None)


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


def _selection(environ: Mapping[str, str]) -> _Selection:
    """Return the variables that select the profile and its files, without those that another one overrides."""
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return (*_named_by_environment(environ), home, *(environ.get(variable) for variable, _ in _FILES))


def _file_states(environ: Mapping[str, str]) -> _FileStates:
    """Return a value that changes when one of the files changes."""
    return tuple(_file_state(path) for _, path in _paths(environ))


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
