#!/usr/bin/env python3
"""Basic figures of a file of showers, and whether those of a second file agree with them within statistics.

    "$(workflows/geant4/venv.sh)" workflows/geant4/check.py REFERENCE.parquet [CANDIDATE.parquet]

In bins of incident energy: the visible fraction (sum of voxels / incident energy), its relative spread (sigma/mean),
the share of each layer in the visible energy, the energy-weighted mean radius and the leakage. Two files are compared
by pulls, (a - b) / sqrt(error_a^2 + error_b^2). Exit status: 0 if every pull is within the limit, 1 if not, 2 on error.
"""

import argparse
import json
import sys
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

# Five bins, about equal in log E, of the committed samples' range; what lies outside has bins of its own.
DEFAULT_EDGES_MEV = [500.0, 1250.0, 3150.0, 7900.0, 19900.0, 50001.0]
# With ~40 figures a pull beyond 4 comes about once in 400 honest comparisons.
DEFAULT_LIMIT = 4.0
# Fewer showers than this in a bin give no usable error of a spread.
MIN_SHOWERS = 20
COLUMNS = ["incident_energy", "voxels", "e_leak"]


class CheckError(Exception):
    """Files that cannot be read or compared."""


@dataclass(frozen=True)
class Showers:
    """Per-shower figures; `voxels` is summed away file part by file part, so that large files fit."""

    incident: np.ndarray
    layers: np.ndarray  # [showers, layers], MeV
    radius: np.ndarray
    leak: np.ndarray
    empty_fraction: float
    geometry: list


def read(path: str) -> Showers:
    try:
        file = pq.ParquetFile(path)
    except Exception as error:  # pyarrow raises OSError, ArrowInvalid and others for what is not a Parquet file
        raise CheckError(f"{path}: {error}") from error
    if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
        raise CheckError(f"{path}: no column {', '.join(missing)}")
    metadata = file.schema_arrow.metadata or {}
    if b"simile.geometry" not in metadata:
        raise CheckError(f"{path}: no simile.geometry in the schema metadata")
    if file.metadata.num_rows == 0:
        raise CheckError(f"{path}: no rows")
    geometry = json.loads(metadata[b"simile.geometry"])["layers"]
    layer, radius = voxel_maps(geometry)
    parts, empty = [], 0
    for batch in file.iter_batches(batch_size=1024, columns=COLUMNS):
        voxels = batch["voxels"].flatten().to_numpy().reshape(batch.num_rows, -1).astype(float)
        if voxels.shape[1] != len(layer):
            raise CheckError(f"{path}: {voxels.shape[1]} voxels, but its geometry has {len(layer)}")
        visible = voxels.sum(1)
        layers = np.stack([voxels[:, layer == i].sum(1) for i in range(len(geometry))], 1)
        mean_radius = voxels @ radius / np.where(visible > 0, visible, 1.0)
        parts.append((batch["incident_energy"].to_numpy(), layers, mean_radius, batch["e_leak"].to_numpy()))
        empty += int((voxels == 0).sum())
    columns = [np.concatenate(column).astype(float) for column in zip(*parts)]
    return Showers(*columns, empty / (file.metadata.num_rows * len(layer)), geometry)


def voxel_maps(geometry: list) -> tuple[np.ndarray, np.ndarray]:
    """Layer and radius of the cell centre (mm) of each voxel: r fastest, then alpha, then layer."""
    layer, radius = [], []
    for i, one in enumerate(geometry):
        edges = np.asarray(one["r_edges_mm"], float)
        cells = np.tile((edges[1:] + edges[:-1]) / 2, one["n_alpha"])
        layer.append(np.full(len(cells), i))
        radius.append(cells)
    return np.concatenate(layer), np.concatenate(radius)


def figures(showers: Showers, low: float, high: float) -> dict[str, tuple[float, float]] | None:
    """Name -> (value, standard error) of the showers with low <= E < high; None if there are too few."""
    chosen = (showers.incident >= low) & (showers.incident < high)
    if chosen.sum() < MIN_SHOWERS:
        return None
    layers, incident = showers.layers[chosen], showers.incident[chosen]
    visible = layers.sum(1)
    shares = layers / np.where(visible > 0, visible, 1.0)[:, None]
    result = {"visible fraction": mean(visible / incident), "sigma/mean": relative_spread(visible / incident)}
    result |= {f"layer {i} share": mean(shares[:, i]) for i in range(shares.shape[1])}
    return result | {"mean radius (mm)": mean(showers.radius[chosen]), "leakage": mean(showers.leak[chosen] / incident)}


def mean(x: np.ndarray) -> tuple[float, float]:
    return x.mean(), x.std(ddof=1) / np.sqrt(len(x))


def relative_spread(x: np.ndarray) -> tuple[float, float]:
    """Standard deviation / mean. Var(s) = s^2 (kurtosis - 1) / (4 n) for large n; the mean's own error is negligible."""
    spread = x.std(ddof=1)
    if spread == 0:
        return 0.0, 0.0
    kurtosis = ((x - x.mean()) ** 4).mean() / x.var() ** 2
    value = spread / x.mean()
    return value, value * np.sqrt((kurtosis - 1) / (4 * len(x)))


def same_geometry(a: list, b: list) -> bool:
    """Equal cells; depths agree to 1% of a radiation length."""
    cells = [[(layer["r_edges_mm"], layer["n_alpha"]) for layer in geometry] for geometry in (a, b)]
    return cells[0] == cells[1] and np.allclose([layer["x0"] for layer in a], [layer["x0"] for layer in b], atol=0.01)


def describe(path: str, showers: Showers) -> None:
    print(f"{path}: {len(showers.incident)} showers, sum of voxels {showers.layers.sum():.6g} MeV, sum of incident energy "
          f"{showers.incident.sum():.6g} MeV, empty voxels {showers.empty_fraction:.5f}")


def report(low: float, high: float, counts: list[int], columns: list[dict]) -> list[float]:
    """Prints the figures of one energy bin side by side and returns the pulls (none for a single file)."""
    print(f"\n{low:g}-{high:g} MeV: {' and '.join(map(str, counts))} showers")
    pulls = []
    for name in columns[0]:
        values = [column[name] for column in columns]
        line = f"  {name:18}" + "".join(f"  {value:10.6f} +- {error:.6f}" for value, error in values)
        if len(values) == 2:
            (a, error_a), (b, error_b) = values
            error = np.hypot(error_a, error_b)
            pulls.append((a - b) / error if error > 0 else (0.0 if a == b else np.inf))
            line += f"  pull {pulls[-1]:+.2f}"
        print(line)
    return pulls


def check(paths: list[str], edges: list[float], limit: float) -> bool:
    files = [read(path) for path in paths]
    for path, showers in zip(paths, files):
        describe(path, showers)
    if len(files) == 2 and not same_geometry(files[0].geometry, files[1].geometry):
        raise CheckError(f"{paths[0]} and {paths[1]} have different geometries (simile.geometry)")
    pulls, compared = [], 0
    for low, high in zip([0.0, *edges], [*edges, np.inf]):
        columns = [figures(showers, low, high) for showers in files]
        counts = [int(((s.incident >= low) & (s.incident < high)).sum()) for s in files]
        if all(columns):
            pulls += report(low, high, counts, columns)
            compared += 1
        elif any(counts):
            print(f"\n{low:g}-{high:g} MeV: {' and '.join(map(str, counts))} showers: too few, left out")
    if not compared:
        raise CheckError(f"no energy bin holds {MIN_SHOWERS} showers of each file: set --edges")
    if len(files) == 1:
        return True
    worst, chi2 = max(map(abs, pulls)), float(np.square(pulls).mean())
    agree = worst <= limit
    print(f"\n{len(pulls)} figures: largest pull {worst:.2f} (limit {limit:g}), mean squared pull {chi2:.2f}: "
          f"{'agree' if agree else 'DISAGREE'}")
    return agree


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("candidate", nargs="?")
    parser.add_argument("--edges", type=float, nargs="+", default=DEFAULT_EDGES_MEV, help="incident energy bins, MeV")
    parser.add_argument("--limit", type=float, default=DEFAULT_LIMIT, help="largest pull that passes")
    options = parser.parse_args()
    if any(a >= b for a, b in zip(options.edges, options.edges[1:])):
        parser.error(f"--edges must increase, found {options.edges}")
    try:
        paths = [path for path in (options.reference, options.candidate) if path is not None]
        return 0 if check(paths, options.edges, options.limit) else 1
    except CheckError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
