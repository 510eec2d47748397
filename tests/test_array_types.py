import subprocess
import sys

import jaxtyping
import numpy as np

from cdrl_cli import array_types


def test_shapes_are_checked_where_jaxtyping_is_in_use():
    assert array_types.Float is jaxtyping.Float
    assert all(hasattr(jaxtyping, name) for name in array_types.__all__)


def test_an_edit_pays_nothing_for_them():
    program = (
        "import numpy as np; from cdrl_cli import array_types as types; "
        "print(all(getattr(types, name)[np.ndarray, 'rows'] is np.ndarray "
        "for name in types.__all__))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
    assert np.ndarray is not array_types.Float[np.ndarray, " rows"]
