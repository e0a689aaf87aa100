"""Networks of transformers' families, tiny and random, saved with their tokenizers and processors as a folder of weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = [
    "a",
    "the",
    "ripe",
    "tomato",
    "fresh",
    "green",
    "grass",
    "deep",
    "blue",
    "sea",
    "of",
    "and",
    "long",
    "story",
    "house",
]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SIDE = 32


def tokenizer(folder: Path, *, begin: str, end: str, pad: str, kinds: tuple[str, ...] = (), **options: Any) -> Any:
    """A tokenizer of WordPiece over a few words and single letters, with special tokens around a text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [p + c for p in ("", "##") for c in "abcdefghijklmnopqrstuvwxyz0123456789.,"]
    special = list(dict.fromkeys(k for k in (kinds or (pad, begin, end, "<unk>"))))
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS, *letters]) if word}
    inner = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    around = [(t, inner.token_to_id(t)) for t in (begin, end) if t]
    inner.post_processor = processors.TemplateProcessing(
        single=" ".join(filter(None, (begin, "$A", end))), special_tokens=around
    )
    names = {
        "unk_token": "<unk>",
        "pad_token": pad,
        **({"bos_token": begin} if begin else {}),
        "eos_token": end or None,
    }
    made = PreTrainedTokenizerFast(tokenizer_object=inner, **names, **options)
    made.save_pretrained(folder)
    return made


def _save(folder: Path, net: str, config: Any, *, seed: int = 0, **options: Any) -> None:
    """The network, each parameter moved from where it starts, so that no norm and no bias is without effect."""
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = getattr(transformers, net)(config).eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
            for name, buffer in made.named_buffers():
                if name.endswith(("running_mean", "running_var")):
                    buffer.add_(0.3 * torch.rand(buffer.shape))
    made.to(options.pop("dtype", torch.float32)).save_pretrained(folder, **options)


def bert(folder: Path, *, positions: int = 24, **options: Any) -> Path:
    from transformers import BertConfig

    words = tokenizer(folder, begin="<cls>", end="<sep>", pad="<pad>")
    _save(folder, "BertModel", BertConfig(vocab_size=len(words), max_position_embeddings=positions, **SMALL), **options)
    return folder


def distilbert(folder: Path) -> Path:
    from transformers import DistilBertConfig

    words = tokenizer(folder, begin="<cls>", end="<sep>", pad="<pad>")
    config = DistilBertConfig(
        vocab_size=len(words), max_position_embeddings=24, dim=16, n_layers=2, n_heads=2, hidden_dim=24
    )
    _save(folder, "DistilBertForSequenceClassification", config)
    return folder


def roberta(folder: Path, *, family: str = "XLMRoberta") -> Path:
    """26 positions, of which the first two are not used, so 24 tokens at most; padding is token 1."""
    import transformers

    words = tokenizer(folder, begin="<s>", end="</s>", pad="<pad>", kinds=("<s>", "<pad>", "</s>", "<unk>"))
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(words), max_position_embeddings=26, pad_token_id=1, bos_token_id=0, eos_token_id=2, **SMALL
    )
    _save(folder, f"{family}Model", config)
    return folder


def _text(folder: Path, family: str, **options: Any) -> Path:
    import transformers

    words = tokenizer(
        folder, begin="<cls>", end="<sep>", pad="<pad>", model_input_names=["input_ids", "attention_mask"]
    )
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(words), pad_token_id=0, max_position_embeddings=24, **SMALL, **options
    )
    _save(folder, f"{family}Model", config)
    return folder


def fnet(folder: Path) -> Path:
    """Mixes all tokens, padding with them."""
    return _text(folder, "FNet")


def deberta(folder: Path) -> Path:
    return _text(folder, "DebertaV2", relative_attention=True, pos_att_type=["p2c", "c2p"])


def modernbert(folder: Path) -> Path:
    return _text(folder, "ModernBert", cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2)


def mpnet(folder: Path) -> Path:
    return roberta(folder, family="MPNet")


def camembert(folder: Path) -> Path:
    return roberta(folder, family="Camembert")


def _writer(folder: Path, family: str, **options: Any) -> Path:
    """A network that writes, whose tokenizer begins each text with a token of its own."""
    import transformers

    words = tokenizer(folder, begin="<s>", end="", pad="<pad>", kinds=("<pad>", "<s>", "</s>", "<unk>"))
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(words), bos_token_id=1, eos_token_id=2, pad_token_id=0, **options
    )
    _save(folder, f"{family}Model", config)
    return folder


def gpt2(folder: Path) -> Path:
    return _writer(folder, "GPT2", n_embd=16, n_layer=2, n_head=2, n_positions=24)


def llama(folder: Path) -> Path:
    return _writer(folder, "Llama", max_position_embeddings=24, **SMALL)


def _picture(folder: Path, name: str, **options: Any) -> Any:
    import transformers

    made = getattr(transformers, name)(**options)
    made.save_pretrained(folder)
    return made


def _clip(folder: Path, *, family: str, processor: str, positions: int = 18) -> Path:
    import transformers

    siglip = family == "Siglip"
    words = tokenizer(
        folder,
        begin="" if siglip else "<start>",
        end="<end>",
        pad="<pad>" if siglip else "<end>",
        kinds=("<pad>", "<end>", "<unk>") if siglip else ("<start>", "<end>", "<unk>"),
        model_input_names=["input_ids"] if siglip else ["input_ids", "attention_mask"],
        model_max_length=positions,
    )
    text = {**SMALL, "vocab_size": len(words), "max_position_embeddings": positions, "projection_size": 16}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1 - siglip}
    vision = {**SMALL, "image_size": SIDE, "patch_size": 8}
    config = getattr(transformers, f"{family}Config")(text_config=text, vision_config=vision)
    _save(folder, f"{family}Model", config)
    _picture(
        folder,
        processor,
        size={"shortest_edge": SIDE} if not siglip else {"height": SIDE, "width": SIDE},
        **({} if siglip else {"crop_size": {"height": SIDE, "width": SIDE}}),
    )
    return folder


def clip(folder: Path, *, positions: int = 18) -> Path:
    return _clip(folder, family="CLIP", processor="CLIPImageProcessor", positions=positions)


def siglip(folder: Path) -> Path:
    return _clip(folder, family="Siglip", processor="SiglipImageProcessor")


def vit(folder: Path) -> Path:
    from transformers import ViTConfig

    _save(folder, "ViTForImageClassification", ViTConfig(image_size=SIDE, patch_size=8, **SMALL))
    _picture(folder, "ViTImageProcessor", size={"height": SIDE, "width": SIDE})
    return folder


def dinov2(folder: Path) -> Path:
    from transformers import Dinov2Config

    _save(folder, "Dinov2Model", Dinov2Config(image_size=SIDE, patch_size=8, mlp_ratio=2, **SMALL))
    crop = {"height": SIDE, "width": SIDE}
    _picture(folder, "BitImageProcessor", size={"shortest_edge": SIDE + 4}, crop_size=crop, do_convert_rgb=True)
    return folder


def dinov3(folder: Path) -> Path:
    """Its own processor needs torchvision; this one does the same."""
    from transformers import DINOv3ViTConfig

    _save(folder, "DINOv3ViTModel", DINOv3ViTConfig(image_size=SIDE, patch_size=8, num_register_tokens=2, **SMALL))
    _picture(folder, "ViTImageProcessor", size={"height": SIDE, "width": SIDE})
    return folder


def resnet(folder: Path) -> Path:
    from transformers import ResNetConfig

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    _save(folder, "ResNetForImageClassification", config)
    _picture(folder, "ConvNextImageProcessor", size={"shortest_edge": SIDE}, crop_pct=0.875)
    return folder


def convnext(folder: Path) -> Path:
    from transformers import ConvNextConfig

    _save(folder, "ConvNextModel", ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 2], num_stages=2))
    _picture(folder, "ConvNextImageProcessor", size={"shortest_edge": SIDE}, crop_pct=0.875)
    return folder


def swin(folder: Path) -> Path:
    from transformers import SwinConfig

    config = SwinConfig(image_size=SIDE, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
    _save(folder, "SwinModel", config)
    _picture(folder, "ViTImageProcessor", size={"height": SIDE, "width": SIDE})
    return folder


def videomae(folder: Path) -> Path:
    from transformers import VideoMAEConfig

    config = VideoMAEConfig(image_size=SIDE, patch_size=16, num_frames=4, tubelet_size=2, **SMALL)
    _save(folder, "VideoMAEModel", config)
    _picture(folder, "VideoMAEImageProcessor", size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return folder


def timesformer(folder: Path) -> Path:
    from transformers import TimesformerConfig

    _save(folder, "TimesformerModel", TimesformerConfig(image_size=SIDE, patch_size=16, num_frames=4, **SMALL))
    _picture(folder, "VideoMAEImageProcessor", size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return folder


def vivit(folder: Path) -> Path:
    from transformers import VivitConfig

    _save(folder, "VivitModel", VivitConfig(image_size=SIDE, num_frames=4, tubelet_size=[2, 16, 16], **SMALL))
    _picture(folder, "VivitImageProcessor", size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return folder


def _sound(folder: Path, name: str, **options: Any) -> None:
    import transformers

    getattr(transformers, name)(**options).save_pretrained(folder)


def whisper(folder: Path) -> Path:
    from transformers import WhisperConfig

    config = WhisperConfig(
        vocab_size=50,
        d_model=16,
        num_mel_bins=8,
        **{
            f"{p}_{k}": v
            for p in ("encoder", "decoder")
            for k, v in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 24))
        },
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    _save(folder, "WhisperForConditionalGeneration", config)
    _sound(folder, "WhisperFeatureExtractor", feature_size=8)
    return folder


def _wave(folder: Path, family: str, net: str = "Model", **options: Any) -> Path:
    import transformers

    how = {"conv_dim": (8, 8), "conv_kernel": (10, 3), "conv_stride": (40, 8), "num_feat_extract_layers": 2}
    more = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "vocab_size": 12}
    config = getattr(transformers, f"{family}Config")(**SMALL, **how, **more, **options)
    _save(folder, f"{family}{net}", config)
    _sound(folder, "Wav2Vec2FeatureExtractor", do_normalize=True)
    return folder


def wav2vec2(folder: Path) -> Path:
    return _wave(folder, "Wav2Vec2", "ForCTC")


def wav2vec2_stable(folder: Path) -> Path:
    return _wave(folder, "Wav2Vec2", do_stable_layer_norm=True, feat_extract_norm="layer")


def hubert(folder: Path) -> Path:
    return _wave(folder, "Hubert")


def wavlm(folder: Path) -> Path:
    return _wave(folder, "WavLM", num_buckets=20, max_bucket_distance=40)


def ast(folder: Path) -> Path:
    from transformers import ASTConfig

    how = {"patch_size": 8, "frequency_stride": 8, "time_stride": 8, "max_length": 128, "num_mel_bins": 16}
    _save(folder, "ASTModel", ASTConfig(**how, **SMALL))
    _sound(folder, "ASTFeatureExtractor", num_mel_bins=16, max_length=128)
    return folder


def clap(folder: Path, *, fusion: bool = False) -> Path:
    from transformers import ClapConfig

    audio = {
        "window_size": 4,
        "spec_size": 64,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "num_mel_bins": 16,
        "enable_fusion": fusion,
    }
    words = tokenizer(folder, begin="<s>", end="</s>", pad="<pad>", kinds=("<s>", "<pad>", "</s>", "<unk>"))
    text = {**SMALL, "vocab_size": len(words), "max_position_embeddings": 26, "pad_token_id": 1}
    _save(folder, "ClapModel", ClapConfig(text_config=text, audio_config=audio, projection_dim=16))
    how = {"sampling_rate": 16_000, "max_length_s": 2, "feature_size": 16, "fft_window_size": 512, "hop_length": 160}
    _sound(folder, "ClapFeatureExtractor", **how, frequency_max=8_000, truncation="fusion" if fusion else "rand_trunc")
    return folder


def clap_fusion(folder: Path) -> Path:
    return clap(folder, fusion=True)


TEXT: tuple[Callable[..., Path], ...] = (
    bert,
    distilbert,
    roberta,
    mpnet,
    camembert,
    clip,
    siglip,
    clap,
    deberta,
    modernbert,
    fnet,
)
IMAGE: tuple[Callable[..., Path], ...] = (vit, dinov2, dinov3, resnet, convnext, swin, clip, siglip)
VIDEO: tuple[Callable[..., Path], ...] = (videomae, timesformer, vivit)
AUDIO: tuple[Callable[..., Path], ...] = (wav2vec2, wav2vec2_stable, hubert, wavlm, ast, clap, clap_fusion)
