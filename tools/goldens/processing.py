"""Goldens of src/processing: small images, what the reference makes of them, token ids, rendered chats and encoded prompts."""

import gzip
import hashlib
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from transformers import AutoProcessor, AutoTokenizer
from transformers.image_transforms import convert_to_rgb
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor, smart_resize

from processing_images import write_images
from processing_prompts import CHATS, PROMPTS, TEXTS

CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
# Small areas keep the files small; the fields are those of the two families.
CONFIGS = {
    "patch14": {"patch_size": 14, "size": {"shortest_edge": 56 * 56, "longest_edge": 84 * 84}, **CLIP},
    "patch16": {"patch_size": 16, "size": {"shortest_edge": 64 * 64, "longest_edge": 96 * 96}, **HALF},
}


def open_rgb(path: Path) -> Image.Image:
    """As transformers' convert_to_rgb (alpha over white), but 16-bit grey is scaled to 8 bits, where convert('RGB') would clip it."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return convert_to_rgb(image)


def to_samples(pixels: np.ndarray, grid: list[int], config: dict, merge: int = 2, frames: int = 2) -> np.ndarray:
    """The samples [height, width, 3] of 0 to 255 that patches were made of; the inverse of patchify and of normalisation."""
    _, rows, columns = grid
    side = config["patch_size"]
    x = pixels.reshape(rows // merge, columns // merge, merge, merge, 3, frames, side, side)
    assert (x[:, :, :, :, :, 0] == x[:, :, :, :, :, 1]).all()
    x = x[:, :, :, :, :, 0].transpose(0, 2, 5, 1, 3, 6, 4).reshape(rows * side, columns * side, 3)
    samples = (x * np.array(config["image_std"]) + np.array(config["image_mean"])) * 255
    assert np.abs(samples - samples.round()).max() < 1e-3
    return samples.round().astype(np.uint8)


def vertical_first(old: Image.Image, height: int, width: int) -> bool:
    """Whether Pillow from 13 on resizes the height first (python-pillow/Pillow#9549); older ones and torchvision never do."""
    return height < old.height and old.height - height > 2 * (old.width - width)


def images(out: Path, target: Path) -> None:
    """images.json and images.bin.gz: the resized samples of each image by the Pillow back-end, then torchvision's minus those (mod 256)."""
    names = write_images(out / "images")
    rows, blob = [], b""
    for name in names:
        image = open_rgb(out / "images" / name)
        digest = hashlib.sha256(np.asarray(image).tobytes()).hexdigest()
        row = {"name": name, "height": image.height, "width": image.width, "sha256": digest, "resized": {}}
        for key, config in CONFIGS.items():
            pil = Qwen2VLImageProcessorPil(**config)(images=[image], return_tensors="np")
            torch = Qwen2VLImageProcessor(**config)(images=[image], return_tensors="np")
            grid = [int(n) for n in pil["image_grid_thw"][0]]
            assert grid == torch["image_grid_thw"][0].tolist()
            a, b = (to_samples(each["pixel_values"], grid, config) for each in (pil, torch))
            height, width = a.shape[:2]
            row["resized"][key] = {"grid": grid, "offset": len(blob), "verticalFirst": vertical_first(image, height, width)}
            blob += a.tobytes() + (b - a).tobytes()
        rows.append(row)
    (target / "images.bin.gz").write_bytes(gzip.compress(blob, 9, mtime=0))
    # An image that needs no resizing: its pixels must be equal to the last bit.
    plain = np.random.default_rng(5).integers(0, 256, (56, 112, 3), dtype=np.uint8)
    exact = {}
    for key, config in {"patch14": CONFIGS["patch14"], "patch14half": {**CONFIGS["patch14"], **HALF}}.items():
        pixels = Qwen2VLImageProcessor(**config)(images=[Image.fromarray(plain)], return_tensors="np")["pixel_values"]
        exact[key] = hashlib.sha256(np.ascontiguousarray(pixels, dtype="<f4").tobytes()).hexdigest()
    configs = {key: {**config, "merge_size": 2, "temporal_patch_size": 2} for key, config in CONFIGS.items()}
    Image.fromarray(plain).save(out / "images" / "plain.png", optimize=True)
    save(target / "images.json", {"configs": configs, "images": rows, "exact": {"name": "plain.png", "pixels": exact}})


def sizes(target: Path) -> None:
    """sizes.json: rows of height, width, factor, minPixels, maxPixels and smart_resize's height and width (or null if it refuses)."""
    rng = random.Random(11)
    rows = []
    for i in range(240):
        side = rng.choice([20, 200, 2000, 6000])
        height, width = rng.randint(1, side), rng.randint(1, side)
        factor = rng.choice([28, 32])
        if i % 6 == 0:  # exact halves, where Python's round goes to the even neighbour
            height, width = factor * rng.randint(0, 20) + factor // 2, factor * rng.randint(1, 20) + factor // 2
        low, high = rng.choice([(3136, 12845056), (65536, 16777216), (3136, 1003520), (4 * factor**2, 16 * factor**2)])
        try:
            result = smart_resize(height, width, factor, low, high)
        except ValueError:
            result = None
        rows.append([height, width, factor, low, high, result])
    save(target / "sizes.json", rows)


def tokens(out: Path, target: Path) -> None:
    """tokens.json: texts, their ids, and the decoding of the ids in reverse order, which breaks characters."""
    tokenizer = AutoTokenizer.from_pretrained(out / "qwen2_5_vl")
    rows = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False)
        plain = tokenizer._encode_without_added_tokens(text)
        skipped = tokenizer.decode(ids, skip_special_tokens=True)
        rows.append({"text": text, "ids": ids, "asText": plain, "reversed": tokenizer.decode(ids[::-1]), "skipped": skipped})
    save(target / "tokens.json", rows)


def prompts(out: Path, target: Path) -> None:
    """prompts.json: for each family, rendered chats and encoded prompts with images."""
    result = {}
    for family in ("qwen2_5_vl", "qwen3_vl"):
        processor = AutoProcessor.from_pretrained(out / family)
        chats = [
            {**chat, "text": processor.apply_chat_template(chat["messages"], tokenize=False, **chat["options"])} for chat in CHATS
        ]
        encoded = []
        for messages in PROMPTS:
            text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
            pictures = [open_rgb(out / "images" / part["image"]) for part in parts if part["type"] == "image"]
            batch = processor(text=[text], images=pictures or None, return_tensors="np")
            grids = batch["image_grid_thw"].tolist() if pictures else []
            encoded.append({"messages": messages, "text": text, "ids": batch["input_ids"][0].tolist(), "grids": grids})
        result[family] = {"chats": chats, "prompts": encoded}
    save(target / "prompts.json", result)


def save(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def make(out: Path) -> None:
    """Writes images/ and processing/ under `out`; the folders of the two families must be there."""
    target = out / "processing"
    target.mkdir(parents=True, exist_ok=True)
    (out / "images").mkdir(exist_ok=True)
    images(out, target)
    sizes(target)
    tokens(out, target)
    prompts(out, target)


if __name__ == "__main__":
    make(Path(__file__).resolve().parents[2] / "test" / "goldens")
