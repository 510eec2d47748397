import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import cdrl_cli
from cdrl_cli import errors


def test_all_is_sorted_and_every_name_loads():
    assert cdrl_cli.__all__ == sorted(cdrl_cli.__all__)
    for name in cdrl_cli.__all__:
        assert getattr(cdrl_cli, name).__name__ == name


def test_every_error_is_public():
    tree = {errors.SpfemError, *errors.SpfemError.__subclasses__()}
    assert {error.__name__ for error in tree} <= set(cdrl_cli.__all__)


def test_codes_of_errors_are_distinct():
    children = errors.SpfemError.__subclasses__()
    assert len({error.code for error in children}) == len(children)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'edit_vidoe'"):
        cdrl_cli.edit_vidoe  # noqa: B018 - the access is the test


def test_importing_the_package_is_cheap():
    program = (
        "import sys, cdrl_cli; "
        "print(sorted({'torch', 'numpy', 'av', 'cv2', 'onnxruntime', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_an_edit_imports_nothing_that_it_has_no_use_for():
    program = (
        "import sys, cdrl_cli.editing, cdrl_cli.checkpoints.models; "
        "print(sorted({'jaxtyping', 'asyncio', 'unittest', 'importlib.metadata', 'filelock', "
        "'urllib.request', 'numpy.ma'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_verb_of_the_command_line_is_a_function_too():
    verbs = {"edit_video", "probe_video", "inspect_video", "embed_clip", "run_batch"}
    assert verbs <= set(cdrl_cli.__all__)


def test_a_batch_runs_by_the_public_names_alone(tmp_path):
    manifest = tmp_path / "rows.csv"
    manifest.write_text("source,emotion,output\ngone.mp4,sad,out.mp4\n")
    rows = cdrl_cli.read_manifest(manifest, defaults=cdrl_cli.RowDefaults(preset="ultrafast"))
    summary = cdrl_cli.run_batch(rows, tmp_path / "results.jsonl")
    assert isinstance(summary, cdrl_cli.BatchSummary)
    assert (summary.rows, summary.failed) == (1, 1)


def test_paths_and_controls_may_be_text():
    asked = cdrl_cli.EditOptions(reference="joy.mp4", who="jane.jpg", adjust="smile=.3")
    assert (asked.reference, asked.who) == (Path("joy.mp4"), Path("jane.jpg"))
    assert asked.adjust == cdrl_cli.Adjustment((("smile", 0.3),))
    for look in (cdrl_cli.inspect_video, cdrl_cli.probe_video, cdrl_cli.embed_clip):
        with pytest.raises(cdrl_cli.UnreadableInputError, match=r"gone\.mp4: no such file"):
            look("gone.mp4")
    with pytest.raises(cdrl_cli.UnreadableInputError, match=r"gone\.mp4: no such file"):
        cdrl_cli.edit_video("gone.mp4", "out.mp4", asked)
    with pytest.raises(cdrl_cli.UnreadableInputError, match=r"gone\.csv: cannot be read"):
        cdrl_cli.read_manifest("gone.csv")


def test_the_package_says_that_it_is_typed():
    assert resources.files("cdrl_cli").joinpath("py.typed").is_file()


def test_the_version_is_that_of_the_newest_release_in_the_changelog():
    changelog = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == cdrl_cli.__version__
