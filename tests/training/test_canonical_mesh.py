import struct
import zipfile
from collections import Counter

import numpy as np
import pytest
from conftest import require_weights
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.training.canonical_mesh import _fields, _varint, read_canonical_mesh
from heads import canonical_mesh

FACE_OVAL = {
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
}  # fmt: skip
"""MediaPipe's FACEMESH_FACE_OVAL."""


@pytest.fixture(scope="module")
def canonical():
    require_weights("face-landmarker")
    return read_canonical_mesh(find_weights("face-landmarker"))


def edges(triangles):
    return Counter(frozenset((int(t[k]), int(t[(k + 1) % 3]))) for t in triangles for k in range(3))


def test_it_is_mediapipes_mesh(canonical):
    vertices, triangles, oval = canonical
    assert vertices.shape == (468, 3)
    assert triangles.shape == (898, 3)
    assert set(triangles.ravel()) == set(range(468))
    assert set(oval) == FACE_OVAL
    assert len(oval) == 36


def test_the_copy_for_other_tests_is_the_same(canonical):
    for mine, copy in zip(canonical, canonical_mesh(), strict=True):
        np.testing.assert_array_equal(mine, copy)


def test_the_outline_is_closed_and_in_order(canonical):
    _, triangles, oval = canonical
    count = edges(triangles)
    around = list(zip(oval, np.roll(oval, -1), strict=True))
    assert all(count[frozenset(map(int, edge))] == 1 for edge in around)
    assert sum(n == 1 for n in count.values()) == len(around)


def test_no_edge_has_three_triangles(canonical):
    assert max(edges(canonical[1]).values()) == 2


def test_neighbouring_triangles_turn_alike(canonical):
    directed = Counter((int(t[k]), int(t[(k + 1) % 3])) for t in canonical[1] for k in range(3))
    assert max(directed.values()) == 1


def test_its_axes_are_those_of_head_space(canonical):
    vertices, _, _ = canonical
    right_eye, left_eye, nose, chin, forehead = vertices[[33, 263, 1, 152, 10]]
    assert right_eye[0] < 0 < left_eye[0]  # x to the right of the picture
    assert forehead[1] < nose[1] < chin[1]  # y down
    assert nose[2] < right_eye[2]  # z away from the camera


def test_it_is_symmetric(canonical):
    vertices, _, _ = canonical
    mirrored = vertices * (-1, 1, 1)
    nearest = np.linalg.norm(vertices[None] - mirrored[:, None], axis=2).min(axis=1)
    assert nearest.max() < 1e-3


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@given(st.integers(0, 2**64 - 1), st.binary(max_size=4))
def test_a_varint_is_read_to_its_end(number, rest):
    assert _varint(varint(number) + rest, 0) == (number, len(varint(number)))


@given(st.integers(0, 10**6), st.binary(max_size=300), st.floats(width=32, allow_nan=False))
def test_fields_come_out_as_they_went_in(number, blob, real):
    message = (
        varint(1 << 3) + varint(number)
        + varint(2 << 3 | 2) + varint(len(blob)) + blob
        + varint(300 << 3 | 5) + struct.pack("<f", real)
    )  # fmt: skip
    assert list(_fields(message)) == [(1, number), (2, blob), (300, real)]


def test_an_unknown_wire_type_is_refused():
    with pytest.raises(ValueError, match="wire type 1"):
        list(_fields(varint(1 << 3 | 1) + bytes(8)))


def test_a_bundle_without_a_mesh_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.task", "w"):
        pass
    with pytest.raises(KeyError):
        read_canonical_mesh(tmp_path / "empty.task")
