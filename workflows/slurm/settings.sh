# What is trained and generated, and what it needs. Copy this file, edit the copy, and name it:
#   SIMILE_SETTINGS=my-settings.sh workflows/slurm/submit.sh
# Paths are relative to the folder in which jobs are submitted; all nodes must see it.

SIMILE=simile                                   # the program
CONFIG=configs/quickstart.toml                  # the run's configuration
OVERRIDES=()                                    # changes to it: (--set training.epochs=5)
RUN=runs/quickstart                             # run directory: data and model
LAUNCH=()                                       # starts training in the tasks of TRAIN: (srun --mpi=pmix --kill-on-bad-exit); see README

CONDITIONS=data/samples/photons_compact_test.parquet   # what to generate events for
EVENTS=1000000                                  # how many
SHARDS=16                                       # in how many jobs; 10 to 60 minutes each are sensible
SEED=1
OUTPUT=runs/quickstart/sample                   # folder of the generated events
NODE_TMPDIR=                                    # local folder of a node, as the job sees it: '$TMPDIR' or '/scratch/$SLURM_JOB_ID'

REFERENCE=data/samples/photons_compact_test.parquet    # what the sample is compared with
VALIDATE=(--incident incident_energy --voxels voxels)  # and how: see simile validate --help

SCAN=scan.toml                                  # parameter scan: see simile sweep --help
SCAN_OUTPUT=runs/scan

# Options of sbatch for each kind of job. Keep samples to one kind of processor (--constraint) for equal bits.
LOG_DIR=runs/logs
COMMON=(--partition=main)                       # account, partition
TRAIN=(--cpus-per-task=8 --mem=8G --time=12:00:00)
SAMPLE=(--cpus-per-task=2 --mem=4G --time=2:00:00)
MERGE=(--cpus-per-task=1 --mem=2G --time=1:00:00)
VALIDATION=(--cpus-per-task=4 --mem=16G --time=2:00:00)
TRIAL=(--cpus-per-task=4 --mem=8G --time=6:00:00)
