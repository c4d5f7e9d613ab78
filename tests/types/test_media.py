"""Attachments: where the format comes from, what is refused, and that no content shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedrock_stream import Audio, Document, Image, Message, Video
from bedrock_stream.types.media import Attachment
from tests.support.refusals import refused

BEGINNINGS = {
    "png": b"\x89PNG\r\n\x1a\n....",
    "jpeg": b"\xff\xd8\xff\xe0....",
    "gif": b"GIF89a....",
    "webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
}


@pytest.mark.parametrize(("format", "data"), BEGINNINGS.items())
def test_the_first_bytes_tell_an_images_format(format: str, data: bytes) -> None:
    assert Image(data).format == format


def test_other_first_bytes_tell_theirs() -> None:
    assert Image(b"GIF87a....").format == "gif"
    assert Document(b"%PDF-1.7").format == "pdf"


def test_a_format_that_was_given_stands() -> None:
    assert Image(BEGINNINGS["png"], "webp").format == "webp"


@pytest.mark.parametrize(
    ("kind", "given", "format"),
    [
        (Image, "jpg", "jpeg"),
        (Document, "htm", "html"),
        (Document, "markdown", "md"),
        (Document, "text", "txt"),
        (Video, "3gp", "three_gp"),
    ],
)
def test_common_suffixes_become_the_services_names(kind: type[Attachment], given: str, format: str) -> None:
    assert kind(b"x", given).format == format


@pytest.mark.parametrize("kind", [Image, Document, Video, Audio])
def test_every_format_of_the_service_is_taken(kind: type[Attachment]) -> None:
    assert [kind(b"x", name).format for name in kind.formats] == list(kind.formats)


@pytest.mark.parametrize("data", [bytearray(b"x"), memoryview(b"x")])
def test_anything_like_bytes_becomes_bytes(data: Any) -> None:
    assert Audio(data, "wav").data == b"x"
    assert type(Audio(data, "wav").data) is bytes


# ----------------------------------------------------------------------------------------------------------- from files


def test_a_file_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "cat.bin"
    path.write_bytes(BEGINNINGS["png"])
    assert Image.from_path(path) == Image(BEGINNINGS["png"], "png")
    assert Image.from_path(str(path), format="gif").format == "gif"


def test_the_suffix_tells_the_format_where_the_content_does_not(tmp_path: Path) -> None:
    path = tmp_path / "film.MP4"
    path.write_bytes(b"....")
    assert Video.from_path(path).format == "mp4"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("report.csv", "report"),
        ("report_2024.final.csv", "report 2024 final"),
        ("a  (b) [c]-d.csv", "a (b) [c]-d"),
        ("größe.csv", "gr e"),
        ("__.csv", "document"),
        ("x" * 240 + ".csv", "x" * 200),
    ],
)
def test_a_documents_name_is_its_files_in_letters_that_bedrock_takes(tmp_path: Path, file: str, name: str) -> None:
    path = tmp_path / file
    path.write_bytes(b"a,b")
    assert Document.from_path(path) == Document(b"a,b", "csv", name=name)


def test_a_documents_name_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_bytes(b"a,b")
    document = Document.from_path(path, name="Quarter", context="c", citations=True)
    assert (document.name, document.context, document.citations) == ("Quarter", "c", True)


def test_a_file_without_a_telling_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noname").write_bytes(b"....")
    with refused("Image.format", "it cannot be told", "use png, jpeg, gif, webp"):
        Image.from_path(tmp_path / "noname")


# ---------------------------------------------------------------------------------------------------------------- in S3


def test_a_place_in_s3_tells_its_format_by_its_suffix() -> None:
    assert Video(s3_uri="s3://bucket/film.mp4", bucket_owner="123456789012").format == "mp4"
    assert Image(s3_uri="s3://bucket/key", format="png").format == "png"
    with refused("Image.format", "it cannot be told", "use png"):
        Image(s3_uri="s3://bucket/key")


@pytest.mark.parametrize("address", ["https://bucket/key.png", "/tmp/cat.png", 5])  # noqa: S108  a path to be refused
def test_other_addresses_are_refused(address: Any) -> None:
    with refused("Image.s3_uri", repr(address), "use s3://bucket/key"):
        Image(s3_uri=address)


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("kind", [Image, Document, Video, Audio])
def test_a_str_is_never_taken_for_a_path(kind: type[Attachment]) -> None:
    name = kind.__name__
    with refused(f"{name}.data", "got str", f"{name}.from_path() reads a file"):
        kind("cat.png")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields", [{}, {"data": b""}, {"data": b"x", "s3_uri": "s3://b/k.png"}, {"s3_uri": ""}], ids=repr
)
def test_exactly_one_source_is_needed(fields: dict[str, Any]) -> None:
    with refused("Image", "exactly one of data and s3_uri", "data must not be empty"):
        Image(**fields)


def test_a_format_of_another_kind_is_refused() -> None:
    with refused("Image.format", "'tiff' is not known", "use png, jpeg, gif, webp"):
        Image(b"x", "tiff")
    with refused("Image.format", "'pdf' is not known", "use png, jpeg, gif, webp"):
        Image(b"%PDF-1.7")


# ------------------------------------------------------------------------------------------------------- what they show


def test_no_content_shows() -> None:
    image = Image(b"\x89PNG\r\n\x1a\nsecret picture")
    assert repr(image) == "Image(png, 22 bytes)"
    assert "secret" not in repr(Message.user(image)) + str(image)
    assert repr(Document(s3_uri="s3://b/k.pdf")) == "Document(pdf, s3://b/k.pdf)"


@pytest.mark.parametrize(
    "attachment",
    [
        Image(BEGINNINGS["png"]),
        Document(b"\x00\xff", "doc", name="n"),
        Video(s3_uri="s3://b/k.mkv"),
        Audio(b"x", "mka"),
    ],
)
def test_an_attachment_comes_back_from_json_exactly(attachment: Attachment) -> None:
    assert msgspec.json.decode(msgspec.json.encode(attachment), type=type(attachment)) == attachment
