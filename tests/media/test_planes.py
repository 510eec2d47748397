import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.media.planes import (
    align_box,
    blend_planes,
    crop_planes,
    editable_format,
    planar_format,
    plane_arrays,
)

LAYOUTS = ("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le")
layouts = st.sampled_from(LAYOUTS).map(planar_format)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("yuv420p", "yuv420p"),
        ("yuvj422p", "yuvj422p"),
        ("nv12", "yuv420p"),
        ("nv24", "yuv444p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("yuv420p10be", "yuv420p10le"),
    ],
)
def test_formats_of_yuv_lose_nothing(name: str, target: str) -> None:
    editable = editable_format(name)
    assert (editable.format.name, editable.loss) == (target, None)


@pytest.mark.parametrize(
    ("name", "target", "word"),
    [
        ("rgb24", "yuv444p", "RGB"),
        ("pal8", "yuv444p", "RGB"),
        ("gbrp10le", "yuv444p10le", "RGB"),
        ("gray", "yuv420p", "no colour"),
        ("yuva444p10le", "yuv444p10le", "transparent"),
    ],
)
def test_other_formats_say_what_they_lose(name: str, target: str, word: str) -> None:
    editable = editable_format(name)
    assert editable.format.name == target
    assert word in (editable.loss or "")


@pytest.mark.parametrize(("name", "target"), [("nv12", "yuv420p"), ("p010le", "yuv420p10le")])
def test_half_planar_samples_keep_their_values(name: str, target: str) -> None:
    rng = np.random.default_rng(1)
    planar = av.VideoFrame(46, 34, target)
    layout = planar_format(target)
    for plane in plane_arrays(planar, layout):
        plane[...] = rng.integers(0, 1 << layout.bit_depth, plane.shape)
    # One thread, as the reader does: with several, swscale now and then loses a chroma row's end.
    there = planar.reformat(format=name, threads=1)
    there_and_back = there.reformat(format=target, threads=1)
    for before, after in zip(
        plane_arrays(planar, layout), plane_arrays(there_and_back, layout), strict=True
    ):
        np.testing.assert_array_equal(after, before)


@given(layouts, st.integers(1, 40), st.integers(1, 40), st.integers(0, 2), st.data())
def test_aligned_box_holds_the_box_and_whole_samples(
    layout, width: int, height: int, margin: int, data: st.DataObject
) -> None:
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    ox0, oy0, ox1, oy1 = align_box((x0, y0, x1, y1), width, height, layout, margin)
    assert 0 <= ox0 <= x0 < x1 <= ox1 <= width
    assert 0 <= oy0 <= y0 < y1 <= oy1 <= height
    assert ox0 % (1 << layout.chroma_shift_x) == oy0 % (1 << layout.chroma_shift_y) == 0
    assert ox1 == width or ox1 % (1 << layout.chroma_shift_x) == 0


@given(layouts, st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_blending_agrees_with_the_definition(layout, width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, patch = (
        av.VideoFrame(width, height, layout.name),
        av.VideoFrame(width, height, layout.name),
    )
    for frame in (target, patch):
        for plane in plane_arrays(frame, layout):
            plane[...] = rng.integers(0, 1 << layout.bit_depth, plane.shape)
    mask = (rng.random((height, width)) * rng.integers(0, 2, (height, width))).astype(np.float32)
    before = [plane.copy() for plane in plane_arrays(target, layout)]
    blend_planes(plane_arrays(target, layout), plane_arrays(patch, layout), mask, layout)
    for old, new, other, (dx, dy) in zip(
        before,
        plane_arrays(target, layout),
        plane_arrays(patch, layout),
        layout.shifts,
        strict=True,
    ):
        for row, column in np.ndindex(old.shape):
            served = mask[row << dy : (row + 1) << dy, column << dx : (column + 1) << dx]
            if not served.any():
                assert new[row, column] == old[row, column]
            elif (served == 1).all():
                assert new[row, column] == other[row, column]
            else:
                low, high = sorted((int(old[row, column]), int(other[row, column])))
                assert low <= new[row, column] <= high


def test_crop_of_an_odd_picture_keeps_the_last_chroma_column() -> None:
    layout = planar_format("yuv420p")
    planes = plane_arrays(av.VideoFrame(7, 5, "yuv420p"), layout)
    luma, first, second = crop_planes(planes, (4, 2, 7, 5), layout)
    assert (luma.shape, first.shape, second.shape) == ((3, 3), (2, 2), (2, 2))
