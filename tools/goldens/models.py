"""Reference outputs of both families from transformers on the CPU, with plain ("eager") attention.

Features and logits are computed in float64 and stored in float32: what a float32 implementation differs by is then its own rounding,
not the sum of two. Gradients and greedy tokens are float32's.
"""

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import GenerationConfig

from cases import GREEDY_CASES, PIXEL_FORMULA, RAGGED_ROWS, Case, cases, ragged_inputs
from checkpoints import load
from families import CONFIGS, TOKEN_ID, TOKENIZER_VOCABULARY, hub_name, write_json

GREEDY_TOKENS = 64
SMALLEST_MARGIN = 1e-4  # below this, two correct implementations may choose different tokens
CROSS_ENTROPY_CASE = "twoImages"


def cross_entropy(model: torch.nn.Module, case: Case) -> torch.Tensor:
    """Mean cross-entropy of the case's last ids, in nats."""
    positions = case.cross_entropy_positions()
    logits = model(**case.inputs()).logits[0]
    return F.cross_entropy(logits[positions], torch.tensor(case.ids)[[p + 1 for p in positions]])


@torch.no_grad()
def outputs(model: torch.nn.Module, case: Case) -> dict[str, torch.Tensor]:
    inputs = case.inputs()
    index_names = ["input_ids", "mm_token_type_ids", "image_grid_thw", "attention_mask"]
    positions, _ = model.model.get_rope_index(**{name: inputs[name] for name in index_names if name in inputs})
    found = {"logits": model(**inputs).logits[0], "positions": positions[:, 0]}
    if case.pixels is not None:
        vision = model.get_image_features(case.pixels, torch.tensor(case.grids), return_dict=True)
        found["vision"] = torch.cat(vision.pooler_output)
        for i, features in enumerate(getattr(vision, "deepstack_features", None) or []):
            found[f"deepstack.{i}"] = torch.cat(features)
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}


@torch.no_grad()
def ragged_logits(model: torch.nn.Module, rows: list[Case]) -> list[torch.Tensor]:
    logits = model(**ragged_inputs(rows)).logits
    return [logits[i, -len(row.ids) :] for i, row in enumerate(rows)]


@torch.no_grad()
def greedy(model: torch.nn.Module, case: Case) -> tuple[list[int], float]:
    """GREEDY_TOKENS ids by argmax with stop tokens ignored, and the smallest gap between the best two logits."""
    # A bare configuration: the folder's own has stop tokens, a temperature and a repetition penalty.
    model.generation_config = GenerationConfig(do_sample=False, pad_token_id=TOKEN_ID["<|endoftext|>"])
    result = model.generate(**case.inputs(), max_new_tokens=GREEDY_TOKENS, return_dict_in_generate=True, output_logits=True)
    best = torch.cat(result.logits).topk(2)
    tokens = best.indices[:, 0].tolist()
    if tokens != result.sequences[0, len(case.ids) :].tolist():
        raise RuntimeError("generate() did not choose the largest logits: is a processor of logits active?")
    # Without a cache the same must come out; this also checks the positions which generate() continues with.
    whole = replace(case, ids=case.ids + tokens)
    if model(**whole.inputs()).logits[0, len(case.ids) - 1 : -1].argmax(-1).tolist() != tokens:
        raise RuntimeError("generate() and one pass over prompt and continuation disagree")
    return tokens, (best.values[:, 0] - best.values[:, 1]).min().item()


def checked_greedy(model: torch.nn.Module, name: str, case: Case) -> dict:
    tokens, margin = greedy(model, case)
    if len(tokens) != GREEDY_TOKENS or margin < SMALLEST_MARGIN or max(tokens) >= TOKENIZER_VOCABULARY:
        raise RuntimeError(f"greedy {name}: margin {margin}, tokens {tokens}; change the prompt in cases.py")
    return {"tokens": tokens, "margin": margin}


def check_every_tensor_matters(model: torch.nn.Module, family: str, case: Case) -> None:
    """A port that forgets or mixes up a tensor must show it in the logits."""
    with torch.no_grad():
        before = model(**case.inputs()).logits
        for name, parameter in model.named_parameters():
            kept = parameter.clone()
            parameter.mul_(1 + 0.1 * torch.randn(kept.shape, generator=torch.Generator().manual_seed(1)))
            change = (model(**case.inputs()).logits - before).abs().max().item()
            parameter.copy_(kept)
            if change < 1e-3:
                raise RuntimeError(f"{family}: 10 % noise on {hub_name(family, name)} changes the logits by {change} only")


def make_family(family: str, folder: Path) -> None:
    model = load(family, folder)
    all_cases = cases(family, folder)
    check_every_tensor_matters(model, family, all_cases[CROSS_ENTROPY_CASE])

    exact = load(family, folder).double()
    tensors = {f"{name}.{key}": value for name, case in all_cases.items() for key, value in outputs(exact, case).items()}
    for i, logits in enumerate(ragged_logits(model, [all_cases[name] for name in RAGGED_ROWS])):
        drift = (logits - tensors[f"{RAGGED_ROWS[i]}.logits"]).abs().max().item()
        if drift > 1e-4:
            raise RuntimeError(f"{family}: padding changes the logits of {RAGGED_ROWS[i]} by {drift}")
        tensors[f"ragged.{i}.logits"] = logits
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "reference.safetensors")

    model.zero_grad()
    case = all_cases[CROSS_ENTROPY_CASE]
    loss = cross_entropy(model, case)
    loss.backward()
    save_file({hub_name(family, name): p.grad for name, p in model.named_parameters()}, folder / "gradients.safetensors")

    reference = {
        "pixelFormula": PIXEL_FORMULA,
        "cases": {name: {"ids": c.ids, "grids": c.grids, "pixelOffset": c.pixel_offset} for name, c in all_cases.items()},
        "ragged": {"rows": RAGGED_ROWS, "padId": TOKEN_ID["<|endoftext|>"]},
        "greedy": {name: checked_greedy(model, name, all_cases[name]) for name in GREEDY_CASES},
        "crossEntropy": {"case": CROSS_ENTROPY_CASE, "positions": case.cross_entropy_positions(), "loss": loss.item()},
    }
    write_json(folder / "reference.json", reference)


def make(out: Path) -> None:
    for family in CONFIGS:
        make_family(family, out / family)
