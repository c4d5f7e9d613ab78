"""The shared AWS config file, as far as region and endpoint need it.

Profiles are sections named `default` or `profile NAME`; a profile may point to a `services NAME` section, in which each
service has an indented block of its own. Source: "Shared config and credentials files" in the AWS SDKs reference guide.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from .errors import ConfigurationError

__all__ = ("Settings", "read_settings")

Settings = Mapping[str, str]
"""A profile's keys; those of its `bedrock_runtime` service block come as `bedrock_runtime.KEY`."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of the profile that `AWS_PROFILE` names, or of `default`; empty where there is none of that name.

    Raises `ConfigurationError` for a file that cannot be read.
    """
    named = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    path = Path(environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    parser = configparser.RawConfigParser(default_section="", strict=False)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError("AWS_CONFIG_FILE", f"{path} cannot be read: {reason}", "mend or remove it") from None
    for section in (f"profile {named}", named) if named else ("default", "profile default"):
        if parser.has_section(section):
            return _flatten(parser, section)
    return {}  # a named profile may live in the credentials file alone


def _flatten(parser: configparser.RawConfigParser, section: str) -> dict[str, str]:
    settings = dict(parser.items(section))
    services = f"services {settings['services']}" if "services" in settings else ""
    if services and parser.has_option(services, "bedrock_runtime"):
        for line in parser.get(services, "bedrock_runtime").splitlines():
            key, equals, value = line.partition("=")
            if equals:
                settings[f"bedrock_runtime.{key.strip()}"] = value.strip()
    return settings
