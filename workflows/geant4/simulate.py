"""Simulates one shard of showers with Geant4: `python simulate.py JOB.json PART.parquet`, started by generate.py.

A run manager exists once per process, hence one process per shard. Every shower has its own random numbers, keyed by
(seed, event number): they give its energy and then seed Geant4's engine. So no shower depends on how the work was cut.
"""

import json
import math
import sys
import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import calorimeter as calorimeters
import em_physics
from em_physics import g4

PDG = {"gamma": 22, "e-": 11, "e+": -11}
ELECTRON_MASS_MEV = 0.51099895
# The gun stands this far before the face, so that a photon converting at once still does so inside the calorimeter.
GUN_DISTANCE_MM = 1e-3
# A stated radiation length this far (relative) from Geant4's value is a mistake in the description, not a rounding.
X0_TOLERANCE = 0.01
UNITS = {"incident_energy": "MeV", "voxels": "MeV", "e_absorber": "MeV", "e_outside": "MeV", "e_leak": "MeV",
         "sim_seconds": "s (CPU, one core)"}


@dataclass(frozen=True)
class Job:
    """What to simulate. Energies are kinetic, in MeV; the numbers are those of the events `first_event ...`."""

    calorimeter: dict
    particle: str
    energy_mev: tuple[float, float]
    range_cut_mm: float
    seed: int
    first_event: int
    n_events: int

    def primary(self, event: int) -> tuple[float, list[int]]:
        """Energy (MeV, log-uniform between the limits) and seeds of Geant4's engine for one event."""
        rng = np.random.default_rng([self.seed, event])
        low, high = self.energy_mev
        energy = low * (high / low) ** rng.random()
        # float32, as written to the file: the file then states exactly the energy that was simulated.
        return float(np.float32(energy)), [int(x) for x in rng.integers(1, 2**31, size=4)]


class Detector(g4.G4VUserDetectorConstruction):
    """Plates along z from z = 0. Active plates are divided into rings (placements) of alpha sectors (replicas)."""

    def __init__(self, calorimeter: calorimeters.Calorimeter):
        super().__init__()
        self.calorimeter = calorimeter
        self.kept = []  # Geant4 holds plain pointers: what Python made must outlive the run

    def keep(self, thing):
        self.kept.append(thing)
        return thing

    def Construct(self):
        c = self.calorimeter
        half = max(c.n_layers * c.layer_thickness_mm, c.radius_mm) + 100.0
        vacuum = g4.G4NistManager.Instance().FindOrBuildMaterial("G4_Galactic")
        world = self.keep(g4.G4LogicalVolume(self.keep(g4.G4Box("world", half, half, half)), vacuum, "world"))
        placed = self.keep(g4.G4PVPlacement(None, g4.G4ThreeVector(), world, "world", None, False, 0))
        active = self.active_plate()
        absorber = None if c.absorber is None else self.tube("absorber", 0.0, c.radius_mm, c.absorber)
        z = 0.0
        for layer in range(c.n_layers):
            for plate, volume in ((c.absorber, absorber), (c.active, active)):
                if plate is not None:
                    centre = g4.G4ThreeVector(0, 0, z + plate.thickness_mm / 2)
                    self.keep(g4.G4PVPlacement(None, centre, volume, volume.GetName(), world, False, layer))
                    z += plate.thickness_mm
        return placed

    def active_plate(self):
        c = self.calorimeter
        plate = self.tube("active", 0.0, c.radius_mm, c.active)
        edges, sector = c.cell_r_edges_mm, 2 * math.pi / c.cell_n_alpha
        for i, (inner, outer) in enumerate(zip(edges, edges[1:])):
            ring = self.tube(f"ring{i}", inner, outer, c.active)
            self.keep(g4.G4PVPlacement(None, g4.G4ThreeVector(), ring, f"ring{i}", plate, False, i))
            cell = self.tube(f"cell{i}", inner, outer, c.active, sector)
            if c.cell_n_alpha == 1:
                self.keep(g4.G4PVPlacement(None, g4.G4ThreeVector(), cell, f"cell{i}", ring, False, 0))
            else:
                self.keep(g4.G4PVReplica(f"cell{i}", cell, ring, g4.kPhi, c.cell_n_alpha, sector, 0.0))
        return plate

    def tube(self, name: str, inner: float, outer: float, plate: calorimeters.Plate, sector: float = 2 * math.pi):
        begin = 0.0 if sector == 2 * math.pi else -sector / 2  # a replica's solid is centred on its own x axis
        solid = self.keep(g4.G4Tubs(name, inner, outer, plate.thickness_mm / 2, begin, sector))
        return self.keep(g4.G4LogicalVolume(solid, material(plate), name))

    def ConstructSDandField(self):
        c = self.calorimeter
        shape = len(c.cell_r_edges_mm) - 1, c.cell_n_alpha
        # Depths of the copy numbers above a cell: plate 2 (physical layer), ring 1 (r), replica 0 (alpha).
        cells = g4.G4PSEnergyDeposit3D("energy", c.n_layers, *shape, 2, 1, 0)
        self.score("cells", cells, [f"cell{i}" for i in range(shape[0])])
        self.score("outside", g4.G4PSEnergyDeposit("energy"), ["active"])
        if c.absorber is not None:
            self.score("absorber", g4.G4PSEnergyDeposit("energy"), ["absorber"])

    def score(self, name: str, scorer, volumes: list[str]):
        detector = self.keep(g4.G4MultiFunctionalDetector(name))
        detector.RegisterPrimitive(self.keep(scorer))
        g4.G4SDManager.GetSDMpointer().AddNewDetector(detector)
        for volume in volumes:
            self.SetSensitiveDetector(volume, detector)


def material(plate: calorimeters.Plate):
    found = g4.G4NistManager.Instance().FindOrBuildMaterial(plate.material)
    if found is None:
        raise calorimeters.CalorimeterError(f"material {plate.material!r} is not in Geant4's NIST table")
    if abs(found.GetRadlen() / plate.x0_mm - 1) > X0_TOLERANCE:
        raise calorimeters.CalorimeterError(
            f"x0_mm of {plate.material} is {plate.x0_mm}, Geant4 has {found.GetRadlen():.4g} mm")
    return found


class Gun(g4.G4VUserPrimaryGeneratorAction):
    """One particle per event along +z. Seeds the engine, so that the event depends on nothing before it."""

    def __init__(self, job: Job):
        super().__init__()
        self.job = job
        self.gun = g4.G4ParticleGun(1)
        self.gun.SetParticleDefinition({"gamma": g4.G4Gamma, "e-": g4.G4Electron, "e+": g4.G4Positron}[job.particle].Definition())
        self.gun.SetParticlePosition(g4.G4ThreeVector(0, 0, -GUN_DISTANCE_MM))
        self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(0, 0, 1))

    def GeneratePrimaries(self, event):
        energy, seeds = self.job.primary(self.job.first_event + event.GetEventID())
        g4.HepRandom.setTheSeeds([*seeds, 0], len(seeds))  # the binding reads seeds up to a zero
        self.gun.SetParticleEnergy(energy)
        self.gun.GeneratePrimaryVertex(event)


class Recorder(g4.G4UserEventAction):
    """Fills one row per event: voxels, and where the rest of the energy went."""

    def __init__(self, job: Job, calorimeter: calorimeters.Calorimeter):
        super().__init__()
        self.job = job
        self.has_absorber = calorimeter.absorber is not None
        self.voxel_of_cell = np.asarray(calorimeter.voxel_of_cell())
        self.voxels = np.zeros((job.n_events, calorimeter.n_voxels), np.float32)
        self.scalars = {name: np.zeros(job.n_events, np.float32)
                        for name in ("incident_energy", "e_absorber", "e_outside", "e_leak", "sim_seconds")}
        self.collections = None

    def BeginOfEventAction(self, event):
        self.begin = time.process_time()

    def EndOfEventAction(self, event):
        seconds = time.process_time() - self.begin
        row = event.GetEventID()
        voxels, outside = self.active_energy(event)
        absorber = self.total(event, "absorber") if self.has_absorber else 0.0
        energy, _ = self.job.primary(self.job.first_event + row)
        # A positron ends by annihilation, which releases its own mass and an electron's.
        available = energy + (2 * ELECTRON_MASS_MEV if self.job.particle == "e+" else 0.0)
        self.voxels[row] = voxels
        leak = available - voxels.sum() - outside - absorber
        for name, value in (("incident_energy", energy), ("e_absorber", absorber), ("e_outside", outside),
                            ("e_leak", leak), ("sim_seconds", seconds)):
            self.scalars[name][row] = value

    def active_energy(self, event):
        """Energies (MeV, f64) per voxel, and in active material outside all voxels."""
        hits = list(self.hits(event, "cells"))
        voxel = self.voxel_of_cell[[cell for cell, _ in hits]] if hits else np.zeros(0, int)
        energy = np.array([value for _, value in hits])
        inside = voxel >= 0
        voxels = np.bincount(voxel[inside], energy[inside], minlength=self.voxels.shape[1])
        return voxels, energy[~inside].sum() + self.total(event, "outside")

    def total(self, event, detector: str) -> float:
        return sum(value for _, value in self.hits(event, detector))

    def hits(self, event, detector: str):
        number = g4.G4SDManager.GetSDMpointer().GetCollectionID(f"{detector}/energy")
        return event.GetHCofThisEvent().GetHC(number)


class Actions(g4.G4VUserActionInitialization):
    def __init__(self, gun: Gun, recorder: Recorder):
        super().__init__()
        self.actions = gun, recorder

    def Build(self):
        for action in self.actions:
            self.SetUserAction(action)


def simulate(job: Job) -> pa.Table:
    """Runs the job in this process, which must not have run one before."""
    calorimeter = calorimeters.parse(job.calorimeter)
    manager = g4.G4RunManager()
    detector, physics = Detector(calorimeter), em_physics.PhysicsList(job.range_cut_mm)
    manager.SetUserInitialization(detector)
    manager.SetUserInitialization(physics)
    recorder = Recorder(job, calorimeter)  # Geant4 wants the physics to be known before any action is made
    actions = Actions(Gun(job), recorder)
    manager.SetUserInitialization(actions)
    g4.G4EmParameters.Instance().SetVerbose(0)
    for area in ("run", "event", "tracking", "process"):
        g4.G4UImanager.GetUIpointer().ApplyCommand(f"/{area}/verbose 0")
    manager.Initialize()
    manager.BeamOn(job.n_events)
    return table(job, calorimeter, recorder)


def table(job: Job, calorimeter: calorimeters.Calorimeter, recorder: Recorder) -> pa.Table:
    """The showers in simile's schema, with geometry, units and settings in its metadata."""
    events = np.arange(job.first_event, job.first_event + job.n_events, dtype=np.int64)
    voxels = pa.FixedSizeListArray.from_arrays(pa.array(recorder.voxels.reshape(-1)), calorimeter.n_voxels)
    columns = {"event_id": events, "pdg": np.full(job.n_events, PDG[job.particle], np.int32),
               "incident_energy": recorder.scalars["incident_energy"], "voxels": voxels}
    columns |= {name: recorder.scalars[name] for name in ("e_absorber", "e_outside", "e_leak", "sim_seconds")}
    generator = {
        "code": f"{g4.G4Version.strip('$ ').removeprefix('Name: ')} (geant4-pybind)", "physics": em_physics.description(),
        "particle": job.particle, "energy_mev": list(job.energy_mev), "range_cut_mm": job.range_cut_mm, "seed": job.seed,
        "calorimeter": job.calorimeter, "voxels": "energy in the active material only",
    }
    metadata = {"simile.geometry": calorimeter.geometry(), "simile.units": UNITS, "generator": generator}
    return pa.table(columns).replace_schema_metadata({key: json.dumps(value) for key, value in metadata.items()})


def main(job_path: str, part_path: str) -> None:
    with open(job_path, encoding="utf-8") as file:
        job = Job(**json.load(file))
    try:
        showers = simulate(job)
    except calorimeters.CalorimeterError as error:
        raise SystemExit(f"error: {error}") from None
    pq.write_table(showers, part_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
