from pathlib import Path

import pytest

from cdrl_cli.errors import PolicyError
from cdrl_cli.report.beside import Beside


@pytest.mark.parametrize("name", ["out.mp4", "./out.mp4", "joy.mp4"])
def test_a_comparison_replaces_neither_the_result_nor_what_is_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "joy.mp4").touch()
    with pytest.raises(PolicyError, match=r"is the result|is also an input"):
        Beside(("side", Path(name))).check(
            Path("out.mp4"), inputs=[Path("joy.mp4")], overwrite=True
        )


def test_other_names_are_free(tmp_path):
    beside = Beside(("side", tmp_path / "both.mp4"), tmp_path / "out.html")
    beside.check(tmp_path / "out.mp4", inputs=[tmp_path / "in.mp4"], overwrite=False)
