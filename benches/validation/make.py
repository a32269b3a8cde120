"""Writes the samples that are compared, from a fixed seed: make.py DIRECTORY.

`wide_*` have 50,000 events of 150 features, `long_*` 10⁷ events of 10. Features x₀, x₁, … are Gaussian and correlated through a few
common factors; every third is exp(x), positive with a long tail. The candidate has every fifth feature shifted by 3% of its width.
"""

import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20261123
FACTORS = 5
ROW_GROUP = 500_000
SAMPLES = {"wide": (50_000, 150), "long": (10_000_000, 10)}


def features(rng, mixing, events, shift):
    width = mixing.shape[1]
    x = rng.standard_normal((events, width), dtype=np.float32)
    x += rng.standard_normal((events, FACTORS), dtype=np.float32) @ mixing
    x[:, ::5] += shift * x[:, ::5].std(axis=0)
    np.exp(x[:, ::3], out=x[:, ::3])
    return x


def write(path, rng, mixing, events, shift):
    names = [f"x{i}" for i in range(mixing.shape[1])]
    schema = pa.schema([(name, pa.float32()) for name in names])
    partial = path.with_suffix(".partial")
    with pq.ParquetWriter(partial, schema) as writer:
        for first in range(0, events, ROW_GROUP):
            x = features(rng, mixing, min(ROW_GROUP, events - first), shift)
            writer.write_table(pa.table([np.ascontiguousarray(column) for column in x.T], schema=schema))
    partial.rename(path)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, (events, width) in SAMPLES.items():
        rng = np.random.default_rng([SEED, width])
        mixing = rng.normal(scale=0.5, size=(FACTORS, width)).astype(np.float32)
        for sample, shift in [("reference", 0.0), ("candidate", 0.03)]:
            path = directory / f"{name}_{sample}.parquet"
            if not path.exists():
                write(path, np.random.default_rng([SEED, width, sample == "candidate"]), mixing, events, shift)


if __name__ == "__main__":
    main()
