"""Writes the small parquet files of test/data/files/ with pyarrow: python tools/goldens/data.py [folder]

The images only begin as PNG files do: the data room never decodes them. test/data/parquet.test.ts knows the same formulas for what is in a row.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image(row: int, which: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + f"image {which} of row {row} ".encode() * (1 + row % 3)


def struct(row: int, which: int) -> dict:
    return {"bytes": image(row, which), "path": f"{row}-{which}.png"}


def images(row: int) -> list | None:
    """By row: one image, two, none as a null, none as an empty list."""
    return [[struct(row, 0)], [struct(row, 0), struct(row, 1)], None, []][row % 4]


def texts(rows: range) -> dict:
    return {
        "problem": pa.array([f"Wieviel ist {row} + {row}? ∑" for row in rows]),
        "answer": pa.array([f"\\boxed{{{2 * row}}}" for row in rows]),
    }


def write(out: Path, name: str, table: pa.Table, **options) -> None:
    pq.write_table(table, out / f"{name}.parquet", **options)
    assert pq.read_table(out / f"{name}.parquet").equals(table)
    assert (out / f"{name}.parquet").stat().st_size < 20_000, name


def main() -> None:
    out = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "test" / "data" / "files"
    out.mkdir(parents=True, exist_ok=True)

    # The columns of Vision-SR1-47K: a list of structs, ids of 64 bits (beyond doubles too), nulls; several row groups.
    rows = range(10)
    vision = pa.table(
        texts(rows)
        | {
            "images": pa.array([images(row) for row in rows], pa.list_(STRUCT)),
            "problem_id": pa.array([2**60 + row for row in rows], pa.int64()),
            "solution": pa.array([None if row % 2 else f"Twice {row}." for row in rows], pa.string()),
            "options": pa.array([["a", "b"][: row % 3] for row in rows], pa.list_(pa.string())),
            "data_source": pa.array(["made"] * len(rows)),
        }
    )
    for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
        write(out, f"vision-{codec}", vision, compression=codec, row_group_size=4)

    # One struct a row, as a single Image feature is stored; where bytes are missing the path counts.
    rows = range(8)
    single = [None if row == 3 else {"bytes": None, "path": f"{row}.png"} if row == 5 else struct(row, 0) for row in rows]
    write(out, "struct", pa.table(texts(rows) | {"image": pa.array(single, STRUCT)}), compression="zstd", data_page_version="2.0")

    # Bytes alone, and texts that are not marked as such.
    unmarked = {name: column.cast(pa.binary()) for name, column in texts(rows).items()}
    write(out, "bytes", pa.table(unmarked | {"image": pa.array([image(row, 0) for row in rows])}), compression="gzip", use_dictionary=False)

    # A page index, and pages of a few rows in one row group.
    rows = range(60)
    many = pa.table(texts(rows) | {"images": pa.array([images(row) for row in rows], pa.list_(STRUCT)), "id": pa.array(list(rows), pa.int32())})
    write(out, "paged", many, compression="snappy", write_page_index=True, data_page_size=64, write_batch_size=4, use_dictionary=["answer"])


main()
