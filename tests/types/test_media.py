"""Attachments: detection of the format, rejected arguments, and no content in any repr."""

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
def test_the_format_of_an_image_is_detected_from_its_first_bytes(format: str, data: bytes) -> None:
    assert Image(data).format == format


def test_other_formats_are_detected_from_their_first_bytes() -> None:
    assert Image(b"GIF87a....").format == "gif"
    assert Document(b"%PDF-1.7").format == "pdf"


def test_an_explicit_format_takes_precedence() -> None:
    assert Image(BEGINNINGS["png"], "webp").format == "webp"


@pytest.mark.parametrize(
    ("kind", "suffix", "format"),
    [
        (Image, "jpg", "jpeg"),
        (Document, "htm", "html"),
        (Document, "markdown", "md"),
        (Document, "text", "txt"),
        (Video, "3gp", "three_gp"),
    ],
)
def test_common_suffixes_are_converted_to_the_services_names(kind: type[Attachment], suffix: str, format: str) -> None:
    assert kind(b"x", suffix).format == format


@pytest.mark.parametrize("kind", [Image, Document, Video, Audio])
def test_every_format_of_the_service_is_accepted(kind: type[Attachment]) -> None:
    assert [kind(b"x", name).format for name in kind.formats] == list(kind.formats)


@pytest.mark.parametrize("data", [bytearray(b"x"), memoryview(b"x")])
def test_bytes_like_objects_become_bytes(data: Any) -> None:
    assert Audio(data, "wav").data == b"x"
    assert type(Audio(data, "wav").data) is bytes


# ----------------------------------------------------------------------------------------------------------- from files


def test_from_path_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cat.bin"
    path.write_bytes(BEGINNINGS["png"])
    assert Image.from_path(path) == Image(BEGINNINGS["png"], "png")
    assert Image.from_path(str(path), format="gif").format == "gif"


def test_the_suffix_gives_the_format_if_the_content_does_not(tmp_path: Path) -> None:
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
def test_the_name_of_a_document_is_its_file_name_in_allowed_characters(tmp_path: Path, file: str, name: str) -> None:
    path = tmp_path / file
    path.write_bytes(b"a,b")
    assert Document.from_path(path) == Document(b"a,b", "csv", name=name)


def test_the_name_of_a_document_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_bytes(b"a,b")
    document = Document.from_path(path, name="Quarter", context="c", citations=True)
    assert (document.name, document.context, document.citations) == ("Quarter", "c", True)


def test_a_file_of_an_undetectable_format_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "noname").write_bytes(b"....")
    with refused("Image.format", "cannot be detected", "use png, jpeg, gif, webp"):
        Image.from_path(tmp_path / "noname")


# ---------------------------------------------------------------------------------------------------------------- in S3


def test_the_suffix_of_an_s3_address_gives_the_format() -> None:
    assert Video(s3_uri="s3://bucket/film.mp4", bucket_owner="123456789012").format == "mp4"
    assert Image(s3_uri="s3://bucket/key", format="png").format == "png"
    with refused("Image.format", "cannot be detected", "use png"):
        Image(s3_uri="s3://bucket/key")


@pytest.mark.parametrize("address", ["https://bucket/key.png", "/tmp/cat.png", 5])  # noqa: S108  a path that must be rejected
def test_other_addresses_are_rejected(address: Any) -> None:
    with refused("Image.s3_uri", f"expected s3://bucket/key, got {address!r}"):
        Image(s3_uri=address)


# --------------------------------------------------------------------------------------------------- rejected arguments


@pytest.mark.parametrize("kind", [Image, Document, Video, Audio])
def test_a_str_is_never_interpreted_as_a_path(kind: type[Attachment]) -> None:
    name = kind.__name__
    with refused(f"{name}.data", "expected bytes, got str", f"use {name}.from_path() to read a file"):
        kind("cat.png")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields", [{}, {"data": b""}, {"data": b"x", "s3_uri": "s3://b/k.png"}, {"s3_uri": ""}], ids=repr
)
def test_exactly_one_source_is_required(fields: dict[str, Any]) -> None:
    count = "both" if len(fields) == 2 else "neither"
    with refused("Image", f"expected exactly one of data and s3_uri, got {count}", "data must not be empty"):
        Image(**fields)


def test_a_document_may_be_a_text() -> None:
    document = Document(text="Oslo is rainy.", name="Weather")
    assert (document.text, document.format, document.data, document.name) == ("Oslo is rainy.", "txt", None, "Weather")
    assert Document(text="# Oslo", format="markdown").format == "md"
    assert repr(document) == "Document(txt, 14 characters)"


@pytest.mark.parametrize(
    ("fields", "argument", "problem", "remedy"),
    [
        ({"text": ""}, "Document.text", "expected a non-blank str, got ''", ""),
        ({"text": " \n"}, "Document.text", "expected a non-blank str, got ' \\n'", ""),
        ({"text": b"a"}, "Document.text", "expected a non-blank str, got b'a'", ""),
        (
            {"text": "a", "data": b"a"},
            "Document",
            "expected exactly one of data, s3_uri and text, got text and data",
            "",
        ),
        (
            {"text": "a", "s3_uri": "s3://b/k.txt"},
            "Document",
            "expected exactly one of data, s3_uri and text, got text and s3_uri",
            "",
        ),
        (
            {"text": "a", "format": "pdf"},
            "Document.format",
            "expected a text format with text, got 'pdf'",
            "use txt, md, csv, html",
        ),
        ({"text": "a", "format": "odt"}, "Document.format", "unknown format 'odt'", "use pdf, csv"),
        ({}, "Document", "expected exactly one of data and s3_uri, got neither", "data must not be empty"),
    ],
)
def test_a_document_has_one_source(fields: dict[str, Any], argument: str, problem: str, remedy: str) -> None:
    with refused(argument, problem, remedy):
        Document(**fields)


def test_a_format_of_another_kind_is_rejected() -> None:
    with refused("Image.format", "unknown format 'tiff'", "use png, jpeg, gif, webp"):
        Image(b"x", "tiff")
    with refused("Image.format", "unknown format 'pdf'", "use png, jpeg, gif, webp"):
        Image(b"%PDF-1.7")


# ----------------------------------------------------------------------------------------------------------------- repr


def test_a_repr_contains_no_content() -> None:
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
def test_an_attachment_survives_the_json_round_trip(attachment: Attachment) -> None:
    assert msgspec.json.decode(msgspec.json.encode(attachment), type=type(attachment)) == attachment
