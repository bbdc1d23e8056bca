"""A tiny tokenizer of Qwen2's kind, with the side files of a real checkpoint folder, so that prompts can be compared id for id."""

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoProcessor

from families import PLAIN_ADDED_TOKENS, SEQUENCE_IDS, SPECIAL_TOKENS, TOKEN_ID, TOKENIZER_VOCABULARY, write_json

HERE = Path(__file__).parent
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

# Pixel limits are lowered from the real checkpoints' (3136 to 12845056, 65536 to 16777216) so that an image is at most 16 tokens.
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
IMAGE_PROCESSORS = {
    "qwen2_5_vl": {
        "min_pixels": 3136,
        "max_pixels": 112 * 112,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
    },
    "qwen3_vl": {
        "size": {"longest_edge": 128 * 128, "shortest_edge": 64 * 64},
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "processor_class": "Qwen3VLProcessor",
        "image_processor_type": "Qwen2VLImageProcessorFast",
    },
}
GENERATION = {
    "qwen2_5_vl": {"do_sample": True, "repetition_penalty": 1.05, "temperature": 0.000001, "transformers_version": "4.49.0"},
    "qwen3_vl": {"do_sample": True, "top_p": 0.8, "top_k": 20, "temperature": 0.7, "repetition_penalty": 1.0, "transformers_version": "4.56.0"},
}


def train() -> Tokenizer:
    """Byte-level BPE on corpus.txt: 256 bytes, merges up to TOKENIZER_VOCABULARY, then the added tokens in Qwen's order."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENIZER_VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train([str(HERE / "corpus.txt")], trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in PLAIN_ADDED_TOKENS])
    for token, expected in TOKEN_ID.items():
        if tokenizer.token_to_id(token) != expected:
            raise RuntimeError(f"{token} has id {tokenizer.token_to_id(token)}, the configurations say {expected}: is corpus.txt too short?")
    return tokenizer


def tokenizer_config() -> dict:
    decoder = {
        str(id): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": token in SPECIAL_TOKENS,
        }
        for token, id in TOKEN_ID.items()
    }
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": decoder,
        "additional_special_tokens": SPECIAL_TOKENS[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def make(out: Path) -> None:
    tokenizer = train()
    for family, image_processor in IMAGE_PROCESSORS.items():
        folder = out / family
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        template = (HERE / "templates" / f"{family}.jinja").read_text(encoding="utf-8").rstrip("\n")
        config = tokenizer_config()
        if family == "qwen2_5_vl":
            config["chat_template"] = template
            write_json(folder / "chat_template.json", {"chat_template": template})  # the hub's folder has both
        else:
            (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        write_json(folder / "tokenizer_config.json", config)
        write_json(folder / "preprocessor_config.json", image_processor)
        stop_ids = [TOKEN_ID["<|im_end|>"], TOKEN_ID["<|endoftext|>"]]
        ids = {"bos_token_id": SEQUENCE_IDS["bos_token_id"], "pad_token_id": TOKEN_ID["<|endoftext|>"], "eos_token_id": stop_ids}
        write_json(folder / "generation_config.json", ids | GENERATION[family])
        check(family, folder)


def check(family: str, folder: Path) -> None:
    """AutoProcessor must open the folder and tokenize as the file itself does."""
    processor = AutoProcessor.from_pretrained(folder)
    text = "Don't look: 图片 café\r\n\t  x = 3.14 <|im_end|><think>ok</think> 👍🏽"
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    if processor.tokenizer(text)["input_ids"] != ids or processor.tokenizer.decode(ids) != text:
        raise RuntimeError(f"{folder}: AutoProcessor's tokenizer differs from tokenizer.json")
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
    rendered = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" if family == "qwen2_5_vl" else ""
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    if rendered != f"{system}<|im_start|>user\n{image}What is it?<|im_end|>\n<|im_start|>assistant\n":
        raise RuntimeError(f"{folder}: the chat template renders {rendered!r}")
