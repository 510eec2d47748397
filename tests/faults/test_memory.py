"""Memory that runs out is called so, and neither a bug nor a damaged file."""

import errno
import resource
import subprocess

import pytest

from cdrl_cli.errors import MemoryExhausted, raise_if_memory

from .conftest import Spfem, count


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        ImportError("libx.so: failed to map segment from shared object"),
        ValueError("Unable to allocate 12 GiB for an array"),
    ],
)
def test_every_library_s_words_are_known(error):
    with pytest.raises(MemoryExhausted):
        raise_if_memory(error)
    wrapped = ValueError("cannot be read")
    wrapped.__cause__ = error
    with pytest.raises(MemoryExhausted):
        raise_if_memory(wrapped)


@pytest.mark.parametrize("error", [ValueError("no"), OSError(errno.EIO, "Input/output error")])
def test_other_errors_stay_what_they_are(error):
    raise_if_memory(error)


@pytest.mark.parametrize("megabytes", [1200, *(
    pytest.param(m, marks=pytest.mark.slow) for m in (800, 1000, 1400, 1600, 1800, 2000)
)])  # fmt: skip
def test_an_edit_under_a_limit_ends_well_or_says_why(short, spfem: Spfem, megabytes):
    limit = megabytes * 1_000_000
    done = subprocess.run(
        spfem._command(("edit", short, "-e", "sad", "-o", "out.mkv")),
        cwd=spfem.folder,
        env=spfem.environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    if done.returncode:
        assert "error: memory " in done.stderr
        assert "Traceback" not in done.stderr
        assert "damaged" not in done.stderr
    assert spfem.visible() == (set() if done.returncode else {"out.mkv"})
    count("limits of memory")
