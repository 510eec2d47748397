"""Films of few frames: a long time to part into segments, and little to edit."""

from pathlib import Path

import av


def slow_down(source: Path, output: Path, *, frames: int, times: int, repeats: int = 1) -> Path:
    """Write the first pictures of a clip, each shown for longer; their packets are the source's.

    Args:
        source: The clip.
        output: The film.
        frames: Packets that are taken of it.
        times: How much longer each picture is shown.
        repeats: How often they are shown, one after the other.

    Returns:
        ``output``.
    """
    with av.open(str(source)) as read, av.open(str(output), "w") as written:
        video = read.streams.video[0]
        target = written.add_stream_from_template(video)
        packets = [packet for packet in read.demux(video) if packet.size][:frames]
        length = sum(packet.duration for packet in packets)
        for number in range(repeats):
            for packet in packets:
                slow = av.Packet(bytes(packet))
                slow.stream, slow.time_base = target, video.time_base
                slow.pts = (packet.pts + number * length) * times
                slow.dts = (packet.dts + number * length) * times
                slow.duration, slow.is_keyframe = packet.duration * times, packet.is_keyframe
                written.mux(slow)
    return output
