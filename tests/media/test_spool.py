import errno
import os
import threading
import time

import pytest

from cdrl_cli.errors import OutputError, UnreadableInputError
from cdrl_cli.media import spool
from cdrl_cli.media.spool import spool_input, spool_output, spool_pipe
from cdrl_cli.streams import is_pipe


@pytest.fixture
def stream(tmp_path):
    with (tmp_path / "stream").open("w+b") as file:
        yield file


def test_what_comes_in_is_a_file_for_a_while(stream):
    stream.write(b"video")
    stream.seek(0)
    with spool_input(stream, "stdin") as path:
        assert path.read_bytes() == b"video"
    assert not path.parent.exists()


def test_nothing_is_an_error(stream):
    with pytest.raises(UnreadableInputError, match="is empty"), spool_input(stream, "stdin"):
        pass


def test_a_stream_that_cannot_be_read_is_one(tmp_path):
    with (
        (tmp_path / "only").open("wb") as file,
        pytest.raises(UnreadableInputError, match="cannot be read"),
        spool_input(file, "stdin"),
    ):
        pass


def test_no_folder_for_temporary_files(stream, monkeypatch):
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(spool, "TemporaryDirectory", refuse)
    with pytest.raises(OutputError, match="Read-only file system"), spool_output(stream, ".mkv"):
        pass


def test_what_goes_out_is_whole_or_nothing(stream):
    with spool_output(stream, ".mkv") as path:
        path.write_bytes(b"video")
    stream.seek(0)
    assert stream.read() == b"video"


def test_a_reader_that_leaves_and_a_stream_that_is_full():
    reading, writing = os.pipe()
    os.close(reading)
    with (
        open(writing, "wb", buffering=0) as gone,  # noqa: PTH123 - a descriptor
        pytest.raises(BrokenPipeError),
        spool_output(gone, ".mkv") as path,
    ):
        path.write_bytes(b"video")
    with (
        open("/dev/full", "wb", buffering=0) as full,  # noqa: PTH123 - a device
        pytest.raises(OutputError, match="No space left"),
        spool_output(full, ".mkv") as path,
    ):
        path.write_bytes(b"video")


def test_a_pipe_by_name_is_read_to_its_end_however_slow(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert is_pipe(pipe)
    assert not is_pipe(tmp_path / "none")

    def feed() -> None:
        time.sleep(0.1)
        with pipe.open("wb", buffering=0) as file:
            for piece in (b"first", b"second"):
                time.sleep(0.1)
                file.write(piece)

    feeding = threading.Thread(target=feed)
    feeding.start()
    with spool_pipe(pipe) as path:
        assert path.read_bytes() == b"firstsecond"
    feeding.join()


def test_a_pipe_without_a_writer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "WRITER_PATIENCE_S", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UnreadableInputError, match="nobody writes"), spool_pipe(pipe):
        pass
    with pytest.raises(UnreadableInputError, match="No such file"), spool_pipe(tmp_path / "none"):
        pass
