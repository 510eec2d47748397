import json
import subprocess

import numpy as np
import pytest
from clips import Clip, make_clip

from cdrl_cli.media.provenance import PARTLY_GENERATED, Provenance, add_xmp
from cdrl_cli.media.xmp import is_readable, make_packet, read_xmp

from .contract import edit_clip, read_packets, read_video, tags_of

WHAT = 'AI-edited: "<joy>" & é'
MARK = Provenance(WHAT)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "source.mp4"
    return make_clip(path, Clip(frames=5, tags={"title": "A talk"}))


def read_mark(path):
    """What exiftool, an independent reader, finds: group and name to value."""
    command = ["exiftool", "-json", "-groupNames", "-validate", "-warning", path]
    names = ["-DigitalSourceType", "-CreatorTool", "-Description"]
    done = subprocess.run([*command, *names], capture_output=True, check=True)
    (found,) = json.loads(done.stdout)
    assert found.pop("ExifTool:Validate") == "OK"
    del found["SourceFile"]
    return found


@pytest.mark.exiftool
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_others_read_the_mark_as_xmp(source, tmp_path, suffix):
    output = tmp_path / f"out{suffix}"
    edit_clip(source, output, provenance=MARK)
    found = read_mark(output)
    assert found["XMP:DigitalSourceType"] == PARTLY_GENERATED
    assert found["XMP:Description"] == WHAT
    assert found["XMP:CreatorTool"].startswith("spfem ")


@pytest.mark.exiftool
@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_others_read_the_mark_as_a_tag_where_there_is_no_xmp(source, tmp_path, suffix):
    output = tmp_path / f"out{suffix}"
    edit_clip(source, output, provenance=MARK)
    assert read_mark(output) == {"Matroska:DigitalSourceType": PARTLY_GENERATED}


@pytest.mark.exiftool
@pytest.mark.parametrize("tags", [{}, {"title": "A talk"}])
def test_the_movies_user_data_are_added_where_there_are_none(tmp_path, tags):
    source = make_clip(tmp_path / "source.mp4", Clip(audio=(), frames=2, tags=tags))
    edit_clip(source, tmp_path / "out.mov", provenance=MARK)
    assert read_mark(tmp_path / "out.mov")["XMP:DigitalSourceType"] == PARTLY_GENERATED


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_but_for_the_mark_the_file_is_the_same(source, tmp_path, suffix):
    plain, marked = tmp_path / f"plain{suffix}", tmp_path / f"marked{suffix}"
    edit_clip(source, plain)
    edit_clip(source, marked, provenance=MARK)
    assert read_packets(marked) == read_packets(plain)
    assert tags_of(marked) == tags_of(plain)
    before, after = read_video(plain), read_video(marked)
    assert after.times == before.times
    np.testing.assert_equal(after.planes, before.planes)
    grown = marked.stat().st_size - plain.stat().st_size
    assert len(MARK.packet()) < grown < len(MARK.packet()) + 40


@pytest.mark.exiftool
def test_a_movie_that_is_not_the_last_box_gets_one_behind_it(source, tmp_path):
    output = tmp_path / "out.mov"
    edit_clip(source, output)
    with output.open("ab") as file:
        file.write(b"\0\0\0\x08free")
    add_xmp(output, MARK.packet(), is_quicktime=True)
    assert read_mark(output)["XMP:DigitalSourceType"] == PARTLY_GENERATED


OF_A_CAMERA = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<r:Description r:about="" xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:a="http://ns.adobe.com/xap/1.0/" xmlns:m="http://ns.adobe.com/xap/1.0/mm/"
 a:Rating="4" a:CreatorTool="A camera" m:InstanceID="xmp.iid:1"
 i:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">
<d:title xmlns:d="http://purl.org/dc/elements/1.1/"><r:Alt><r:li xml:lang="x-default">It's a talk
</r:li></r:Alt></d:title></r:Description></r:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


@pytest.mark.exiftool
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_what_the_source_says_of_itself_is_kept(source, tmp_path, suffix):
    output = tmp_path / f"out{suffix}"
    edit_clip(source, output, provenance=Provenance(WHAT, OF_A_CAMERA))
    # Edited once more: two events, one source type.
    again = make_packet("again", PARTLY_GENERATED, read_xmp(output))
    edit_clip(source, tmp_path / f"new{suffix}", provenance=Provenance("third", again.decode()))
    command = ["exiftool", "-json", "-XMP:all", "-validate", tmp_path / f"new{suffix}"]
    (found,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert found["DigitalSourceType"] == PARTLY_GENERATED
    assert (found["Title"].strip(), found["Rating"]) == ("It's a talk", 4)
    assert found["CreatorTool"] == "A camera"
    assert found["HistoryParameters"] == [WHAT, "again", "third"]
    assert "InstanceID" not in found
    assert found["Validate"] == "OK"


@pytest.mark.parametrize("packet", ["", "no <xml", "<a/>", f"<!DOCTYPE a>{OF_A_CAMERA}"])
def test_damaged_xmp_is_not_kept(packet):
    assert not is_readable(packet)
    assert make_packet("a", "b", packet) == make_packet("a", "b")


@pytest.mark.parametrize(
    ("suffix", "packet", "why"),
    [(".mkv", OF_A_CAMERA, "cannot hold it"), (".mp4", "no <xml", "is damaged")],
)
def test_a_warning_says_what_could_not_be_kept(source, tmp_path, suffix, packet, why):
    edited = edit_clip(source, tmp_path / f"out{suffix}", provenance=Provenance(WHAT, packet))
    (line,) = [line for line in edited.warnings if "XMP" in line]
    assert why in line
