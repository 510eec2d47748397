import json
from pathlib import Path

import pytest

from cdrl_cli.checkpoints import registry
from cdrl_cli.cli.app import run
from cdrl_cli.cli.progress import show_transfers

from ..checkpoints.conftest import (  # noqa: F401 - fixtures
    CONTENT,
    find_links,
    home,
    make_entry,
    make_unverified,
    make_wheel,
    package_source,
)

STATE = {
    "name": str,
    "group": (str, type(None)),
    "purpose": str,
    "licence": str,
    "binds": bool,
    "size": (int, type(None)),
    "sha256": (str, type(None)),
    "embedded": bool,
    "distribution": (str, type(None)),
    "recommended": bool,
    "can_be_fetched": bool,
    "present": bool,
    "verified": bool,
    "path": str,
    "remedy": str,
}


@pytest.fixture
def known(monkeypatch, find_links):  # noqa: F811
    """A manifest of our own: one part recommended, one under terms, one by hand."""
    make_wheel(find_links, {"part/part.onnx": CONTENT, "part/bound.onnx": b"bound"})
    entries = [
        make_entry("part", package_source(), recommended=True),
        make_entry(
            "bound",
            package_source("part/bound.onnx"),
            content=b"bound",
            binds=True,
            terms="https://example.org/terms",
        ),
        make_unverified(),
    ]
    manifest = {entry.name: entry for entry in entries}
    monkeypatch.setattr(registry, "read_manifest", lambda: manifest)
    return manifest


def answer(capsys):
    return json.loads(capsys.readouterr().out)


def test_list_as_json_is_one_array_with_every_field(capsys, home):  # noqa: F811
    assert run(["download-weights", "--list", "--json"]) == 0
    listed = answer(capsys)
    assert [state["name"] for state in listed] == list(registry.read_manifest())
    for state in listed:
        assert state.keys() == STATE.keys()
        for field, kinds in STATE.items():
            assert isinstance(state[field], kinds), field
        assert (
            state["verified"]
            == state["present"]
            == (state["embedded"] or state["distribution"] is not None)
        )
    assert not home.exists()


def test_list_is_a_table_for_people(capsys, known):
    assert run(["download-weights", "--list"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].split() == ["NAME", "GROUP", "SIZE", "STATE", "LICENCE", "PURPOSE"]
    assert lines[1].split() == ["part", "1.0", "MB", "recommended", "MIT", "a", "test"]
    assert "by hand" in lines[3]
    assert "MIT (to accept)" in lines[3]


def test_without_names_the_recommended_ones_come(capsys, known):
    assert run(["download-weights", "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    got = json.loads(out)
    folder = registry.data_folder()
    assert got == {
        "folder": str(folder),
        "weights": [
            {
                "name": "part",
                "path": str(folder / "part.onnx"),
                "size": len(CONTENT),
                "sha256": known["part"].sha256,
                "source": "package spfem-test-part==1.0",
            }
        ],
    }
    run(["download-weights", "--json"])
    assert answer(capsys)["weights"][0]["source"] is None


def test_a_person_reads_what_came_from_where(capsys, known):
    assert run(["download-weights", "part"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    digest = known["part"].sha256
    assert err == f"part: 1.0 MB from package spfem-test-part==1.0, sha256 {digest}\n"


def test_terms_that_bind_are_refused_with_exit_code_6_and_their_place(capsys, known):
    assert run(["download-weights", "bound", "--json"]) == 6
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == "refused"
    assert err == (
        "error: weights 'bound' come with terms to accept: MIT\n"
        "hint: read https://example.org/terms; if you accept: "
        "spfem download-weights bound --accept-licence\n"
    )
    assert run(["download-weights", "bound", "--accept-licence"]) == 0


def test_what_must_be_fetched_by_hand_says_how(capsys, known):
    assert run(["download-weights", "byhand", "--accept-licence"]) == 4
    assert "get it from https://example.org/pack.zip" in capsys.readouterr().err


def test_an_import_prints_the_digest_it_found(capsys, known, tmp_path):
    (tmp_path / "byhand.onnx").write_bytes(CONTENT)
    words = ["download-weights", "byhand", "--from", str(tmp_path), "--accept-licence"]
    assert run(words) == 0
    assert f"sha256 {known['part'].sha256}" in capsys.readouterr().err


def test_an_import_without_names_takes_what_there_is(capsys, known, tmp_path):
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "renamed").write_bytes(b"bound")
    words = ["download-weights", "--from", str(stick), "--accept-licence", "--json"]
    assert run(words) == 0
    assert [weights["name"] for weights in answer(capsys)["weights"]] == ["bound"]
    assert run(["download-weights", "--from", str(tmp_path / "nowhere")]) == 5
    assert run(["download-weights", "part", "--from", str(stick)]) == 4


@pytest.mark.parametrize("as_json", [True, False])
def test_verify_finds_a_damaged_file(capsys, known, as_json):
    json_ = ["--json"] if as_json else []
    assert run(["download-weights", "part", "-q"]) == 0
    assert run(["download-weights", "--verify", *json_]) == 0
    path = registry.data_folder() / "part.onnx"
    path.write_bytes(CONTENT[1:])
    capsys.readouterr()
    assert run(["download-weights", "--verify", *json_]) == 4
    out, err = capsys.readouterr()
    assert err.startswith(f"error: weights 'part' are damaged: {path} has sha256")
    assert "hint: spfem download-weights part\n" in err
    if as_json:
        (state,) = json.loads(out)
        assert (state["present"], state["verified"]) == (True, False)
    else:
        assert "DAMAGED" in out


@pytest.mark.parametrize(
    "words",
    [["--list", "--verify"], ["--list", "--from", "."], ["idnetity"], ["--nope"]],
)
def test_wrong_words_are_usage_errors(capsys, known, words):
    assert run(["download-weights", *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_long_download_writes_plain_lines_into_a_log(capsys, monkeypatch):
    monkeypatch.setattr("cdrl_cli.cli.progress.LOG_INTERVAL_S", 0.0)
    with show_transfers(quiet=False) as progress:
        progress("part==1.0", 0, None)
        progress("part.onnx", 1_500_000, 3_000_000)
    assert capsys.readouterr().err == (
        "downloading part==1.0\ndownloading part.onnx: 1.5 of 3.0 MB\n"
    )


def test_embedded_weights_need_no_download(capsys, home):  # noqa: F811
    assert run(["download-weights", "face-landmarks", "--json", "-q"]) == 0
    (state,) = answer(capsys)["weights"]
    assert state["source"] is None
    assert Path(state["path"]).is_file()
    assert not home.exists()


def test_a_file_of_another_package_says_which(capsys, monkeypatch, home):  # noqa: F811
    monkeypatch.setattr(registry, "distribution_folder", lambda _: None)
    assert run(["download-weights", "core-research"]) == 4
    err = capsys.readouterr().err
    assert "they come with the package spfem-weights-research" in err
    assert "hint: pip install spfem-weights-research==" in err
    assert run(["download-weights", "core-research", "--list"]) == 0
    assert "package" in capsys.readouterr().out
