"""Electromagnetic Geant4 physics that needs no data files, on top of the PyPI wheel `geant4-pybind`.

The wheel (0.1.3 = Geant4 11.4.p01, statically linked) gives Python only whole physics constructors, and all of them
read tables (G4LEDATA and others) that the wheel does not carry. Its shared object exports Geant4's C++ symbols though,
so the standard processes whose models are formulas are created here by ctypes and registered with
G4PhysicsListHelper: no compiler, no headers, no downloads. What is approximated thereby is stated in README.md.
"""

import ctypes
import os
import sys
import tempfile
from ctypes import c_bool, c_char, c_int, c_size_t, c_void_p

if not (sys.platform == "linux" and os.uname().machine == "x86_64"):
    raise SystemExit("this workflow needs Linux on x86-64: it calls C++ symbols of the geant4-pybind wheel by their "
                     "Itanium ABI names and builds libstdc++ strings in memory")

# An existing GEANT4_DATA_DIR stops the wheel from offering to download data sets at import. G4NuclideTable refuses to
# start without a list of isotopes; runs of e-, e+ and gamma make no excited ions, so an empty list serves.
_no_data = tempfile.TemporaryDirectory(prefix="simile-geant4-")
with open(os.path.join(_no_data.name, "ENSDFSTATE.dat"), "w"):
    pass
os.environ.setdefault("GEANT4_DATA_DIR", _no_data.name)
os.environ.setdefault("G4ENSDFSTATEDATA", _no_data.name)

import geant4_pybind as g4  # noqa: E402  (reads the environment set above)

_library = ctypes.CDLL(g4.__file__)
_libc = ctypes.CDLL(None)
_libc.calloc.restype = c_void_p
_libc.calloc.argtypes = [c_size_t, c_size_t]

# Generous: the sizes of the classes below are not exported, and a run creates under twenty objects.
_OBJECT_BYTES = 65536
_ELECTROMAGNETIC = c_int(2)  # G4ProcessType::fElectromagnetic
_NO_PARTICLE = c_void_p(0)   # models take their particle later, from their process


class _StdString(ctypes.Structure):
    """libstdc++'s std::string (C++11 ABI), of which G4String is a subclass without members of its own."""

    _fields_ = [("data", c_void_p), ("size", c_size_t), ("local", c_char * 16)]


def _string(text: str):
    """A const G4String& argument. The callee copies it; `bytes_` is held alive by the structure until then."""
    bytes_ = ctypes.create_string_buffer(text.encode())
    string = _StdString(ctypes.addressof(bytes_), len(text), b"")
    string.bytes_ = bytes_
    return ctypes.byref(string)


def _function(symbol: str, result=None, arguments=()):
    function = getattr(_library, symbol)
    function.restype, function.argtypes = result, list(arguments)
    return function


def _mangled(*names: str) -> str:
    return "_ZN" + "".join(f"{len(name)}{name}" for name in names)


def _new(class_name: str, signature: str, *arguments) -> c_void_p:
    """`new class_name(arguments)`, in memory from malloc so that Geant4's own delete may free it."""
    instance = c_void_p(_libc.calloc(1, _OBJECT_BYTES))
    constructor = getattr(_library, _mangled(class_name) + "C1E" + signature)
    constructor.restype = None
    constructor(instance, *arguments)
    return instance


def _process(class_name: str, label: str) -> c_void_p:
    """A discrete process: class_name(const G4String&, G4ProcessType)."""
    return _new(class_name, "RK8G4String13G4ProcessType", _string(label), _ELECTROMAGNETIC)


def _charged_process(class_name: str, label: str) -> c_void_p:
    """A process of charged particles: class_name(const G4String&)."""
    return _new(class_name, "RK8G4String", _string(label))


def _model(class_name: str, label: str) -> c_void_p:
    """class_name(const G4ParticleDefinition*, const G4String&)."""
    return _new(class_name, "PK20G4ParticleDefinitionRK8G4String", _NO_PARTICLE, _string(label))


def _set_model(process_base: str, process: c_void_p, model: c_void_p) -> None:
    set_model = _function(_mangled(process_base, "SetEmModel") + "EP10G4VEmModeli", None, [c_void_p, c_void_p, c_int])
    set_model(process, model, 0)


def _photon_processes() -> list[c_void_p]:
    photoelectric = _process("G4PhotoElectricEffect", "phot")
    _set_model("G4VEmProcess", photoelectric, _new("G4PEEffectFluoModel", "RK8G4String", _string("PhotoElectric")))
    compton = _process("G4ComptonScattering", "compt")
    _set_model("G4VEmProcess", compton, _model("G4KleinNishinaCompton", "Klein-Nishina"))
    conversion = _process("G4GammaConversion", "conv")  # default model: G4PairProductionRelModel (Bethe-Heitler, LPM)
    return [photoelectric, compton, conversion]


def _electron_processes(positron: bool) -> list[c_void_p]:
    scattering = _charged_process("G4eMultipleScattering", "msc")  # default model: Urban
    ionisation = _charged_process("G4eIonisation", "eIoni")  # default model: Moller-Bhabha
    bremsstrahlung = _charged_process("G4eBremsstrahlung", "eBrem")
    if not have_seltzer_berger_tables():
        _set_model("G4VEnergyLossProcess", bremsstrahlung, _model("G4eBremsstrahlungRelModel", "eBremLow"))
    annihilation = [_charged_process("G4eplusAnnihilation", "annihil")] if positron else []
    return [scattering, ionisation, bremsstrahlung, *annihilation]


def _construct_processes() -> None:
    helper = c_void_p(_function(_mangled("G4PhysicsListHelper", "GetPhysicsListHelper") + "Ev", c_void_p)())
    _function(_mangled("G4PhysicsListHelper", "AddTransportation") + "Ev", None, [c_void_p])(helper)
    register = _function(_mangled("G4PhysicsListHelper", "RegisterProcess") + "EP10G4VProcessP20G4ParticleDefinition",
                         c_bool, [c_void_p] * 3)
    for name, processes in (("G4Gamma", _photon_processes()), ("G4Electron", _electron_processes(positron=False)),
                            ("G4Positron", _electron_processes(positron=True))):
        particle = c_void_p(_function(_mangled(name, "Definition") + "Ev", c_void_p)())
        for process in processes:
            if not register(helper, process, particle):
                raise RuntimeError(f"Geant4 refused a process of {name}: is geant4-pybind at the pinned version?")


def have_seltzer_berger_tables() -> bool:
    """Whether the user has Geant4's own low-energy tables; then bremsstrahlung below 1 GeV uses the standard model."""
    tables = os.environ.get("G4LEDATA")
    return tables is not None and os.path.isdir(os.path.join(tables, "brem_SB"))


def description() -> str:
    """The models in use, for the metadata of the files they make."""
    standard = "Seltzer-Berger below 1 GeV, eBremLPM above"
    bremsstrahlung = standard if have_seltzer_berger_tables() else "eBremLPM at all energies"
    return (f"e-/e+/gamma: PEEffectFluo, Klein-Nishina, BetheHeitlerLPM, UrbanMsc, MollerBhabha, {bremsstrahlung}, "
            "annihilation")


class PhysicsList(g4.G4VUserPhysicsList):
    """Photons, electrons and positrons with one production range cut (mm) for all."""

    def __init__(self, range_cut_mm: float):
        super().__init__()
        self.SetDefaultCutValue(range_cut_mm)
        self.SetVerboseLevel(0)

    def ConstructParticle(self):
        for particle in (g4.G4Gamma, g4.G4Electron, g4.G4Positron, g4.G4Proton):  # the table of cuts wants a proton
            particle.Definition()

    def ConstructProcess(self):
        _construct_processes()

    def SetCuts(self):
        self.SetCutsWithDefault()
