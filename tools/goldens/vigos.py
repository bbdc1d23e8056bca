"""Writes test/goldens/vigos/reference.json: the loss that ViGOS was released with, and its gradient, on seeded logits.

Argument: the folder of a clone of https://github.com/OedoSoldier/ViGOS, whose vigos/losses.py computes them; none of it is copied here.
The losses of one process are weighted as its trainer does: means over all supervised tokens of the batch, 1 · perception + 1 · reasoning
+ 2 · reference. Which tokens its trainer would supervise is written by hand below, and checked for its rules.
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch

V = 32
# By hand: the description's tokens, and those from after <think> to the brace that closes the box; None where the format is broken.
ROLLOUTS = [
    {"pieces": ["a", " red", " cat", "</description>", "\n<think>", "it", " is", "</think>", "\\boxed{", "cat", "}", "<eos>"],
     "description": [0, 1, 2], "reasoning": [5, 6, 7, 8, 9, 10]},
    {"pieces": ["no", " tags", " here", " at", " all", " of", " it", "<eos>"], "description": None, "reasoning": None},
    {"pieces": ["dog", " x", "</description>", "<think>", "two", "</think>", "\\boxed{", "4", "}"], "description": [0, 1], "reasoning": [4, 5, 6, 7, 8]},
]
VARIANTS = [
    {"name": "as released", "token": 0.05, "last": 0.05, "first": 0.05, "temperature": 1.0},
    {"name": "boundary clips alone", "token": None, "last": 0.02, "first": 0.04, "temperature": 1.0},
    {"name": "wider general clip", "token": 0.12, "last": 0.3, "first": 0.03, "temperature": 1.0},
    {"name": "no clips, warmer", "token": None, "last": None, "first": None, "temperature": 2.0},
]


def losses_of(folder: Path):
    spec = importlib.util.spec_from_file_location("vigos_losses", folder / "vigos" / "losses.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: vigos.py FOLDER (a clone of https://github.com/OedoSoldier/ViGOS)")
    losses = losses_of(Path(sys.argv[1]))
    generator = torch.Generator().manual_seed(7)
    rows, length = len(ROLLOUTS), max(len(one["pieces"]) for one in ROLLOUTS)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1

    spread = 0.15 + 0.35 * (uniform(rows, length, 1) + 1)
    base = 2 * uniform(rows, length, V)
    # Four decimals, so that the file holds the very numbers.
    views = {name: ((base + spread * uniform(rows, length, V)) * 1e4).round() / 1e4 for name in ["student", "perception", "reasoning", "reference"]}
    valid = [one["description"] is not None for one in ROLLOUTS]
    present = torch.tensor([[t < len(one["pieces"]) for t in range(length)] for one in ROLLOUTS])
    description = torch.tensor([[t in (one["description"] or []) for t in range(length)] for one in ROLLOUTS])
    fallback = ~torch.tensor(valid).unsqueeze(1) & present
    # Reasoning logits stand in a tensor of their own, one place for each token that the reasoning teacher reads.
    longest = max(len(one["reasoning"] or []) for one in ROLLOUTS)
    places = torch.tensor([(one["reasoning"] or []) + [0] * (longest - len(one["reasoning"] or [])) for one in ROLLOUTS])
    reasoning = torch.tensor([[i < len(one["reasoning"] or []) for i in range(longest)] for one in ROLLOUTS])
    last, first = torch.zeros_like(description), torch.zeros_like(reasoning)
    for row, one in enumerate(ROLLOUTS):
        if valid[row]:
            last[row, one["description"][-1]] = True
            first[row, 0] = True
    gather = lambda logits: torch.gather(logits, 1, places.unsqueeze(-1).expand(-1, -1, V))

    results = []
    for variant in VARIANTS:
        student = views["student"].clone().requires_grad_()
        temperature = variant["temperature"]
        perception = losses.masked_kl_loss(views["perception"], student, description, temperature=temperature, token_clip=variant["token"],
                                           post_clip_mask=last, post_token_clip=variant["last"])
        reasoned = losses.masked_kl_loss(gather(views["reasoning"]), gather(student), reasoning, temperature=temperature, token_clip=variant["token"],
                                         post_clip_mask=first, post_token_clip=variant["first"])
        referred = losses.masked_kl_loss(student, views["reference"], fallback, temperature=temperature, token_clip=variant["token"])
        loss = perception + reasoned + 2 * referred
        loss.backward()
        gradient = [[[float(f"{x:.10g}") for x in token] for token in student.grad[row][: len(one["pieces"])].tolist()] for row, one in enumerate(ROLLOUTS)]
        touched = (student.grad.abs().sum(-1) > 0) & present
        assert 5 < int(touched.sum()) < int(present.sum()), "the clips leave some tokens and stop some"
        terms = {"perception": perception.item(), "reasoning": reasoned.item(), "reference": referred.item()}
        # The gradient is kept as zeros where a token has none.
        compact = [[token if any(token) else 0 for token in row] for row in gradient]
        results.append({**variant, "terms": terms, "loss": loss.item(), "gradient": compact})
    logits = {name: [values[row][: len(one["pieces"])].tolist() for row, one in enumerate(ROLLOUTS)] for name, values in views.items()}
    out = Path(__file__).resolve().parents[2] / "test" / "goldens" / "vigos"
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"rollouts": ROLLOUTS, "logits": logits, "variants": results}, separators=(",", ":"))
    assert len(text) < 200_000, len(text)
    (out / "reference.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
