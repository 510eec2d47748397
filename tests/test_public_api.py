import subprocess
import sys

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
        "print(sorted({'torch', 'numpy', 'av', 'cv2', 'mediapipe', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
