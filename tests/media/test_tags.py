import io

import av
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.media.tags import (
    _QUICKTIME_LANGUAGES,
    _QUICKTIME_NAMES,
    lasting_tags,
    merge_tags,
    need_general_form,
    quicktime_language,
    stream_tags,
)

tags = st.dictionaries(st.text("abcdefg", min_size=1, max_size=3), st.text(max_size=4))


@given(tags, tags)
def test_merging_twice_is_merging_once(source: dict[str, str], added: dict[str, str]) -> None:
    once = merge_tags(source, added)
    assert merge_tags(once, added) == once
    assert {key.lower() for key in once} >= {key.lower() for key in source}


def test_comment_goes_behind_the_comment_whatever_its_case() -> None:
    assert merge_tags({"COMMENT": "a"}, {"comment": "b"}) == {"COMMENT": "a; b"}
    assert merge_tags({"comment": ""}, {"comment": "b"}) == {"comment": "b"}


def test_brands_of_the_old_file_are_not_claimed() -> None:
    assert merge_tags({"major_brand": "isom", "title": "t", "ENCODER": "x"}, {}) == {"title": "t"}


def test_statistics_of_the_old_packets_are_not_claimed() -> None:
    old = {"BPS-eng": "1", "NUMBER_OF_FRAMES": "2", "_STATISTICS_TAGS": "x", "language": "eng"}
    assert lasting_tags(old) == {"language": "eng"}


def test_title_of_a_track_has_one_name() -> None:
    assert stream_tags({"name": "Main", "language": "eng"}) == {"title": "Main", "language": "eng"}
    assert stream_tags({"title": "Main"}) == {"title": "Main"}


def test_unusual_tags_need_the_general_form() -> None:
    assert not need_general_form({"title": "", "COMMENT": ""})
    assert need_general_form({"com.apple.quicktime.make": "Apple"})


def test_language_without_a_number_is_none() -> None:
    assert quicktime_language("tlh") is None
    assert quicktime_language("nld") == "dut"


def test_muxer_knows_every_language_we_say_it_does() -> None:
    names = sorted(_QUICKTIME_LANGUAGES | set(_QUICKTIME_NAMES.values()))
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as output:
        for name in names:
            stream = output.add_stream("pcm_s16le", rate=8000)
            stream.codec_context.layout = "mono"
            stream.metadata["language"] = name
        for stream in output.streams:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 8), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 8000, 0
            output.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    with av.open(file) as written:
        assert [stream.language for stream in written.streams] == names
