"""G.711, the telephone's sound: 8 kHz, a byte a sample, companded by the µ-law or the A-law (ITU-T G.711)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voice.audio import Pcm

TELEPHONE_RATE = 8_000
"""Hz"""
Law: TypeAlias = Literal["pcmu", "pcma"]


def decode(data: bytes, law: Law) -> Pcm:
    """A sample for each byte."""
    return Pcm.from_samples(_DECODED[law][np.frombuffer(data, np.uint8)], TELEPHONE_RATE)


def encode(pcm: Pcm, law: Law) -> bytes:
    """A byte for each sample.

    Raises:
        ValueError: `pcm` is not 8 kHz.
    """
    if pcm.rate != TELEPHONE_RATE:
        raise ValueError(f"Expected {TELEPHONE_RATE} Hz, got {pcm.rate}")
    return _ENCODED[law][pcm.samples.view(np.uint16)].tobytes()


def _expand_mu() -> NDArray[np.int16]:
    """int16[256]: the sample that each byte stands for; 14 bits, shifted up to 16."""
    code = ~np.arange(256, dtype=np.uint8)
    segment, step = (code >> 4 & 7).astype(int), (code & 15).astype(int)
    size = ((step << 3) + 0x84 << segment) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _expand_a() -> NDArray[np.int16]:
    """int16[256]: the sample that each byte stands for; 13 bits, shifted up to 16."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment, step = (code >> 4 & 7).astype(int), (code & 15).astype(int)
    size = np.where(segment, (step << 4) + 0x108 << np.maximum(segment - 1, 0), (step << 4) + 8)
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _compress(decoded: NDArray[np.int16]) -> NDArray[np.uint8]:
    """uint8[65536]: for each sample, as uint16, the byte that comes nearest."""
    order = np.argsort(decoded, kind="stable")
    levels = decoded[order].astype(int)
    middles = (levels[:-1] + levels[1:]) // 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16)
    return order[np.searchsorted(middles, samples, side="left")].astype(np.uint8)


_DECODED: dict[str, NDArray[np.int16]] = {"pcmu": _expand_mu(), "pcma": _expand_a()}
_ENCODED: dict[str, NDArray[np.uint8]] = {law: _compress(decoded) for law, decoded in _DECODED.items()}
