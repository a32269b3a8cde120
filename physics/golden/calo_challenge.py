"""Golden values of the CaloChallenge's shower observables, from its own code.

    git clone https://github.com/CaloChallenge/homepage && git -C homepage checkout 9b41df7
    python calo_challenge.py homepage/code > calo_challenge.json       # numpy 2.4.6, matplotlib 3.11.2

The formulas are those of HighLevelFeatures.py and XMLHandler.py by the organisers of the CaloChallenge (arXiv:2410.21611),
and the order of the columns that of prepare_high_data_for_classifier in evaluate.py. That repository states no licence,
so that nothing of it is copied here: its modules and its binning files are taken from a checkout.

Showers follow a rule of integers (`showers` below, repeated in the test), so that they need not be stored.
"""
import json
import pathlib
import sys

import numpy as np

# The incident particle and its binning file; the first is ours.
CASES = {
    "small": ("photon", None),
    "dataset_1_photons": ("photon", "binning_dataset_1_photons.xml"),
    "dataset_1_pions": ("pion", "binning_dataset_1_pions.xml"),
    "dataset_2": ("electron", "binning_dataset_2.xml"),
}
# A voxel has energy where these bits of its number are zero: in all voxels, in half of them, in one of 64.
MASKS = [0, 1, 63]


def showers(voxels):
    """Energies in MeV [len(MASKS), voxels], multiples of 1/64 below 1024: exact in single precision."""
    rows = []
    for row, mask in enumerate(MASKS):
        number = (np.arange(voxels, dtype=np.uint64) * 2654435761 + (row + 1) * 2246822519) % 2**32
        number ^= number >> 15
        number = number * 2246822519 % 2**32
        number ^= number >> 13
        rows.append(np.where(number & mask == 0, (number >> 16) / 64.0, 0.0))
    return np.array(rows, dtype=np.float64)


def features(hlf, data):
    """Columns in the order of evaluate.py, in MeV and mm, without incident energy and before its logarithms."""
    hlf.CalculateFeatures(data)
    layers = [hlf.GetElayers(), hlf.GetECEtas(), hlf.GetECPhis(), hlf.GetWidthEtas(), hlf.GetWidthPhis()]
    shape = [hlf.GetSparsity(), hlf.GetECR(), hlf.GetWidthR()]
    columns = [values for feature in layers for values in feature.values()]
    columns += [hlf.GetEtot()] + [values for feature in shape for values in feature.values()]
    return np.stack(columns, axis=1)


def main():
    code = pathlib.Path(sys.argv[1])
    sys.path.insert(0, str(code))
    from HighLevelFeatures import HighLevelFeatures

    golden = {}
    for name, (particle, binning) in CASES.items():
        path = code / binning if binning else pathlib.Path(__file__).with_name("binning.xml")
        hlf = HighLevelFeatures(particle, filename=str(path))
        rows = features(hlf, showers(hlf.bin_edges[-1]))
        golden[name] = [[float(f"{value:.9g}") for value in row] for row in rows]
    rows = ",\n".join(f'"{name}": {json.dumps(rows, separators=(",", ":"))}' for name, rows in golden.items())
    print("{\n" + rows + "\n}")


if __name__ == "__main__":
    main()
