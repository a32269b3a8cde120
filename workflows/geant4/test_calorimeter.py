"""python3 -m unittest discover workflows/geant4 (standard library only; test_simulate.py skips itself without Geant4)."""

import copy
import unittest

import calorimeter

SMALL = {
    "absorber": {"material": "G4_Pb", "thickness_mm": 5.612, "x0_mm": 5.612},
    "active": {"material": "G4_lAr", "thickness_mm": 14.0, "x0_mm": 140.0},
    "n_layers": 3, "radius_mm": 100.0, "r_edges_mm": [0, 10, 30],
    "readout": [{"n_layers": 1, "n_alpha": 2}, {"n_layers": 2, "n_alpha": 4, "r_edges_mm": [0, 30, 60]}],
}


def changed(**changes) -> dict:
    return {**copy.deepcopy(SMALL), **changes}


class Layout(unittest.TestCase):
    def test_voxels_count_r_first_then_alpha_then_layer(self):
        c = calorimeter.parse(SMALL)
        self.assertEqual((c.cell_r_edges_mm, c.cell_n_alpha, c.n_voxels), ((0.0, 10.0, 30.0, 60.0), 4, 2 * 2 + 2 * 4))
        rings = [c.voxel_of_cell()[layer * 12:][:12] for layer in range(3)]
        # Layer 0, cells [r, alpha]: two sectors merged, ring 30-60 mm not read out.
        self.assertEqual(rings[0], [0, 0, 2, 2, 1, 1, 3, 3, -1, -1, -1, -1])
        # Layers 1 and 2 are summed: rings 0-10 and 10-30 mm merged.
        self.assertEqual(rings[1], [4, 6, 8, 10, 4, 6, 8, 10, 5, 7, 9, 11])
        self.assertEqual(rings[2], rings[1])

    def test_geometry_gives_depth_in_radiation_lengths(self):
        self.assertEqual(calorimeter.parse(SMALL).geometry(), {"layers": [
            {"r_edges_mm": [0.0, 10.0, 30.0], "n_alpha": 2, "x0": [0.0, 1.1]},
            {"r_edges_mm": [0.0, 30.0, 60.0], "n_alpha": 4, "x0": [1.1, 3.3]},
        ]})

    def test_shipped_calorimeters_have_the_stated_voxels(self):
        voxels = {"pblar_compact": 144, "pblar_full": 1408, "siw": 6480, "pbwo4": 1840}
        self.assertEqual({path.stem for path in calorimeter.FOLDER.glob("*.json")}, set(voxels))
        for name, expected in voxels.items():
            c = calorimeter.parse(calorimeter.load(name))
            self.assertEqual(c.n_voxels, expected, name)
            self.assertEqual(set(c.voxel_of_cell()), set(range(expected)), name)

    def test_compact_readout_equals_the_committed_samples(self):
        layers = calorimeter.parse(calorimeter.load("pblar_compact")).geometry()["layers"]
        self.assertEqual([(layer["n_alpha"], layer["x0"]) for layer in layers],
                         [(1, [0.0, 1.155]), (8, [1.155, 5.774]), (8, [5.774, 17.323]), (1, [17.323, 25.407])])


class Mistakes(unittest.TestCase):
    def check(self, description, message):
        with self.assertRaisesRegex(calorimeter.CalorimeterError, message):
            calorimeter.parse(description)

    def test_messages_name_the_key(self):
        self.check([], "file: expected an object")
        self.check({**SMALL, "layers": 3}, "layers: unknown key, known are")
        self.check({k: v for k, v in SMALL.items() if k != "active"}, "active: missing")
        self.check(changed(n_layers=4), "readout: sums 3 physical layers, but n_layers is 4")
        self.check(changed(n_layers=3.0), "n_layers: expected a positive whole number, found 3.0")
        self.check(changed(radius_mm=50.0), "60.0 lies outside radius_mm 50.0")
        self.check(changed(r_edges_mm=[0, 30, 10]), r"readout\[0\]: r_edges_mm .* found \[0, 30, 10\]")
        self.check(changed(readout=[{"n_layers": 3, "n_alpha": 0}]), r"readout\[0\].n_alpha: expected a positive whole")
        self.check(changed(active={"material": "G4_lAr", "thickness_mm": True, "x0_mm": 1}), "active.thickness_mm: ")
        self.check(changed(readout=[]), "readout: expected a list")

    def test_unknown_name_lists_the_known_ones(self):
        with self.assertRaisesRegex(calorimeter.CalorimeterError, "pblar_compact, pblar_full, pbwo4, siw"):
            calorimeter.load("nonsense")


if __name__ == "__main__":
    unittest.main()
