"""The peer of bench/generate.ts: transformers on the same checkpoint folder. Reads one JSON request a line, answers with one JSON line."""

import json
import sys
import time

import torch
import transformers

transformers.logging.set_verbosity_error()


def pixels(patches, width):
    """The pixels that generate.ts shows."""
    i = torch.arange(patches * width, dtype=torch.float64)
    return ((i * 0.6180339887498949) % 1 * 4 - 2).float().reshape(patches, width)


def inputs(prompts, config, pad):
    """A batch padded on the left, as generation needs it."""
    length = max(len(prompt["ids"]) for prompt in prompts)
    ids = torch.tensor([[pad] * (length - len(prompt["ids"])) + prompt["ids"] for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt["ids"])) + [1] * len(prompt["ids"]) for prompt in prompts])
    batch = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": (ids == config.image_token_id).int()}
    grids = [prompt["grid"] for prompt in prompts if prompt["grid"]]
    if grids:
        vision = config.vision_config
        width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        batch["pixel_values"] = torch.cat([pixels(h * w, width) for _, h, w in grids])
        batch["image_grid_thw"] = torch.tensor(grids)
    return batch


def main():
    folder, threads = sys.argv[1], int(sys.argv[2])
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "attention": model.config._attn_implementation}
    print(json.dumps(versions), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        batch = inputs(request["prompts"], model.config, request["pad"])
        with torch.inference_mode():
            start = time.perf_counter()
            if request["kind"] == "prefill":
                model(**batch, use_cache=True, logits_to_keep=1)
                made = int(batch["attention_mask"].sum())
            else:
                length, samples = request["tokens"], request["samples"]
                out = model.generate(
                    **batch, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, num_return_sequences=samples,
                    min_new_tokens=length, max_new_tokens=length, pad_token_id=request["pad"],
                )
                made = (out.shape[1] - batch["input_ids"].shape[1]) * out.shape[0]
            seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "tokens": made}), flush=True)


main()
