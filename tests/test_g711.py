"""G.711 against the values of its standard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.audio import Pcm
from voice.g711 import TELEPHONE_RATE, Law, decode, encode

LAWS: list[Law] = ["pcmu", "pcma"]


@pytest.mark.parametrize(
    ("law", "byte", "sample"),
    [
        ("pcmu", 0xFF, 0),
        ("pcmu", 0x80, 32124),
        ("pcmu", 0x00, -32124),
        ("pcmu", 0xFE, 8),
        ("pcma", 0xD5, 8),
        ("pcma", 0x55, -8),
        ("pcma", 0xAA, 32256),
        ("pcma", 0x2A, -32256),
    ],
)
def test_bytes_stand_for_the_samples_of_the_standard(law: Law, byte: int, sample: int) -> None:
    assert decode(bytes([byte]), law).samples[0] == sample


@pytest.mark.parametrize("law", LAWS)
def test_every_byte_survives_the_way_there_and_back(law: Law) -> None:
    every = decode(bytes(range(256)), law)
    assert decode(encode(every, law), law) == every


@given(st.sampled_from(LAWS), st.integers(-32768, 32767))
def test_a_sample_comes_back_within_the_companding_step(law: Law, sample: int) -> None:
    pcm = Pcm.from_samples(np.array([sample], np.int16), TELEPHONE_RATE)
    back = int(decode(encode(pcm, law), law).samples[0])
    assert abs(back - sample) <= max(16, abs(sample) // 30)


def test_only_the_telephones_rate_is_taken() -> None:
    with pytest.raises(ValueError, match="8000"):
        encode(Pcm(b"", 24_000), "pcmu")
