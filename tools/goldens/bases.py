"""The stored nano bases through transformers, from a picture and a question to logits: python tools/goldens/bases.py"""

import json
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from families import write_json

ROOT = Path(__file__).resolve().parents[2]


@torch.no_grad()
def make(out: Path) -> None:
    torch.set_num_threads(1)
    cases = json.loads((out / "cases.json").read_text())
    for family, case in cases.items():
        folder = ROOT / "bases" / family
        processor = AutoProcessor.from_pretrained(folder)
        content = [{"type": "image"}, {"type": "text", "text": case["user"]}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
        batch = processor(text=[text + case["answer"]], images=[Image.open(out / case["image"]).convert("RGB")], return_tensors="pt")
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        logits = model(**batch).logits[0]
        # A wrong picture must be seen in what is compared.
        other = {**batch, "pixel_values": batch["pixel_values"].flip(0)}
        if (model(**other).logits[0] - logits).abs().max() < 0.1:
            raise RuntimeError(f"{family}: the picture makes no difference")
        write_json(out / f"{family}.json", {"ids": batch["input_ids"][0].tolist()})
        save_file({"logits": logits.contiguous()}, out / f"{family}.safetensors")


if __name__ == "__main__":
    make(ROOT / "test" / "goldens" / "bases")
