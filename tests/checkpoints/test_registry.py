import re
import tomllib
from pathlib import Path

import pytest

import cdrl_cli
from cdrl_cli.checkpoints import registry
from cdrl_cli.checkpoints.registry import (
    HubSource,
    PackageSource,
    UrlSource,
    data_folder,
    distribution_folder,
    parse_manifest,
    read_manifest,
    select_entries,
)
from cdrl_cli.errors import UsageError

from .conftest import make_entry, make_unverified


@pytest.mark.parametrize("entry", read_manifest().values(), ids=lambda entry: entry.name)
def test_the_manifest_keeps_its_word(entry):
    assert entry.purpose
    assert entry.licence
    assert entry.embedded or entry.distribution or entry.sources
    assert not (entry.recommended and (entry.binds or not entry.can_be_fetched))
    for source in entry.sources:
        if isinstance(source, PackageSource):
            assert "==" in source.package


def test_no_two_entries_share_a_file():
    files = [entry.file for entry in read_manifest().values()]
    assert len(files) == len(set(files))


def test_every_entry_is_loaded_by_something():
    """By its name or its group in the code; a part of a group comes with the others."""
    package = Path(registry.__file__).parents[1]
    code = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    for entry in read_manifest().values():
        part = re.sub("-(permissive|research)$", "", entry.name)
        named = {entry.name, part, f"{entry.group}-model"}
        assert any(f'"{name}"' in code for name in named), entry.name


def test_the_wheel_of_spfem_carries_no_file_that_binds_a_user():
    for entry in read_manifest().values():
        if entry.embedded:
            assert entry.licence.startswith(("Apache-2.0", "MIT")), entry.name
        if "research" in entry.licence:
            assert entry.distribution == "spfem-weights-research", entry.name


def test_a_distribution_that_is_not_installed_has_no_folder():
    assert distribution_folder("spfem-weights-nobody-has") is None


def test_an_installed_distribution_is_found_by_its_package(tmp_path, monkeypatch):
    package = tmp_path / "spfem_weights_other"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert distribution_folder("spfem-weights-other") == package


def test_the_research_weights_have_the_version_of_spfem():
    project = Path(__file__).parents[2] / "weights" / "research" / "pyproject.toml"
    described = tomllib.loads(project.read_text("utf-8"))["project"]
    assert described["version"] == cdrl_cli.__version__


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
        {"sha256": None, "size": None, "distribution": "other"},
        {"embedded": True, "distribution": "other"},
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
    assert "identity, text," in str(caught.value.hint)


def test_the_users_folder_is_where_spfem_home_says(home, monkeypatch):
    assert data_folder() == home / "weights"
    monkeypatch.delenv("SPFEM_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert data_folder() == Path("/somewhere/spfem/weights")


def test_the_command_of_an_entry_can_be_typed():
    by_name = read_manifest()
    assert by_name["identity"].command == "spfem download-weights identity"
    assert by_name["text-tokenizer"].command == "spfem download-weights text"
    by_hand = make_unverified("pack-part", group="pack")
    assert by_hand.command == "spfem download-weights pack --from DIR --accept-licence"
    assert registry.read_manifest() is by_name
