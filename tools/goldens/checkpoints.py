"""Tiny random checkpoints of both families with the names and files of the real ones, so that loading is tested as users will do it."""

import json
import shutil
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen3VLForConditionalGeneration

from families import CONFIGS, MODEL_VOCABULARY, TOKENIZER_VOCABULARY, hub_name, write_json

MODEL_CLASSES = {"qwen2_5_vl": Qwen2_5_VLForConditionalGeneration, "qwen3_vl": Qwen3VLForConditionalGeneration}
SEED = 20260101


def random_parameter(name: str, shape: torch.Size) -> torch.Tensor:
    """Weights whose scale keeps logits of order 1 and makes every tensor matter: the usual 0.02 would hide a missing bias or norm."""
    generator = torch.Generator().manual_seed(SEED + zlib.crc32(name.encode()))
    if len(shape) == 1 and name.endswith("weight"):
        return torch.rand(shape, generator=generator) + 0.5
    if len(shape) == 1:
        return torch.randn(shape, generator=generator) * 0.2
    fan_in = shape[1:].numel()
    weight = torch.randn(shape, generator=generator) * 1.3 / fan_in**0.5
    if shape[0] == MODEL_VOCABULARY:
        weight[TOKENIZER_VOCABULARY:] *= 0.3  # greedy runs stay clear of added tokens, which may not stand in a continuation
    return weight


def hub_tensors(family: str, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter once (a tied head is its embedding) under its checkpoint name."""
    return {hub_name(family, name): parameter.detach() for name, parameter in model.named_parameters()}


def load(family: str, folder: Path) -> torch.nn.Module:
    """The checkpoint as the reference opens it; refuses one with missing or unused tensors."""
    model, info = MODEL_CLASSES[family].from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    problems = {key: value for key, value in info.items() if value}
    if problems:
        raise RuntimeError(f"{folder}: transformers reports {problems}")
    return model.eval()


def write_shards(folder: Path, tensors: dict[str, torch.Tensor], count: int) -> None:
    """One file, or `count` files with an index, as the hub has them."""
    metadata = {"format": "pt"}
    if count == 1:
        save_file(tensors, folder / "model.safetensors", metadata)
        return
    total = sum(t.nbytes for t in tensors.values())
    weight_map, shards, seen = {}, [{} for _ in range(count)], 0
    for name, tensor in tensors.items():
        shard = min(count - 1, seen * count // total)
        shards[shard][name] = tensor
        weight_map[name] = f"model-{shard + 1:05d}-of-{count:05d}.safetensors"
        seen += tensor.nbytes
    for i, shard_tensors in enumerate(shards):
        save_file(shard_tensors, folder / f"model-{i + 1:05d}-of-{count:05d}.safetensors", metadata)
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


def make(out: Path) -> None:
    for family, config in CONFIGS.items():
        folder = out / family
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("model*.safetensors*"):
            old.unlink()
        write_json(folder / "config.json", config)
        config_object = MODEL_CLASSES[family].config_class.from_pretrained(folder)
        model = MODEL_CLASSES[family](config_object)
        tensors = {name: random_parameter(name, t.shape) for name, t in hub_tensors(family, model).items()}
        write_shards(folder, tensors, count=1 if family == "qwen2_5_vl" else 2)
        loaded = hub_tensors(family, load(family, folder))
        if loaded.keys() != tensors.keys() or any(not torch.equal(loaded[name], tensors[name]) for name in tensors):
            raise RuntimeError(f"{folder}: transformers does not load the tensors that were written")
    write_nested_config(out)


def write_nested_config(out: Path) -> None:
    """The same 2.5 configuration as transformers 5 writes it."""
    folder = out / "qwen2_5_vl_nested"
    shutil.rmtree(folder, ignore_errors=True)
    config = MODEL_CLASSES["qwen2_5_vl"].config_class.from_pretrained(out / "qwen2_5_vl")
    config.save_pretrained(folder)
    nested = json.loads((folder / "config.json").read_text())
    if "text_config" not in nested or "hidden_size" in nested:
        raise RuntimeError(f"{folder}: transformers no longer writes the nested layout")
