"""Runs Geant4 for some seconds: "$(workflows/geant4/venv.sh)" -m unittest discover workflows/geant4"""

import importlib.util
import json
import tempfile
import unittest
from pathlib import Path

import calorimeter

MISSING = [name for name in ("geant4_pybind", "numpy", "pyarrow") if importlib.util.find_spec(name) is None]
if not MISSING:
    import generate
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq


def voxels(table) -> "np.ndarray":
    return table["voxels"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (use the interpreter of venv.sh)")
class Simulation(unittest.TestCase):
    def run_job(self, **changes):
        name = changes.pop("calorimeter", "pblar_compact")
        job = {"calorimeter": name if isinstance(name, dict) else calorimeter.load(name), "particle": "gamma",
               "energy_mev": [500.0, 2000.0], "range_cut_mm": 0.7, "seed": 5, "first_event": 0, "n_events": 12, **changes}
        with tempfile.TemporaryDirectory() as folder:
            return generate.simulate_shard(job, Path(folder))

    def test_showers_do_not_depend_on_the_shards(self):
        whole = self.run_job().drop_columns("sim_seconds")
        for first, count in ((0, 5), (5, 7)):
            part = self.run_job(first_event=first, n_events=count).drop_columns("sim_seconds")
            self.assertTrue(part.equals(whole.slice(first, count)))
        self.assertFalse(np.array_equal(voxels(self.run_job(seed=6)), voxels(whole)))

    def test_readouts_of_one_detector_see_the_same_showers(self):
        compact, full = voxels(self.run_job()), voxels(self.run_job(calorimeter="pblar_full")).reshape(-1, 22, 8, 8)
        layers = np.split(compact, [8, 72, 136], axis=1)
        presampler, front, middle, back = (full[:, a:b].sum(1) for a, b in ((0, 1), (1, 5), (5, 15), (15, 22)))
        for layer, expected in zip(layers, (presampler.sum(1), front, middle, back.sum(1))):
            np.testing.assert_allclose(layer, expected.reshape(layer.shape), rtol=1e-4, atol=1e-6)

    def test_energy_is_accounted_for(self):
        for particle in ("gamma", "e-", "e+"):
            table = self.run_job(particle=particle, calorimeter="pbwo4", energy_mev=[300.0, 300.0])
            leak = table["e_leak"].to_numpy()
            self.assertTrue((leak > -1e-3).all(), f"{particle}: created energy: {leak.min()} MeV")
            self.assertTrue((voxels(table).sum(1) / 300 > 0.8).all(), particle)
            self.assertEqual(set(table["pdg"].to_pylist()), {{"gamma": 22, "e-": 11, "e+": -11}[particle]})

    def test_energies_are_log_uniform_within_the_limits(self):
        import simulate
        job = simulate.Job({}, "gamma", (500.0, 50000.0), 0.7, 1, 0, 1)
        energies = np.array([job.primary(event)[0] for event in range(4000)])
        self.assertTrue((energies >= 500).all() and (energies <= 50000).all())
        u = np.sort(np.log(energies / 500) / np.log(100))
        ks = np.abs(u - (np.arange(4000) + 0.5) / 4000).max()
        self.assertLess(ks, 1.63 / np.sqrt(4000))  # 1% critical value of Kolmogorov's distribution

    def test_parts_are_merged_in_order_into_full_row_groups(self):
        parts = [pa.table({"event_id": np.arange(first, first + 700)}) for first in range(0, 4900, 700)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "merged.parquet"
            generate.merge(iter(parts), path)
            with pq.ParquetFile(path) as file:
                rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
                self.assertEqual(rows, [2048, 2048, 804])
                self.assertEqual(file.read()["event_id"].to_pylist(), list(range(4900)))

    def test_wrong_materials_are_refused(self):
        wrong = calorimeter.load("pbwo4")
        for changes, message in (({"material": "G4_Nonsense"}, "not in Geant4's NIST table"),
                                 ({"x0_mm": 1.0}, "Geant4 has 8.925 mm")):
            description = json.loads(json.dumps(wrong))
            description["active"] |= changes
            with self.assertRaisesRegex(SystemExit, message):
                self.run_job(calorimeter=description, n_events=1)


if __name__ == "__main__":
    unittest.main()
