"""Check the contents of a built sdist and wheel: `python .ci/check_release.py DIRECTORY [--tag v1.2.3]`.

The wheel holds the package and nothing else, the sdist all that its list in `pyproject.toml` names, and the version of
`_version.py` is the one everywhere. Uses only the standard library.
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "bedrock_stream"
IGNORED = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text("utf-8").split()]
METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")


class Unfit(Exception):
    """A reason not to publish."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the contents of a built sdist and wheel.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--tag", help="the tag of the release, `v` and the version")
    options = parser.parse_args()
    try:
        version = own_version()
        stem = f"{PACKAGE}-{version}"
        names = {path.name for path in options.directory.iterdir()}
        same("the files built", names, {f"{stem}.tar.gz", f"{stem}-py3-none-any.whl"})
        check_wheel(options.directory / f"{stem}-py3-none-any.whl", version)
        check_sdist(options.directory / f"{stem}.tar.gz", version)
        check_changelog(version, released=options.tag is not None)
        if options.tag not in (None, f"v{version}"):
            raise Unfit(f"the tag is {options.tag}, and _version.py says {version}")
    except Unfit as reason:
        print(f"not fit for a release: {reason}", file=sys.stderr)
        return 1
    print(f"{stem}: contents and version are right")
    return 0


def own_version() -> str:
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / PACKAGE / "_version.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise Unfit("_version.py has no __version__")
    return found[1]


def files_of(pattern: str) -> set[str]:
    """Return the paths of all files that git does not ignore, at or below the top-level names of a pattern."""
    found = {path for top in ROOT.glob(pattern.lstrip("/")) for path in (top, *top.rglob("*")) if path.is_file()}
    paths = [path.relative_to(ROOT) for path in found]
    return {
        path.as_posix()
        for path in paths
        if not any(fnmatch(part, ignored) for part in path.parts for ignored in IGNORED)
    }


def check_wheel(path: Path, version: str) -> None:
    """Raise `Unfit` unless the wheel holds the package, its metadata, and nothing else."""
    info = f"{PACKAGE}-{version}.dist-info"
    package = files_of(PACKAGE)
    if f"{PACKAGE}/py.typed" not in package:
        raise Unfit("py.typed is missing, so type checkers would ignore the annotations")
    with zipfile.ZipFile(path) as wheel:
        same("the wheel", set(wheel.namelist()), package | {f"{info}/{name}" for name in METADATA})
        check_metadata(wheel.read(f"{info}/METADATA"), version)


def check_sdist(path: Path, version: str) -> None:
    """Raise `Unfit` unless the sdist holds all files that its list names, and its metadata."""
    stem = f"{PACKAGE}-{version}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    expected = {"pyproject.toml", ".gitignore", "PKG-INFO"}.union(*map(files_of, included))
    with tarfile.open(path) as sdist:
        names = {member.name.removeprefix(f"{stem}/") for member in sdist.getmembers() if member.isfile()}
        same("the sdist", names, expected)
        information = sdist.extractfile(f"{stem}/PKG-INFO")
        check_metadata(information.read() if information else b"", version)


def check_metadata(data: bytes, version: str) -> None:
    fields = message_from_bytes(data)
    expected = {"Name": "bedrock-stream", "Version": version, "License-Expression": "Apache-2.0"}
    for name, value in expected.items():
        if fields[name] != value:
            raise Unfit(f"{name} is {fields[name]!r} in the metadata, expected {value!r}")
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()[0]
    if not fields.get_payload().lstrip().startswith(readme):  # type: ignore[union-attr]
        raise Unfit("the description in the metadata is not the README")
    if not fields.get_all("Project-URL"):
        raise Unfit("the metadata has no URLs")


def check_changelog(version: str, *, released: bool) -> None:
    """Raise `Unfit` unless the newest section is this version's, and has a date if it is released."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    head = next((line for line in text.splitlines() if line.startswith("## ")), "## ")
    expected = [rf"## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)"]
    if not released:
        expected.append(rf"## Unreleased \({re.escape(version)}\)")
    if not any(re.fullmatch(pattern, head) for pattern in expected):
        raise Unfit(f"the changelog begins with {head!r}, and the version is {version}")


def same(about: str, names: set[str], expected: set[str]) -> None:
    if names != expected:
        missing, strays = sorted(expected - names), sorted(names - expected)
        raise Unfit(f"{about}: missing {missing}, not expected {strays}")


if __name__ == "__main__":
    sys.exit(main())
