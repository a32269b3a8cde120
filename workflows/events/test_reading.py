#!/usr/bin/env python3
"""Reads nested events with pyarrow and awkward-array and prints the mass of pi0 -> gamma gamma.

    python test_reading.py FILE...        exits with 1 if a reader or a check fails
"""
import json
import sys

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def check(path: str) -> float:
    file = pq.ParquetFile(path)
    table = file.read()
    table.validate(full=True)
    units = json.loads(file.schema_arrow.metadata[b"simile.units"])
    assert units["cluster_energy"] == "MeV" and b"simile.reconstruction" in file.schema_arrow.metadata
    clusters = [name for name in table.column_names if name.startswith("cluster_")]
    for name in clusters:
        kind = table.schema.field(name).type
        assert pa.types.is_list(kind), (name, kind)
    assert pa.types.is_integer(table.schema.field("cluster_cells").type.value_type)

    events = ak.from_parquet(path)
    assert len(events) == table.num_rows
    # Awkward sees what pyarrow sees.
    for name in clusters + ["photon_energy"]:
        assert ak.to_list(events[name][:100]) == table[name][:100].to_pylist(), name
    counts = {name: ak.num(events[name]) for name in clusters}
    assert all(ak.all(count == counts["cluster_pt"]) for count in counts.values())
    assert ak.all(counts["cluster_pt"] <= ak.num(events.photon_energy))
    # Positions address the generated photons.
    ratio = events.cluster_energy / events.photon_energy[events.cluster_photon]
    assert 0.9 < ak.mean(ratio) < 1.1, ak.mean(ratio)

    some = ak.zip({"pt": events.cluster_pt, "eta": events.cluster_eta, "phi": events.cluster_phi,
                   "meson": events.photon_meson[events.cluster_photon]})
    first, second = ak.unzip(ak.combinations(some, 2))
    mass = np.sqrt(2 * first.pt * second.pt * (np.cosh(first.eta - second.eta) - np.cos(first.phi - second.phi)))
    pions = (first.meson == second.meson) & (events.meson_pdg[first.meson] == 111)
    return float(np.median(np.asarray(ak.drop_none(ak.flatten(mass[pions])))))


for path in sys.argv[1:] or sys.exit(__doc__):
    median = check(path)
    assert 130 < median < 140, f"{path}: median mass {median} MeV"
    print(f"{path}: pi0 at {median:.2f} MeV")
