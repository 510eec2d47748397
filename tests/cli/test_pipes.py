import os
from threading import Thread

import pytest

from cdrl_cli.cli.pipes import read_source
from cdrl_cli.errors import UnreadableInputError


def test_errors_name_the_pipe_and_not_its_copy(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(b"video",))
    writer.start()
    with pytest.raises(UnreadableInputError) as caught, read_source(pipe) as copy:
        raise UnreadableInputError(f"{copy}: not a video", hint=f"spfem probe {copy}")
    writer.join()
    assert str(caught.value) == f"{pipe}: not a video"
    assert caught.value.hint == f"spfem probe {pipe}"
