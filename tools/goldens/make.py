"""Writes every file of test/goldens/ from fixed seeds: python tools/goldens/make.py [folder]"""

import os
import sys
from pathlib import Path

# Before the imports below read them: nothing is downloaded, nothing is left behind in the source folder.
sys.dont_write_bytecode = True
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch

import adapters
import checkpoints
import models
import photo
import processing
import tokenizer

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    torch.set_num_threads(1)  # sums in one order on every machine
    torch.use_deterministic_algorithms(True)
    out = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "test" / "goldens"
    # In this order: AutoProcessor needs config.json, the cases need tokenizer.json, the photo is one of processing's.
    steps = {
        "checkpoints": checkpoints.make,
        "tokenizer": tokenizer.make,
        "models": models.make,
        "adapters": adapters.make,
        "processing": processing.make,
        "photo": photo.make,
    }
    for name, make in steps.items():
        print(name, flush=True)
        make(out)


if __name__ == "__main__":
    main()
