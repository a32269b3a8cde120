"""Runs `simile validate` and peer.py on the same samples, and prints and writes their times: run.py SIMILE FOLDER.

On `wide` both compute the same figures, and simile's time is that of the whole program with its figures and report, once without the
classifier and once with it; the largest relative difference of what has no random part is printed. `long` is for simile alone,
without the classifier, with the peak of its memory.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
THREADS = os.environ.get("THREADS", str(os.cpu_count()))
# Of every classifier; simile's default is 60, which stop early.
EPOCHS = 5
EXACT = [("ks", "statistic"), ("anderson_darling", "statistic"), ("chi2", "statistic"), ("wasserstein", "value"),
         ("energy_distance", "value"), ("separation_power", "value"), ("jensen_shannon", "value")]


def simile(program, folder, sample, scratch, *options):
    """Seconds, peak of memory in MB, and figures."""
    out = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    command = ["time", "--format=%e %M", program, "validate", "--quiet", "--threads", THREADS, *options]
    files = [f"--reference={folder}/{sample}_reference.parquet", f"--candidate={folder}/{sample}_candidate.parquet"]
    config = out / "config.toml"
    config.write_text(f"permutations = 0\nclassifier = {{ epochs = {EPOCHS}, patience = {EPOCHS} }}\n")
    done = subprocess.run([*command, *files, f"--config={config}", f"--output={out}/found"],
                          check=True, stderr=subprocess.PIPE, text=True)
    seconds, kilobytes = re.search(r"^(\S+) (\d+)$", done.stderr, re.MULTILINE).groups()
    return float(seconds), int(kilobytes) / 1e3, json.loads((out / "found/metrics.json").read_text())


def difference(ours, peers):
    pairs = ((our[test][figure], peer[test][figure])
             for our, peer in zip(ours["features"], peers["features"]) for test, figure in EXACT)
    return max(abs(our - peer) / abs(peer) for our, peer in pairs)


def main():
    program, folder = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        wide, _, metrics = simile(program, folder, "wide", scratch, "--no-classifier")
        classified, _, with_classifier = simile(program, folder, "wide", scratch)
        environment = {**os.environ, "OMP_NUM_THREADS": THREADS, "OPENBLAS_NUM_THREADS": THREADS}
        subprocess.run([sys.executable, HERE / "peer.py", f"{folder}/wide_reference.parquet",
                        f"{folder}/wide_candidate.parquet", THREADS, str(EPOCHS), scratch / "peer.json"], check=True, env=environment)
        peer = json.loads((scratch / "peer.json").read_text())
        found = difference(metrics, peer["metrics"])
        long, memory, _ = simile(program, folder, "long", scratch, "--no-classifier")
    python_classified = sum(peer["seconds"].values())
    python = python_classified - peer["seconds"]["classifier"]
    [c2st] = with_classifier["global"]["c2st"]
    results = {
        "threads": int(THREADS),
        "wide": {"simile_s": wide, "python_s": python, "ratio": python / wide, "python_parts_s": peer["seconds"],
                 "largest_relative_difference": found},
        "wide_with_classifier": {"simile_s": classified, "python_s": python_classified,
                                 "ratio": python_classified / classified, "epochs": EPOCHS,
                                 "simile_auc": c2st["auc"], "python_auc": peer["metrics"]["c2st"]["auc"]},
        "long": {"simile_s": long, "peak_memory_MB": memory},
    }
    print(f"50,000 events of 150 features: {wide:.1f} s, Python {python:.1f} s, ratio {python / wide:.1f}; "
          f"figures differ by at most {found:.1e}")
    print(f"the same with classifiers of {EPOCHS} epochs: {classified:.1f} s, Python {python_classified:.1f} s, "
          f"ratio {python_classified / classified:.1f}")
    print(f"10,000,000 events of 10 features: {long:.1f} s, {memory:.0f} MB")
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
