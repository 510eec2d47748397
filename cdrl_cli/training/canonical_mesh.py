"""The landmarker's own mesh, read out of its bundle.

The ``.task`` file is a zip; its geometry metadata is a protobuf (MediaPipe's
``face_geometry.proto.GeometryPipelineMetadata``) whose first field is the canonical mesh:
468 vertices of (x, y, z, u, v) and the corner indices of 898 triangles.
"""

import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float, Int32
from cdrl_cli.face.landmarks import MESH_LANDMARKS

_METADATA = "geometry_pipeline_metadata_landmarks.binarypb"
_VARINT, _BYTES, _FLOAT = 0, 2, 5
"""Protobuf's wire types that occur here."""

_MESH_FIELD, _VERTEX_FIELD, _INDEX_FIELD = 1, 3, 4


def read_canonical_mesh(
    landmarker_file: Path,
) -> tuple[Float[np.ndarray, "468 3"], Int32[np.ndarray, "898 3"], Int32[np.ndarray, " 36"]]:
    """Vertices (head-space axes, centimetres), triangles, and the outline in order around it."""
    with zipfile.ZipFile(landmarker_file) as bundle:
        metadata = bundle.read(_METADATA)
    mesh = next(value for field, value in _fields(metadata) if field == _MESH_FIELD)
    assert isinstance(mesh, bytes)
    fields = list(_fields(mesh))
    vertices = np.array([v for f, v in fields if f == _VERTEX_FIELD], float).reshape(-1, 5)
    triangles = np.array([v for f, v in fields if f == _INDEX_FIELD], np.int32).reshape(-1, 3)
    assert len(vertices) == MESH_LANDMARKS
    # The bundle has y up and z towards the camera; half a turn about x gives head space.
    return vertices[:, :3] * (1, -1, -1), triangles, _outline(triangles)


def _outline(triangles: Int32[np.ndarray, "triangles 3"]) -> Int32[np.ndarray, " rim"]:
    """The edges that only one triangle has, chained."""
    directed = [(int(t[k]), int(t[(k + 1) % 3])) for t in triangles for k in range(3)]
    count = Counter(frozenset(edge) for edge in directed)
    following = dict(edge for edge in directed if count[frozenset(edge)] == 1)
    rim = [min(following)]
    while following[rim[-1]] != rim[0]:
        rim.append(following[rim[-1]])
    return np.array(rim, np.int32)


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Field number and value of each protobuf field, in order."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
        elif kind == _BYTES:
            length, place = _varint(message, place)
            yield key >> 3, message[place : place + length]
            place += length
        elif kind == _FLOAT:
            yield key >> 3, struct.unpack_from("<f", message, place)[0]
            place += 4
        else:
            raise ValueError(f"unexpected protobuf wire type {kind}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, place
        shift += 7
