"""The whole way from an image file and a question to an answer: AutoProcessor and generate() on the tiny checkpoints."""

from pathlib import Path

import torch
from transformers import AutoProcessor, GenerationConfig

from checkpoints import load
from families import CONFIGS, TOKEN_ID, write_json
from processing import open_rgb

IMAGE = "photo-444.jpg"
QUESTION = "What is in the picture? 图片"
PREFILL = "<think>"
TOKENS = 24
# Pixels that differ by one step of 255 move the logits by about this much: a smaller gap between the best two proves nothing.
SMALLEST_MARGIN = 5e-3


@torch.no_grad()
def make(out: Path) -> None:
    for family in CONFIGS:
        folder = out / family
        processor = AutoProcessor.from_pretrained(folder)
        content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
        batch = processor(text=[text + PREFILL], images=[open_rgb(out / "images" / IMAGE)], return_tensors="pt")
        model = load(family, folder)
        model.generation_config = GenerationConfig(do_sample=False, pad_token_id=TOKEN_ID["<|endoftext|>"])
        result = model.generate(**batch, max_new_tokens=TOKENS, return_dict_in_generate=True, output_logits=True)
        best = torch.cat(result.logits).topk(2).values
        margin = (best[:, 0] - best[:, 1]).min().item()
        if margin < SMALLEST_MARGIN:
            raise RuntimeError(f"{family}: the best two tokens are {margin} apart; change the question")
        length = batch["input_ids"].shape[1]
        write_json(
            folder / "photo.json",
            {
                "image": IMAGE,
                "question": QUESTION,
                "prefill": PREFILL,
                "ids": batch["input_ids"][0].tolist(),
                "tokens": result.sequences[0, length:].tolist(),
                "margin": margin,
                "text": processor.tokenizer.decode(result.sequences[0, length:]),
            },
        )
