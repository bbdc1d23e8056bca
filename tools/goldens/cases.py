"""The prompts and pixels which every reference output is computed on; small enough to be rebuilt from reference.json alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from families import CONFIGS, TOKEN_ID

MERGE = 2
PIXEL_FORMULA = (
    "pixel[i] = ((((i + pixelOffset) * 2654435761) mod 2^32) >>> 8) / 2^24 * 4 - 2 in float64, then rounded to float32; "
    "i is the flat index into [patches, 3 * 2 * patch * patch] of all images of the case, in order"
)
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
# Grids are [frames, rows, columns] in patches; most do not fill the 2.5 family's windows of 4 x 4 patches.
PROMPTS = {
    "square": ([(1, 4, 4)], f"<|im_start|>user\n{IMAGE}How many cats?<|im_end|>\n<|im_start|>assistant\n"),
    "tall": ([(1, 12, 4)], f"{IMAGE}a tall tree"),
    "wide": ([(1, 4, 14)], f"A street: {IMAGE}"),
    "twoImages": ([(1, 6, 10), (1, 4, 6)], f"Here {IMAGE}and there {IMAGE}the dog is small"),
    "textOnly": ([], "It's a question of time"),
}
RAGGED_ROWS = ["textOnly", "wide", "square"]
GREEDY_CASES = ["square", "textOnly"]
CROSS_ENTROPY_TARGETS = 6


@dataclass(frozen=True)
class Case:
    ids: list[int]
    grids: list[tuple[int, int, int]]
    pixel_offset: int
    pixels: torch.Tensor | None  # [patches, 3 * 2 * patch * patch]

    def inputs(self) -> dict[str, torch.Tensor]:
        """The arguments of the reference model for a batch of this case alone."""
        ids = torch.tensor([self.ids])
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == TOKEN_ID["<|image_pad|>"]).int(),
        }
        if self.pixels is not None:
            inputs |= {"pixel_values": self.pixels, "image_grid_thw": torch.tensor(self.grids)}
        return inputs

    def cross_entropy_positions(self) -> list[int]:
        """Positions whose logits predict the last CROSS_ENTROPY_TARGETS ids: position p predicts ids[p + 1]."""
        return list(range(len(self.ids) - 1 - CROSS_ENTROPY_TARGETS, len(self.ids) - 1))


def pixels(patches: int, width: int, offset: int) -> torch.Tensor:
    i = np.arange(patches * width, dtype=np.uint64) + np.uint64(offset)
    mixed = (i * np.uint64(2654435761)) % np.uint64(2**32) >> np.uint64(8)
    return torch.from_numpy((mixed.astype(np.float64) / 2**24 * 4 - 2).astype(np.float32).reshape(patches, width))


def cases(family: str, folder: Path) -> dict[str, Case]:
    """All cases of a family; `folder` holds its tokenizer.json."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    width = 3 * 2 * CONFIGS[family]["vision_config"]["patch_size"] ** 2
    made = {}
    for number, (name, (grids, text)) in enumerate(PROMPTS.items()):
        pieces = text.split("<|image_pad|>")
        expanded = pieces[0]
        for (frames, rows, columns), piece in zip(grids, pieces[1:], strict=True):
            expanded += "<|image_pad|>" * (frames * rows * columns // MERGE**2) + piece
        patches = sum(frames * rows * columns for frames, rows, columns in grids)
        offset = number * 100_003
        made[name] = Case(tokenizer.encode(expanded).ids, grids, offset, pixels(patches, width, offset) if grids else None)
    return made


def ragged_inputs(rows: list[Case]) -> dict[str, torch.Tensor]:
    """The rows as one batch, padded on the left."""
    length = max(len(row.ids) for row in rows)
    padding = [length - len(row.ids) for row in rows]
    ids = torch.tensor([[TOKEN_ID["<|endoftext|>"]] * pad + row.ids for pad, row in zip(padding, rows, strict=True)])
    mask = torch.tensor([[0] * pad + [1] * len(row.ids) for pad, row in zip(padding, rows, strict=True)])
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "mm_token_type_ids": (ids == TOKEN_ID["<|image_pad|>"]).int(),
        "pixel_values": torch.cat([row.pixels for row in rows if row.pixels is not None]),
        "image_grid_thw": torch.tensor([grid for row in rows for grid in row.grids]),
    }
