"""Opens with PEFT and transformers what Sightline writes (write.ts): adapters, and merged, sharded and half-precision exports."""

import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file

from cases import Case, cases
from checkpoints import load
from families import CONFIGS

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "test" / "goldens"
TOLERANCE = 1e-4  # logits reach 6; PEFT's float32 results differ from its float64 ones by up to 3e-5


def difference(model: torch.nn.Module, case: Case, folder: Path) -> float:
    with torch.no_grad():
        logits = model(**case.inputs()).logits[0]
    return (logits - load_file(f"{folder}.expected.safetensors")["logits"]).abs().max().item()


def check_adapter(family: str, folder: Path, case: Case) -> float:
    """PEFT must select the very modules of the file, take every value, and compute the same logits."""
    base = load(family, GOLDENS / family)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # PEFT warns of keys that are missing, and of rules that match nothing
        model = PeftModel.from_pretrained(base, folder).eval()
    held, written = get_peft_model_state_dict(model), load_file(folder / "adapter_model.safetensors")
    if held.keys() != written.keys() or any(not torch.equal(held[name], written[name]) for name in written):
        raise RuntimeError(f"{folder}: PEFT holds other tensors than the file: {sorted(held.keys() ^ written.keys())[:4]}")
    return difference(model, case, folder)


def check_export(family: str, folder: Path, case: Case) -> float:
    """`load` refuses missing and unexpected names; here the config's element type must be the weights', too."""
    stored = {tensor.dtype for path in folder.glob("*.safetensors") for tensor in load_file(path).values()}
    said = set(re.findall(r'"(?:torch_)?dtype": "(\w+)"', (folder / "config.json").read_text()))
    if {str(dtype).removeprefix("torch.") for dtype in stored} != said:
        raise RuntimeError(f"{folder}: the weights are {stored}, config.json says {said}")
    return difference(load(family, folder), case, folder)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        subprocess.run(["node", "setup/run.mjs", "tools/goldens/write.ts", str(out)], cwd=ROOT, check=True)
        failed = False
        for family in CONFIGS:
            case = cases(family, GOLDENS / family)["square"]
            folders = sorted(path for path in (out / family).iterdir() if path.name.startswith(("adapter-", "export-")) and path.is_dir())
            for folder in folders:
                check = check_adapter if folder.name.startswith("adapter-") else check_export
                found = check(family, folder, case)
                failed |= not found <= TOLERANCE
                print(f"{family:12} {folder.name:20} logits differ by {found:.1e}")
        sys.exit("too far apart" if failed else 0)


if __name__ == "__main__":
    main()
