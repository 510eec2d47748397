from pathlib import Path

import pytest

from cdrl_cli.checkpoints import registry
from cdrl_cli.checkpoints.registry import (
    HubSource,
    PackageSource,
    UrlSource,
    data_folder,
    parse_manifest,
    read_manifest,
    select_entries,
)
from cdrl_cli.errors import UsageError

from .conftest import make_entry


@pytest.mark.parametrize("entry", read_manifest().values(), ids=lambda entry: entry.name)
def test_the_manifest_keeps_its_word(entry):
    assert entry.purpose
    assert entry.licence
    assert entry.embedded or entry.sources
    assert not (entry.recommended and (entry.binds or not entry.can_be_fetched))
    for source in entry.sources:
        if isinstance(source, PackageSource):
            assert "==" in source.package


def test_no_two_entries_share_a_file():
    files = [entry.file for entry in read_manifest().values()]
    assert len(files) == len(set(files))


def test_a_manifest_is_read_with_each_kind_of_source():
    (entry,) = parse_manifest(
        """
        [part]
        file = "folder/part.onnx"
        licence = "MIT"
        purpose = "a test"
        origin = "here"
        sources = [
            { package = "part==1", member = "a/b" },
            { hub = "owner/name", file = "b" },
            { url = "https://example.org/b" },
        ]
        """
    ).values()
    assert entry.sources == (
        PackageSource("part==1", "a/b"),
        HubSource("owner/name", "b", "main"),
        UrlSource("https://example.org/b"),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"file": "../outside"},
        {"file": "/outside"},
        {"file": "a/../../outside"},
        {"file": "..\\outside"},
        {"sha256": ""},
        {"sha256": "abc"},
        {"sha256": None},
        {"size": None},
        {"sha256": None, "size": None, "embedded": True},
        {"binds": True},
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(fields):
    with pytest.raises(ValueError, match="part"):
        make_entry("part", **fields)


def test_a_group_is_all_its_entries():
    assert [entry.name for entry in select_entries(["text"])] == ["text-encoder", "text-tokenizer"]
    assert [entry.name for entry in select_entries(["text-encoder", "text"])] == [
        "text-encoder",
        "text-tokenizer",
    ]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="no weights 'idnetity'") as caught:
        select_entries(["idnetity"])
    assert "identity, detector, text," in str(caught.value.hint)


def test_the_users_folder_is_where_spfem_home_says(home, monkeypatch):
    assert data_folder() == home / "weights"
    monkeypatch.delenv("SPFEM_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert data_folder() == Path("/somewhere/spfem/weights")


def test_the_command_of_an_entry_can_be_typed():
    by_name = read_manifest()
    assert by_name["identity"].command == "spfem download-weights identity"
    assert by_name["text-tokenizer"].command == "spfem download-weights text"
    assert (
        by_name["buffalo_l-identity"].command
        == "spfem download-weights buffalo_l --from DIR --accept-licence"
    )
    assert registry.read_manifest() is by_name
