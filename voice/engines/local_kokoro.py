"""Kokoro-82M in Japanese: Open JTalk's readings, as the phonemes it was trained on, through its ONNX file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from voice.audio import VOICE_RATE, Pcm, join
from voice.engines.local_openjtalk import Reading, read
from voice.engines.local_pieces import HEADROOM

MAX_TOKENS = 510
"""What the model takes at once, without the two that enclose it; the voices have a style for each length up to it."""

# The phonemes of misaki's Japanese (hexgrad/misaki 0.7.4, misaki/ja.py, Apache-2.0), which Kokoro v1.0 was trained
# on: a broad IPA with ɨ after sibilants and palatals. Pitch accent has no place in it.
_SOUNDS = """
ア a イ i ウ ɯ エ e オ o    カ ka キ kʲi ク kɯ ケ ke コ ko    ガ ɡa ギ ɡʲi グ ɡɯ ゲ ɡe ゴ ɡo
サ sa シ ɕi ス sɨ セ se ソ so    ザ ʣa ジ ʥi ズ zɨ ゼ ʣe ゾ ʣo    タ ta チ ʨi ツ ʦɨ テ te ト to
ダ da ヂ ʥi ヅ zɨ デ de ド do    ナ na ニ ɲi ヌ nɯ ネ ne ノ no    ハ ha ヒ çi フ ɸɯ ヘ he ホ ho
バ ba ビ bʲi ブ bɯ ベ be ボ bo    パ pa ピ pʲi プ pɯ ペ pe ポ po    マ ma ミ mʲi ム mɯ メ me モ mo
ヤ ja ユ jɯ ヨ jo    ラ ɾa リ ɾʲi ル ɾɯ レ ɾe ロ ɾo    ワ βa ヰ i ヱ e ヲ o    ヴ vɯ    ヵ ka ヶ ke
ァ a ィ i ゥ ɯ ェ e ォ o ャ ja ュ jɯ ョ jo ヮ βa
イェ je ウィ βi ウェ βe ウォ βo    クァ kᵝa クィ kᵝi クェ kᵝe クォ kᵝo    グァ ɡᵝa グィ ɡᵝi グェ ɡᵝe グォ ɡᵝo
シェ ɕe シャ ɕa シュ ɕɨ ショ ɕo    ジェ ʥe ジャ ʥa ジュ ʥɨ ジョ ʥo    チェ ʨe チャ ʨa チュ ʨɨ チョ ʨo
ヂャ ʥa ヂュ ʥɨ ヂョ ʥo    ツァ ʦa ツィ ʦʲi ツェ ʦe ツォ ʦo    スィ sʲi ズィ zʲi
ティ tʲi テュ tʲɨ ディ dʲi デュ dʲɨ トゥ tɯ ドゥ dɯ    ニェ ɲe ニャ ɲa ニュ ɲɨ ニョ ɲo
ヒェ çe ヒャ ça ヒュ çɨ ヒョ ço    ファ ɸa フィ ɸʲi フェ ɸe フォ ɸo フュ ɸʲɨ フョ ɸʲo
ヴァ va ヴィ vʲi ヴェ ve ヴォ vo ヴュ bʲɨ ヴョ bʲo
キェ kʲe キャ kʲa キュ kʲɨ キョ kʲo    ギェ ɡʲe ギャ ɡʲa ギュ ɡʲɨ ギョ ɡʲo    ビャ bʲa ビュ bʲɨ ビョ bʲo
ピャ pʲa ピュ pʲɨ ピョ pʲo    ミャ mʲa ミュ mʲɨ ミョ mʲo    リャ ɾʲa リュ ɾʲɨ リョ ɾʲo
ッ ʔ ー ː ン ɴ
"""
_PHONEMES = dict(zip(_SOUNDS.split()[::2], _SOUNDS.split()[1::2], strict=True))
_MORA = re.compile("|".join(sorted(_PHONEMES, key=len, reverse=True)))

_NASALS = {
    **dict.fromkeys("mpb", "m"),
    **dict.fromkeys("kɡ", "ŋ"),
    **dict.fromkeys("ɲʨʥ", "ɲ"),
    **dict.fromkeys("ntdɾz", "n"),
}
"""ん takes the place of articulation of the sound after it."""

_MARKS = {
    **dict(zip("。．！？、，：；…「」『』（）", "..!?,,:;…“”“”()", strict=True)),
    "〜": "—",
    "−": ",",
}


def phonemes(readings: Sequence[Reading]) -> list[str]:
    """Each accent phrase in Kokoro's phonemes, with the space before it where it wants one; and the marks between.

    Heard back by Whisper, whole accent phrases came out a third better than single words, as misaki spaces them.
    """
    phrases: list[str] = []
    kana = ""
    for reading in [*readings, Reading("", joined=False)]:
        if reading.joined and kana and reading.kana not in _MARKS:
            kana += reading.kana
            continue
        if sounds := _say(kana):
            phrases.append(f" {sounds}" if phrases else sounds)
        elif kana in _MARKS:
            phrases.append(_MARKS[kana])
        kana = reading.kana
    return phrases


def _say(kana: str) -> str:
    sounds = [_PHONEMES[mora] for mora in _MORA.findall(kana)]
    return "".join(
        _NASALS.get(after[:1], "ɴ") if sound == "ɴ" else sound for sound, after in pairwise([*sounds, ""])
    )


class Kokoro:
    """Weights are loaded at the first use.

    `folder` holds model.onnx, vocab.json and voices_ja.npz.
    """

    def __init__(self, folder: Path, threads: int = 2) -> None:
        self._folder = folder
        self._threads = threads
        self._running = ort.RunOptions()

    def synthesise(self, text: str, speed: float = 1.0, speaker: str = "jf_alpha") -> Pcm:
        """24 kHz. Empty where there is nothing to say."""
        readings = read(text)
        if all(reading.kana in _MARKS for reading in readings):
            return Pcm(b"", VOICE_RATE)
        return join(self._infer(tokens, speed, speaker) for tokens in self._tokens(phonemes(readings)))

    def stop(self) -> None:
        """Let the `synthesise` that runs in another thread raise, and free the cores, after the step of the network it is at (0.2 s on two busy cores)."""
        self._running.terminate = True

    def _tokens(self, phrases: Sequence[str]) -> Iterator[list[int]]:
        """The token ids, in as few pieces of `MAX_TOKENS` as they fit in."""
        piece: list[int] = []
        for phrase in phrases:
            tokens = [self._vocabulary[p] for p in phrase if p in self._vocabulary]
            if piece and len(piece) + len(tokens) > MAX_TOKENS:
                yield piece
                piece = []
            piece += tokens
            while len(piece) > MAX_TOKENS:  # letters spelled out can make one endless phrase
                yield piece[:MAX_TOKENS]
                piece = piece[MAX_TOKENS:]
        if piece:
            yield piece

    def _infer(self, tokens: Sequence[int], speed: float, speaker: str) -> Pcm:
        self._running = running = ort.RunOptions()
        style = self._styles[speaker][len(tokens) - 1]
        (audio,) = self._session.run(
            None,
            {
                "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
                "style": style.reshape(1, 256),
                "speed": np.array([speed], dtype=np.float32),
            },
            running,
        )
        return Pcm.from_floats(np.asarray(audio).reshape(-1) * HEADROOM, VOICE_RATE)

    @cached_property
    def _session(self) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        # Spinning threads fight each other for the cores that the chat model is using.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return ort.InferenceSession(
            str(self._folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        vocabulary: dict[str, int] = json.loads((self._folder / "vocab.json").read_text(encoding="utf-8"))[
            "vocab"
        ]
        return vocabulary

    @cached_property
    def _styles(self) -> dict[str, NDArray[np.float32]]:
        with np.load(self._folder / "voices_ja.npz") as styles:
            return dict(styles)
