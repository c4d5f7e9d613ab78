"""The shared AWS files: the section that is used, its service block, and missing files and sections."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from bedrock_stream.auth.profiles import Profiles, read_profile
from tests.auth.conftest import LookClock
from tests.support.refusals import refused

CONFIG = """\
# a comment
[default]
region = eu-central-1

[profile work]
region = eu-west-1
use_fips_endpoint = true
services = local
endpoint_url = https://everything.example

[services local]
s3 =
  endpoint_url = http://localhost:9000
bedrock_runtime =
  endpoint_url = http://localhost:8080/base
  # a comment among the settings
  endpoint_discovery

[profile lost]
services = nowhere
[profile empty]
services = other
[services other]
s3 =
  endpoint_url = http://localhost:9000
"""


def settings(tmp_path: Path, text: str = CONFIG, **environ: str) -> dict[str, str]:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    return dict(read_profile({"AWS_CONFIG_FILE": str(path), **environ}).settings)


def test_without_a_name_the_default_section_is_used(tmp_path: Path) -> None:
    assert settings(tmp_path) == {"region": "eu-central-1"}


def test_the_default_section_may_be_called_a_profile(tmp_path: Path) -> None:
    assert settings(tmp_path, "[profile default]\nregion = ap-south-1\n") == {"region": "ap-south-1"}


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_named_profile_includes_its_service_block(tmp_path: Path, variable: str) -> None:
    assert settings(tmp_path, **{variable: "work"}) == {
        "region": "eu-west-1",
        "use_fips_endpoint": "true",
        "services": "local",
        "endpoint_url": "https://everything.example",
        "bedrock_runtime.endpoint_url": "http://localhost:8080/base",
    }


def test_the_first_variable_takes_precedence_and_a_blank_one_counts_as_unset(tmp_path: Path) -> None:
    assert settings(tmp_path, AWS_PROFILE="work", AWS_DEFAULT_PROFILE="lost")["region"] == "eu-west-1"
    assert settings(tmp_path, AWS_PROFILE="", AWS_DEFAULT_PROFILE="work")["region"] == "eu-west-1"


@pytest.mark.parametrize("name", ["lost", "empty"])
def test_a_profile_without_a_service_block_for_bedrock_has_its_own_settings_only(tmp_path: Path, name: str) -> None:
    assert list(settings(tmp_path, AWS_PROFILE=name)) == ["services"]


def test_a_section_without_the_word_profile_is_found_too(tmp_path: Path) -> None:
    assert settings(tmp_path, "[work]\nregion = eu-west-2\n", AWS_PROFILE="work") == {"region": "eu-west-2"}


def test_a_missing_profile_has_no_settings(tmp_path: Path) -> None:
    assert settings(tmp_path, AWS_PROFILE="elsewhere") == {}
    assert settings(tmp_path, "") == {}


def test_a_missing_file_has_no_settings(tmp_path: Path) -> None:
    assert read_profile({"AWS_CONFIG_FILE": str(tmp_path / "none")}).settings == {}
    assert read_profile({"AWS_CONFIG_FILE": os.devnull}).settings == {}


def test_the_default_path_is_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nregion = sa-east-1\n")
    environ = {"HOME": str(tmp_path)}
    assert read_profile(environ).settings == {"region": "sa-east-1"}
    assert read_profile({**environ, "AWS_CONFIG_FILE": ""}).settings == {"region": "sa-east-1"}


def test_a_percent_sign_is_not_interpolated(tmp_path: Path) -> None:
    assert settings(tmp_path, "[default]\nx = %(y)s 100%\n") == {"x": "%(y)s 100%"}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"region = eu-west-1\n", "File contains no section headers"),
        (b"[default\nregion\n", "File contains no section headers"),
        (b"[default]\nregion = \xff\n", "can't decode byte 0xff"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, data: bytes, value: str) -> None:
    path = tmp_path / "config"
    path.write_bytes(data)
    with refused("AWS_CONFIG_FILE", value, "fix or remove it"):
        read_profile({"AWS_CONFIG_FILE": str(path)})


def test_a_directory_instead_of_the_file_is_refused(tmp_path: Path) -> None:
    with refused("AWS_CONFIG_FILE", f"{tmp_path} cannot be read", "fix or remove it"):
        read_profile({"AWS_CONFIG_FILE": str(tmp_path)})


# ---------------------------------------------------------------------------------------------------------- both files


def both(tmp_path: Path, config: str, credentials: str) -> dict[str, str]:
    (tmp_path / "config").write_text(config)
    (tmp_path / "credentials").write_text(credentials)
    return {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }


def test_the_credentials_file_takes_precedence_over_the_config_file(tmp_path: Path) -> None:
    config = "[profile work]\nregion = eu-west-1\naws_access_key_id = OLD\n"
    environ = both(tmp_path, config, "[work]\naws_access_key_id = NEW\n")
    profile = read_profile({**environ, "AWS_PROFILE": "work"})
    assert profile.settings == {"region": "eu-west-1", "aws_access_key_id": "NEW"}
    assert (profile.name, profile.named_by, profile.found) == ("work", "AWS_PROFILE", True)


def test_a_profile_may_be_in_the_credentials_file_only(tmp_path: Path) -> None:
    environ = both(tmp_path, "", "[work]\nregion = eu-west-1\n")
    assert read_profile(environ, "work").settings == {"region": "eu-west-1"}
    assert not read_profile(environ).found


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_name_may_be_quoted(tmp_path: Path, quote: str) -> None:
    environ = both(tmp_path, f"[profile {quote}a b{quote}]\nregion = eu-west-1\n", "")
    assert read_profile(environ, "a b").settings == {"region": "eu-west-1"}


@pytest.mark.parametrize("section", ["profile   work", "profile\twork", 'profile "work"'])
def test_white_space_between_profile_and_its_name_is_folded(tmp_path: Path, section: str) -> None:
    environ = both(tmp_path, f"[{section}]\nregion = eu-west-1\n[profile o'brien]\nregion = eu-west-3\n", "")
    assert read_profile(environ, "work").settings == {"region": "eu-west-1"}
    assert read_profile(environ, "o'brien").settings == {"region": "eu-west-3"}


def test_sts_has_its_own_service_block(tmp_path: Path) -> None:
    config = "[default]\nservices = mine\n[services mine]\nsts =\n  endpoint_url = https://sts.example\n"
    assert read_profile(both(tmp_path, config, "")).settings["sts.endpoint_url"] == "https://sts.example"


def test_an_argument_takes_precedence_over_the_environment_and_must_exist(tmp_path: Path) -> None:
    environ = {**both(tmp_path, CONFIG, ""), "AWS_PROFILE": "empty"}
    assert read_profile(environ, "work").settings["region"] == "eu-west-1"
    with refused("profile", "'gone' is not in ", "name an existing profile, or leave it out"):
        read_profile(environ, "gone")


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path, look_clock: LookClock) -> None:
    environ = both(tmp_path, "[default]\nregion = eu-west-1\n", "")
    profiles = Profiles()
    first = profiles.read(environ)
    assert profiles.read(environ) is first
    look_clock.advance()
    assert profiles.read(environ) is first
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = A\n")
    look_clock.advance()
    assert profiles.read(environ).settings == {"region": "eu-west-1", "aws_access_key_id": "A"}
    assert profiles.read({**environ, "AWS_PROFILE": "other"}).settings == {}


async def test_a_file_is_read_again_if_it_was_replaced_or_after_reread(tmp_path: Path, look_clock: LookClock) -> None:
    environ = both(tmp_path, "", "[default]\naws_access_key_id = A\n")
    file, other = tmp_path / "credentials", tmp_path / "other"
    os.utime(file, ns=(0, 0))
    profiles = Profiles()
    assert profiles.read(environ).settings == {"aws_access_key_id": "A"}
    other.write_text("[default]\naws_access_key_id = B\n")
    os.utime(other, ns=(0, 0))
    other.replace(file)
    look_clock.advance()
    assert profiles.read(environ).settings == {"aws_access_key_id": "B"}
    file.write_text("[default]\naws_access_key_id = C\n")
    os.utime(file, ns=(0, 0))
    await profiles.reread(environ)
    assert profiles.read(environ).settings == {"aws_access_key_id": "C"}


def test_the_files_are_looked_at_once_a_second_and_for_another_selection(tmp_path: Path, look_clock: LookClock) -> None:
    environ = both(tmp_path, "[default]\nregion = eu-west-1\n", "")
    (tmp_path / "other").mkdir()
    other = both(tmp_path / "other", "[default]\nregion = eu-west-2\n", "")
    profiles = Profiles()
    first = profiles.read(environ)
    (tmp_path / "config").write_text("[default]\nregion = eu-west-3\n")
    look_clock.now += 0.99
    assert profiles.read(environ) is first
    assert profiles.read(other).settings == {"region": "eu-west-2"}
    assert profiles.read(environ).settings == {"region": "eu-west-3"}


def test_an_error_is_never_that_of_an_earlier_look(tmp_path: Path, look_clock: LookClock) -> None:
    environ = both(tmp_path, "not a section\n", "")
    profiles = Profiles()
    for _ in range(2):
        with refused("AWS_CONFIG_FILE", "no section headers", "fix or remove it"):
            profiles.read(environ)
    (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n")
    assert profiles.read(environ).settings == {"region": "eu-west-1"}


def test_it_is_told_whether_a_look_finds_another_profile(tmp_path: Path, look_clock: LookClock) -> None:
    environ = both(tmp_path, "", "")
    profiles = Profiles()
    assert not profiles.has_changed(environ)
    profiles.read(environ)
    assert not profiles.has_changed(environ)
    (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n")
    assert profiles.has_changed(environ)
    assert profiles.read(environ).settings == {"region": "eu-west-1"}


# --------------------------------------------------------------------------------------------------- slow file systems


async def finish_look() -> None:
    """Wait for the thread that looks at the files."""
    for thread in threading.enumerate():
        if thread.name == "bedrock-stream config files":
            await asyncio.to_thread(thread.join)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe with a name stands for a file that is slow to read")
async def test_slow_files_are_looked_at_in_a_thread(tmp_path: Path, look_clock: LookClock) -> None:
    environ = both(tmp_path, "[default]\nregion = eu-west-1\n", "")
    config, pipe = tmp_path / "config", tmp_path / "pipe"
    os.mkfifo(pipe)
    look_clock.step = 1.0
    profiles = Profiles()
    first = profiles.read(environ)
    assert not profiles.has_changed(environ)
    pipe.replace(config)
    for _ in range(3):  # the thread waits for a writer
        assert profiles.read(environ) is first
    assert sum(thread.name == "bedrock-stream config files" for thread in threading.enumerate()) == 1
    await asyncio.to_thread(config.write_text, "[default]\nregion = eu-west-2\n")
    await finish_look()
    look_clock.step = 0.0
    assert profiles.read(environ).settings == {"region": "eu-west-2"}


async def test_slow_files_are_reread_in_a_thread(tmp_path: Path, look_clock: LookClock) -> None:
    environ = both(tmp_path, "", "[default]\naws_access_key_id = A\n")
    file = tmp_path / "credentials"
    os.utime(file, ns=(0, 0))
    look_clock.step = 1.0
    profiles = Profiles()
    assert profiles.read(environ).settings == {"aws_access_key_id": "A"}
    look_clock.step = 0.0
    file.write_text("[default]\naws_access_key_id = B\n")
    os.utime(file, ns=(0, 0))
    await profiles.reread(environ)
    assert profiles.read(environ).settings == {"aws_access_key_id": "B"}
    file.write_text("[default]\naws_access_key_id = C\n")
    look_clock.advance()
    assert profiles.read(environ).settings == {"aws_access_key_id": "C"}, "it was fast, so the next look is immediate"


async def test_an_error_of_a_slow_look_is_raised_for_each_call_until_a_look_without_one(
    tmp_path: Path, look_clock: LookClock
) -> None:
    environ = both(tmp_path, "not a section\n", "")
    look_clock.step = 1.0
    profiles = Profiles()
    with refused("AWS_CONFIG_FILE", "no section headers", "fix or remove it"):
        profiles.read(environ)
    (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n")
    with refused("AWS_CONFIG_FILE", "no section headers", "fix or remove it"):
        profiles.read(environ)
    await finish_look()
    look_clock.step = 0.0
    assert profiles.read(environ).settings == {"region": "eu-west-1"}


def test_a_repr_shows_no_values(tmp_path: Path) -> None:
    environ = both(tmp_path, "", "[default]\naws_secret_access_key = hunter2\n")
    assert repr(read_profile(environ)) == "Profile('default', settings=['aws_secret_access_key'])"
