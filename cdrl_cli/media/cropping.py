"""Pictures without their hidden borders, and pictures put together from tiles."""

from collections.abc import Sequence

import av
from av.filter import Graph

from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media.declared import Grid
from cdrl_cli.media.planes import editable_format, plane_arrays


class Cropper:
    """Cuts the borders off that a container hides, as its players do.

    Side data stay with the frames. Chroma samples are not split: of a border of an odd width one
    pixel is shown.

    Args:
        borders: Pixels of the coded picture: left, top, right, bottom.
    """

    def __init__(self, borders: tuple[int, int, int, int]) -> None:
        self._borders = borders
        self._graph: Graph | None = None
        self._size: tuple[int, int, str] | None = None

    @property
    def cuts(self) -> bool:
        """Whether anything was cut off the last picture."""
        return self._graph is not None

    def crop(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The part of a picture that is shown; all of it where the borders leave nothing."""
        size = (picture.width, picture.height, picture.format.name)
        if size != self._size:
            self._size, self._graph = size, self._make_graph(picture)
        if self._graph is None:
            return picture
        self._graph.push(picture)
        cropped = self._graph.pull()
        assert isinstance(cropped, av.VideoFrame)
        cropped.time_base = picture.time_base
        return cropped

    def _make_graph(self, picture: av.VideoFrame) -> Graph | None:
        step_x, step_y = 1, 1
        if len(picture.format.components) > 1:
            step_x = -(-picture.width // picture.format.chroma_width(picture.width))
            step_y = -(-picture.height // picture.format.chroma_height(picture.height))
        left, top, right, bottom = self._borders
        left, top = left // step_x * step_x, top // step_y * step_y
        width = picture.width - left - right // step_x * step_x
        height = picture.height - top - bottom // step_y * step_y
        if width < 1 or height < 1 or (width, height) == (picture.width, picture.height):
            return None
        graph = Graph()
        source = graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=av.VideoFormat(picture.format.name),
            time_base=picture.time_base,
        )
        crop = graph.add("crop", f"{width}:{height}:{left}:{top}:exact=1")
        source.link_to(crop)
        crop.link_to(graph.add("buffersink"))
        graph.configure()
        return graph


def join_tiles(tiles: Sequence[av.VideoFrame], grid: Grid) -> av.VideoFrame:
    """One picture of its tiles.

    Args:
        tiles: Row by row, all of one size.
        grid: How they lie.

    Raises:
        UnreadableInputError: If the tiles differ, or do not cover the picture.
    """
    first = tiles[0]
    layout = editable_format(first.format.name).format
    sizes = {(tile.width, tile.height, tile.format.name) for tile in tiles}
    covered = (first.width * grid.columns, first.height * grid.rows)
    if len(sizes) > 1 or covered[0] < grid.width or covered[1] < grid.height:
        raise UnreadableInputError("the tiles of the photo do not fit together")
    whole = av.VideoFrame(grid.width, grid.height, layout.name)
    whole.colorspace, whole.color_range = first.colorspace, first.color_range
    whole.pts, whole.time_base = 0, first.time_base
    targets = plane_arrays(whole, layout)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, grid.columns)
        if tile.format.name != layout.name:
            tile = tile.reformat(format=layout.name, threads=1)  # noqa: PLW2901
        for target, source, (dx, dy) in zip(
            targets, plane_arrays(tile, layout), layout.shifts, strict=True
        ):
            y, x = row * (first.height >> dy), column * (first.width >> dx)
            part = target[y : y + source.shape[0], x : x + source.shape[1]]
            part[...] = source[: part.shape[0], : part.shape[1]]
    return whole
