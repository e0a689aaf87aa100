"""Some frames of a video track, chosen by their time stamps, and decoded with as little work as will do.

Decoding is what costs: to read the packets of a track without decoding them takes a tenth of it or less. So all packets
of a usual file are held as they are, and which frame is on the screen at which moment is known exactly, whatever the
header says. Decoding then starts at the last key frame before a moment, passes over frames that no other frame refers
to, and jumps to the next key frame needed: with the packets at hand this never costs more than decoding through. Of a
file too long for that only the packets around each moment are fetched, by seeking, and the length is its header's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from plait.errors import MediaError
from plait.modalities.containers import MAX_FAULTS, Clock
from plait.types import Note

HELD_BYTES = 64 * 2**20  # a file whose packets are all held
HELD_PACKETS = 20_000  # 11 minutes at 30 frames a second
FETCHED_BYTES = 256 * 2**20  # what may be held of a long file
EARLIER = (0, 10, 100)  # seconds before a moment, tried in turn where a seek lands behind it
SKIPPING = ("h264", "hevc", "mpeg4", "msmpeg4", "mpeg1video", "mpeg2video", "h263")  # told frame by frame what to skip
MOST_DELAY = 16  # frames that a decoder may hold back to put them in order
NOTHING = "holds no frame that can be decoded"


class Tape(NamedTuple):
    """Packets in the order of decoding. A tick is one unit of `base` seconds."""

    packets: list[Any]
    ticks: np.ndarray  # (N,) int64: when the frame of each packet comes on the screen
    wanted: list[int]  # places in `packets` of the frames to be shown, ascending, each once
    begin: int  # the tick of the first frame
    base: float
    counted: bool  # H.264 in AVI: nothing says when a packet's frame is shown, so frames are counted


def wind(container: Any, stream: Any, size: int, frames: int, clock: Clock, note: Note) -> Tape:
    """Finds the frames on the screen at the middles of `frames` equal spans of a track. `size`: bytes of the file.
    Raises MediaError where no frame can be had."""
    base = float(stream.time_base or 0) or 1.0
    counted = container.format.name == "avi" and stream.codec_context.name in ("h264", "hevc")
    packets, reach = _held(container, stream, size, clock)
    moments = np.zeros(0)
    begin = 0
    if packets is None:
        begin, end = _length(container, stream, base, clock)
        moments = _moments(begin, end, frames)
        packets = _fetched(container, stream, moments, MOST_DELAY * counted, base, clock)
        if packets and (moments[-1] - max(map(_tick, packets))) * base > 2:
            note("holds fewer frames than its header says")
    if packets and packets[0].has_sidedata("encryption_info"):
        raise MediaError("its video is encrypted")
    ticks = np.array([_decoded_at(p) if counted else _tick(p) for p in packets], dtype=np.int64)
    places = _showable(packets, ticks)
    if not len(moments):
        begin, end = int(ticks[places[0]]), int(ticks[places[-1]]) + _lasts(packets[places[-1]], ticks[places])
        moments = _moments(begin, end, frames)
        claimed = stream.duration * base if stream.duration else (container.duration or 0) / 1e6
        found = (end - begin) * base if stream.duration else reach - begin * base
        if found < claimed - max(0.1, 0.02 * claimed):
            note(f"holds fewer frames than its header says: {found:.1f} s of {claimed:.1f} s")
    on_screen = np.searchsorted(ticks[places], moments, side="right") - 1
    wanted = sorted({int(places[max(0, i)]) for i in on_screen})
    return Tape(packets, ticks, wanted, begin, base, counted)


def _tick(packet: Any) -> int:
    return int(packet.dts or 0) if packet.pts is None else int(packet.pts)


def _decoded_at(packet: Any) -> int:
    return _tick(packet) if packet.dts is None else int(packet.dts)


def _moments(begin: int, end: int, frames: int) -> np.ndarray:
    """(frames,) ticks: the middles of equal spans."""
    return begin + (np.arange(frames) + 0.5) / frames * max(1, end - begin)


def _showable(packets: list[Any], ticks: np.ndarray) -> np.ndarray:
    """The places of packets that give a frame to be shown, in the order of the screen: not those that an edit list
    leaves out, nor those before the first key frame of a file that lost its beginning."""
    seen = np.array([not p.is_discard for p in packets], dtype=bool)
    seen[: next((i for i, p in enumerate(packets) if p.is_keyframe), 0)] = False
    places = np.flatnonzero(seen)
    if not len(places):
        raise MediaError(NOTHING)
    return places[np.argsort(ticks[places], kind="stable")]


def _lasts(packet: Any, ticks: np.ndarray) -> int:
    """How long the last frame stays on the screen: as it says, or as long as most."""
    return int(packet.duration or 0) or (int(np.median(np.diff(ticks))) if len(ticks) > 1 else 1)


def _packets(container: Any, clock: Clock, *streams: Any) -> Iterator[Any]:
    """Packets in the order of the file; damaged stretches are passed over."""
    import av

    faults, source = 0, container.demux(*streams)
    while faults < MAX_FAULTS:
        clock.check()
        try:
            packet = next(source)
        except (StopIteration, av.EOFError):
            return
        except av.FFmpegError:
            faults, source = faults + 1, container.demux(*streams)
            continue
        if packet.size:  # the last one is empty and stands for "no more"
            yield packet


def _held(container: Any, stream: Any, size: int, clock: Clock) -> tuple[list[Any] | None, float]:
    """All packets of the track, and the second at which the last track of the file ends. None where they are too many."""
    packets: list[Any] = []
    reach = 0.0
    if size > HELD_BYTES or stream.frames > HELD_PACKETS:
        return None, reach
    for packet in _packets(container, clock):
        if packet.time_base:
            reach = max(reach, float((_tick(packet) + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index == stream.index:
            packets.append(packet)
            if len(packets) > HELD_PACKETS:
                return None, reach
    return packets, reach


def _length(container: Any, stream: Any, base: float, clock: Clock) -> tuple[int, int]:
    """The first and the last tick of a long track, from its header, or, where that is silent, by reading on to its end."""
    begin = int(stream.start_time or 0)
    if stream.duration:
        return begin, begin + int(stream.duration)
    if container.duration:
        return begin, begin + int(container.duration / 1e6 / base)
    return begin, max((_tick(p) for p in _packets(container, clock, stream)), default=begin)


def _fetched(container: Any, stream: Any, moments: np.ndarray, more: int, base: float, clock: Clock) -> list[Any]:
    """The packets needed for the frames at these moments, each stretch from a key frame on, to `more` ticks after."""
    packets: list[Any] = []
    held = 0
    for moment in moments.tolist():
        last = _decoded_at(packets[-1]) if packets else None
        if last is not None and last > moment + more:
            continue
        window = _window(container, stream, moment, more, base, clock)
        new = [p for p in window if last is None or _decoded_at(p) > last]
        packets += new
        held += sum(p.size for p in new)
        if held > FETCHED_BYTES:
            raise MediaError(f"its key frames lie too far apart: more than {FETCHED_BYTES >> 20} MB to be decoded")
        if window and _decoded_at(window[-1]) <= moment + more:
            break  # the file has ended
    return packets


def _window(container: Any, stream: Any, moment: float, more: int, base: float, clock: Clock) -> list[Any]:
    """Packets from the last key frame before a moment to the first that is decoded more than `more` ticks after it."""
    import av

    window: list[Any] = []
    for earlier in EARLIER:
        try:
            container.seek(int(moment - earlier / base), stream=stream)
        except av.FFmpegError:
            continue
        window, held = [], 0
        for packet in _packets(container, clock, stream):
            if window or packet.is_keyframe:
                window.append(packet)
                held += packet.size
            if _decoded_at(packet) > moment + more or held > FETCHED_BYTES:
                break
        if window and _tick(window[0]) <= moment:
            break
    return window


def shown(tape: Tape, stream: Any, clock: Clock, note: Note) -> Iterator[tuple[int, Any]]:
    """(tick, frame) of the wanted frames, one after the other. Where one is damaged, the last good one before it."""
    faults: list[int] = []
    last = None
    for first, wanted in _runs(tape):
        moments = sorted(tape.ticks[wanted].tolist())
        earlier = None
        for tick, frame in _run(tape, stream.codec_context, first, wanted, faults, clock):
            while moments and tick > moments[0]:
                choice = earlier or (tick, frame)
                if choice is not last:
                    yield choice
                last = choice
                moments.pop(0)
            earlier = (tick, frame)
        if moments and earlier is not None and earlier is not last:
            yield earlier
            last = earlier
    if faults:
        note("its video track is damaged; what can be decoded is used")


def _runs(tape: Tape) -> list[tuple[int, list[int]]]:
    """Which stretches are decoded: (place of a key frame, places of the wanted frames up to the last of them)."""
    keys = [i for i, p in enumerate(tape.packets) if p.is_keyframe]
    runs: list[tuple[int, list[int]]] = []
    for place in tape.wanted:
        # a frame decoded after a key frame but shown before it needs the key frame before that
        first = next((k for k in reversed(keys) if k <= place and tape.ticks[k] <= tape.ticks[place]), 0)
        if runs and first <= runs[-1][1][-1] + 1:
            runs[-1][1].append(place)
        else:
            runs.append((first, [place]))
    return runs


def _run(
    tape: Tape, context: Any, first: int, wanted: list[int], faults: list[int], clock: Clock
) -> Iterator[tuple[int, Any]]:
    """(tick, frame) of those decoded on the way from a key frame to the last wanted one, in the order of the screen,
    without those that are neither wanted nor referred to."""
    import av

    chosen, skipping, count = set(wanted), context.name in SKIPPING and not tape.counted, first
    end = min(len(tape.packets), wanted[-1] + 1 + MOST_DELAY * tape.counted)
    for place in [*range(first, end), None]:
        clock.check()
        if skipping and place is not None:
            context.skip_frame = "DEFAULT" if place in chosen else "NONREF"
        try:
            frames = context.decode(None if place is None else tape.packets[place])
        except av.EOFError:
            break
        except av.FFmpegError:
            faults.append(first)
            if len(faults) > MAX_FAULTS:
                break
            continue
        for frame in frames:
            faults += [first] * frame.is_corrupt
            said = tape.ticks[min(count, len(tape.ticks) - 1)] if tape.counted else frame.pts
            count += 1
            yield int(frame.dts or 0) if said is None else int(said), frame
    context.flush_buffers()
