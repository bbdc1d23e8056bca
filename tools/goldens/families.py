"""The two families' tiny configurations, in the layout of the real hub checkpoints, and where their files lie."""

import json
from pathlib import Path

TOKENIZER_VOCABULARY = 480
MODEL_VOCABULARY = 512  # above the tokenizer's count, as the real checkpoints are padded

SPECIAL_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
    "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
PLAIN_ADDED_TOKENS = ["<tool_call>", "</tool_call>", "<think>", "</think>"]
TOKEN_ID = {token: TOKENIZER_VOCABULARY + i for i, token in enumerate(SPECIAL_TOKENS + PLAIN_ADDED_TOKENS)}

VISION_TOKEN_IDS = {
    "vision_start_token_id": TOKEN_ID["<|vision_start|>"],
    "vision_end_token_id": TOKEN_ID["<|vision_end|>"],
    "image_token_id": TOKEN_ID["<|image_pad|>"],
    "video_token_id": TOKEN_ID["<|video_pad|>"],
}
SEQUENCE_IDS = {"bos_token_id": TOKEN_ID["<|endoftext|>"], "eos_token_id": TOKEN_ID["<|im_end|>"]}

# The flat layout of Qwen/Qwen2.5-VL-3B-Instruct; head_dim follows as 64 / 4 = 16.
QWEN2_5_VL = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "attention_dropout": 0.0,
    **SEQUENCE_IDS,
    **VISION_TOKEN_IDS,
    "vision_token_id": TOKEN_ID["<|vision_pad|>"],
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 48,
    "max_position_embeddings": 128000,
    "max_window_layers": 3,
    "model_type": "qwen2_5_vl",
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": "4.41.2",
    "use_cache": True,
    "use_sliding_window": False,
    "vision_config": {
        "depth": 3,
        "hidden_act": "silu",
        "hidden_size": 32,
        "intermediate_size": 44,
        "num_heads": 2,
        "in_chans": 3,
        "out_hidden_size": 64,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "window_size": 56,
        "fullatt_block_indexes": [1],
        "tokens_per_second": 2,
        "temporal_patch_size": 2,
    },
    "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    "vocab_size": MODEL_VOCABULARY,
}

# The nested layout of Qwen/Qwen3-VL-2B-Instruct; the query's width 4 * 16 differs from the hidden size.
QWEN3_VL = {
    "architectures": ["Qwen3VLForConditionalGeneration"],
    "image_token_id": VISION_TOKEN_IDS["image_token_id"],
    "model_type": "qwen3_vl",
    "text_config": {
        "attention_bias": False,
        "attention_dropout": 0.0,
        **SEQUENCE_IDS,
        "dtype": "float32",
        "head_dim": 16,
        "hidden_act": "silu",
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 48,
        "max_position_embeddings": 262144,
        "model_type": "qwen3_vl_text",
        "num_attention_heads": 4,
        "num_hidden_layers": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
        "rope_theta": 5000000,
        "tie_word_embeddings": True,
        "use_cache": True,
        "vocab_size": MODEL_VOCABULARY,
    },
    "tie_word_embeddings": True,
    "transformers_version": "4.57.0.dev0",
    "video_token_id": VISION_TOKEN_IDS["video_token_id"],
    "vision_config": {
        "deepstack_visual_indexes": [1, 2],
        "depth": 4,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": 32,
        "in_channels": 3,
        "initializer_range": 0.02,
        "intermediate_size": 48,
        "model_type": "qwen3_vl",
        "num_heads": 2,
        "num_position_embeddings": 25,
        "out_hidden_size": 32,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
    "vision_end_token_id": VISION_TOKEN_IDS["vision_end_token_id"],
    "vision_start_token_id": VISION_TOKEN_IDS["vision_start_token_id"],
}

CONFIGS = {"qwen2_5_vl": QWEN2_5_VL, "qwen3_vl": QWEN3_VL}

# Module paths of transformers 5 -> names of the hub's checkpoints, longest first.
HUB_PREFIXES = {
    "qwen2_5_vl": [("model.language_model.", "model."), ("model.visual.", "visual.")],
    "qwen3_vl": [],
}


def hub_name(family: str, name: str) -> str:
    """The checkpoint's name of a parameter which transformers 5 calls `name`."""
    for module_prefix, hub_prefix in HUB_PREFIXES[family]:
        if name.startswith(module_prefix):
            return hub_prefix + name.removeprefix(module_prefix)
    return name


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
