"""A calorimeter of plane layers in front of a particle gun, read from JSON. Standard library only.

The beam hits the face at its centre at normal incidence. Each physical layer is an absorber plate (none in a
homogeneous calorimeter) followed by an active plate. The readout sums consecutive physical layers into readout
layers, each of r x alpha cells; its layers follow one another without a gap. One file, see `calorimeters/`:

    absorber      {"material": NIST name in Geant4, "thickness_mm", "x0_mm": radiation length}, or null
    active        the same; only the energy deposited here is visible
    n_layers      number of physical layers
    radius_mm     radius of all plates; active material beyond the outermost r edge counts as "outside"
    r_edges_mm    radial cell edges of every readout layer that does not give its own
    readout       [{"n_layers": physical layers summed, "n_alpha": sectors, "repeat": 1, "r_edges_mm": ...}, ...]
"""

import json
from dataclasses import dataclass
from math import lcm
from pathlib import Path

FOLDER = Path(__file__).parent / "calorimeters"


class CalorimeterError(ValueError):
    """A description that cannot be built; the message names the key."""


@dataclass(frozen=True)
class Plate:
    material: str
    thickness_mm: float
    x0_mm: float


@dataclass(frozen=True)
class ReadoutLayer:
    n_layers: int
    n_alpha: int
    r_edges_mm: tuple[float, ...]

    @property
    def n_r(self) -> int:
        return len(self.r_edges_mm) - 1


@dataclass(frozen=True)
class Calorimeter:
    absorber: Plate | None
    active: Plate
    n_layers: int
    radius_mm: float
    readout: tuple[ReadoutLayer, ...]

    @property
    def layer_thickness_mm(self) -> float:
        return sum(plate.thickness_mm for plate in self.plates)

    @property
    def plates(self) -> tuple[Plate, ...]:
        """The plates of one physical layer, in the order in which the beam meets them."""
        return (self.active,) if self.absorber is None else (self.absorber, self.active)

    @property
    def n_voxels(self) -> int:
        return sum(layer.n_r * layer.n_alpha for layer in self.readout)

    @property
    def cell_r_edges_mm(self) -> tuple[float, ...]:
        """Edges of the scored cells: every readout layer's edges are among them."""
        return tuple(sorted({r for layer in self.readout for r in layer.r_edges_mm}))

    @property
    def cell_n_alpha(self) -> int:
        """Sectors of the scored cells: a multiple of every readout layer's."""
        return lcm(*(layer.n_alpha for layer in self.readout))

    def voxel_of_cell(self) -> list[int]:
        """Voxel index of each scored cell [physical layer, r, alpha] (flat, alpha fastest); -1 outside the readout.

        Voxels are ordered r fastest, then alpha, then readout layer, as in the CaloChallenge.
        """
        edges, n_alpha = self.cell_r_edges_mm, self.cell_n_alpha
        voxels, first = [], 0
        for layer in self.readout:
            one_layer = []
            for inner, outer in zip(edges, edges[1:]):
                ring = next((i for i, (a, b) in enumerate(zip(layer.r_edges_mm, layer.r_edges_mm[1:]))
                             if a <= inner and outer <= b), None)
                for alpha in range(n_alpha):
                    sector = alpha * layer.n_alpha // n_alpha
                    one_layer.append(-1 if ring is None else first + sector * layer.n_r + ring)
            voxels += one_layer * layer.n_layers
            first += layer.n_r * layer.n_alpha
        return voxels

    def geometry(self) -> dict:
        """The value of `simile.geometry`: r edges in mm, alpha sectors and depth in radiation lengths of each layer."""
        x0_per_layer = sum(plate.thickness_mm / plate.x0_mm for plate in self.plates)
        layers, begin = [], 0
        for layer in self.readout:
            end = begin + layer.n_layers
            layers.append({"r_edges_mm": list(layer.r_edges_mm), "n_alpha": layer.n_alpha,
                           "x0": [round(begin * x0_per_layer, 3), round(end * x0_per_layer, 3)]})
            begin = end
        return {"layers": layers}


def load(name_or_path: str) -> dict:
    """The description of a calorimeter of `calorimeters/` by its name, or of any JSON file by its path."""
    path = FOLDER / f"{name_or_path}.json"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in FOLDER.glob("*.json")))
        raise CalorimeterError(f"no calorimeter {name_or_path!r}: give one of {names}, or the path of a JSON file")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        parse(description)
    except (ValueError, UnicodeDecodeError) as error:
        raise CalorimeterError(f"{path}: {error}") from error
    return description


def parse(description: dict) -> Calorimeter:
    """Checks a description and builds the calorimeter."""
    _keys(description, "", {"absorber", "active", "n_layers", "radius_mm", "readout"}, {"description", "r_edges_mm"})
    absorber = description["absorber"]
    calorimeter = Calorimeter(
        absorber=None if absorber is None else _plate(absorber, "absorber"),
        active=_plate(description["active"], "active"),
        n_layers=_positive(description, "n_layers", "", int),
        radius_mm=_positive(description, "radius_mm", "", float),
        readout=_readout(description),
    )
    summed = sum(layer.n_layers for layer in calorimeter.readout)
    if summed != calorimeter.n_layers:
        raise CalorimeterError(f"readout: sums {summed} physical layers, but n_layers is {calorimeter.n_layers}")
    if calorimeter.cell_r_edges_mm[-1] > calorimeter.radius_mm:
        raise CalorimeterError(f"r_edges_mm: {calorimeter.cell_r_edges_mm[-1]} lies outside radius_mm "
                               f"{calorimeter.radius_mm}")
    return calorimeter


def _plate(value: dict, where: str) -> Plate:
    _keys(value, where, {"material", "thickness_mm", "x0_mm"}, set())
    if not isinstance(value["material"], str):
        raise CalorimeterError(f"{where}.material: {value['material']!r} is not a name")
    return Plate(value["material"], _positive(value, "thickness_mm", where, float), _positive(value, "x0_mm", where, float))


def _readout(description: dict) -> tuple[ReadoutLayer, ...]:
    entries = description["readout"]
    if not isinstance(entries, list) or not entries:
        raise CalorimeterError("readout: expected a list of at least one entry")
    layers = []
    for i, entry in enumerate(entries):
        where = f"readout[{i}]"
        _keys(entry, where, {"n_layers", "n_alpha"}, {"repeat", "r_edges_mm"})
        edges = _edges(entry.get("r_edges_mm", description.get("r_edges_mm")), where)
        layer = ReadoutLayer(_positive(entry, "n_layers", where, int), _positive(entry, "n_alpha", where, int), edges)
        layers += [layer] * (_positive(entry, "repeat", where, int) if "repeat" in entry else 1)
    return tuple(layers)


def _edges(value, where: str) -> tuple[float, ...]:
    numbers = isinstance(value, list) and all(type(r) in (int, float) for r in value)
    if not numbers or len(value) < 2 or value[0] < 0 or any(a >= b for a, b in zip(value, value[1:])):
        raise CalorimeterError(f"{where}: r_edges_mm (its own or the common one) must be at least two numbers from 0 "
                               f"upwards, each above the last, found {value!r}")
    return tuple(float(r) for r in value)


def _positive(value: dict, key: str, where: str, kind: type):
    number = value[key]
    if type(number) not in ((int,) if kind is int else (int, float)) or not 0 < number < float("inf"):
        wanted = "whole number" if kind is int else "number"
        raise CalorimeterError(f"{_join(where, key)}: expected a positive {wanted}, found {number!r}")
    return kind(number)


def _keys(value, where: str, required: set[str], optional: set[str]) -> None:
    if not isinstance(value, dict):
        raise CalorimeterError(f"{where or 'file'}: expected an object, found {value!r}")
    for key in sorted(required - value.keys()):
        raise CalorimeterError(f"{_join(where, key)}: missing")
    for key in sorted(value.keys() - required - optional):
        raise CalorimeterError(f"{_join(where, key)}: unknown key, known are {', '.join(sorted(required | optional))}")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
