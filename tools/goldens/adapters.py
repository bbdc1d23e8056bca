"""LoRA adapters as peft writes them, with their effect on the logits, so that our folders and peft's can be exchanged."""

import copy
import json
import shutil
import zlib
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from cases import cases
from checkpoints import SEED, load
from families import CONFIGS, write_json
from models import cross_entropy

CASE = "square"
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ATTENTION_AND_DOWN = r".*language_model\.layers\.\d+\.(self_attn\.(q_proj|v_proj|o_proj)|mlp\.down_proj)"

VARIANTS = {
    # Vision modules of the 2.5 family have gate_proj, up_proj and down_proj too; the exclusion keeps them out.
    "language": LoraConfig(r=4, lora_alpha=8, target_modules=PROJECTIONS, exclude_modules=r".*visual.*"),
    "suffix": LoraConfig(r=3, lora_alpha=6, target_modules=PROJECTIONS),
    "patterns": LoraConfig(
        r=4,
        lora_alpha=6,
        use_rslora=True,
        target_modules=ATTENTION_AND_DOWN,
        rank_pattern={"down_proj": 2, r"layers\.1\.self_attn\.q_proj": 5},
        alpha_pattern={"v_proj": 3, r"layers\.0\.mlp\.down_proj": 10},
    ),
}


def fill(model: torch.nn.Module) -> None:
    """Random A and B; peft starts with B = 0, which would hide every mistake."""
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            generator = torch.Generator().manual_seed(SEED + zlib.crc32(name.encode()))
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.15


def stored_name(parameter_name: str) -> str:
    """peft leaves the adapter's own name ("default") out of its files."""
    return parameter_name.replace(".default.", ".")


def sort_targets(path: Path) -> None:
    """peft keeps a list of targets as a set, whose order changes from run to run."""
    config = json.loads(path.read_text())
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    write_json(path, config)


def check_saved(folder: Path, trained: dict[str, torch.Tensor]) -> None:
    saved = load_file(folder / "adapter_model.safetensors")
    if saved.keys() != trained.keys() or any(not torch.equal(saved[name], trained[name]) for name in saved):
        raise RuntimeError(f"{folder}: peft stored other names or values than the parameters have")


def make_variant(family: str, name: str, config: LoraConfig, out: Path) -> None:
    folder = out / "adapters" / family / name
    shutil.rmtree(folder, ignore_errors=True)
    base_folder = out / family
    case = cases(family, base_folder)[CASE]
    base = load(family, base_folder)
    base.name_or_path = f"test/goldens/{family}"  # peft writes it down; the maintainer's own path must not be
    with torch.no_grad():
        plain = base(**case.inputs()).logits[0]
    model = get_peft_model(base, copy.deepcopy(config)).eval()
    fill(model)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card
    sort_targets(folder / "adapter_config.json")

    trained = {stored_name(key): p for key, p in model.named_parameters() if p.requires_grad}
    check_saved(folder, {key: p.detach() for key, p in trained.items()})
    with torch.no_grad():
        logits = model(**case.inputs()).logits[0]
    if (logits - plain).abs().max() < 0.1:
        raise RuntimeError(f"{folder}: the adapter hardly changes the logits")
    save_file({f"{CASE}.logits": logits.contiguous()}, folder / "reference.safetensors")
    if name != "language":
        return
    loss = cross_entropy(model, case)
    loss.backward()
    save_file({key: p.grad for key, p in trained.items()}, folder / "gradients.safetensors")
    positions = case.cross_entropy_positions()
    write_json(folder / "reference.json", {"crossEntropy": {"case": CASE, "positions": positions, "loss": loss.item()}})


def make(out: Path) -> None:
    for family in CONFIGS:
        for name, config in VARIANTS.items():
            make_variant(family, name, config, out)
