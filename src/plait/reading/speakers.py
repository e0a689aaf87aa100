"""How several channels of a sound become one: all alike, or as loud as their loudspeakers are heard, where these are named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MASK = ("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR")  # bits of WAVEFORMATEXTENSIBLE, in order
_SIDE = 0.5**0.5 / 2
SHARES = {
    **{"FL": 0.5, "FR": 0.5, "FC": 0.5**0.5, "LFE": 0.0},
    **{"BL": _SIDE, "BR": _SIDE, "SL": _SIDE, "SR": _SIDE, "BC": 0.5},
}


def shares(names: Sequence[str]) -> np.ndarray | None:
    """(channels,) float32: how much of each channel is in the one, as ITU-R BS.775 mixes 3/2 down to one, less 3 dB: so two
    in front are averaged, a voice in the centre stays 3 dB below what it was, and the low-frequency channel is left out.
    None where a loudspeaker is not named there, is named twice, or nothing would be left: all channels then count alike."""
    known = [SHARES.get(name) for name in names]
    if len(names) < 3 or None in known or len(set(names)) < len(names) or not any(known):
        return None
    return np.array(known, np.float32)


def named(mask: int, channels: int) -> list[str]:
    """The loudspeakers of the channels of a WAV, in order, by the mask in its header; none where it does not name each."""
    names = [name for bit, name in enumerate(MASK) if mask >> bit & 1]
    return names if len(names) == channels and not mask >> len(MASK) else []
