#!/usr/bin/env bash
# Trains a classifier of digits and every model of configs/mnist, and compares them.
#   workflows/mnist/run.sh OUT [MODEL...] [-- ARGUMENT...]    MODEL: names of configs/mnist without .toml; ARGUMENTs go to every `simile run`
# Writes OUT/classifier, OUT/MODEL and OUT/comparison; runs that are finished are kept, others go on. SIMILE names the program (default: simile), DATA the
# folder with the images (default: data/mnist), which are downloaded if they are not there.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

simile=${SIMILE:-simile}
data=${DATA:-data/mnist}
out=${1:?usage: workflows/mnist/run.sh OUT [MODEL...] [-- ARGUMENT...]}
shift
models=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do models+=("$1"); shift; done
[ $# -gt 0 ] && shift
[ ${#models[@]} -gt 0 ] || models=(
    autoencoder denoising_autoencoder vae cvae gan dcgan wgan realnvp flow diffusion flow_matching
)

if ! [ -e "$data/mnist_train.parquet" ] || ! [ -e "$data/mnist_test.parquet" ]; then
    "$simile" fetch mnist --dir "$data" || exit 2
fi
files=(--set "data.files=['$data/mnist_train.parquet']" --set "data.test_files=['$data/mnist_test.parquet']")
if ! [ -e "$out/classifier" ]; then
    "$simile" classify --data "$data/mnist_train.parquet" --test "$data/mnist_test.parquet" \
        --image image --label digit -o "$out/classifier" || exit 2
fi
files+=(--set "validation.images.classifier='$out/classifier'")
gates() {
    case $1 in
    cvae) echo mnist_cvae ;;
    gan | dcgan | wgan | diffusion | flow_matching) echo mnist_conditional ;;
    *) echo mnist_digits ;;
    esac
}
runs=()
for model in "${models[@]}"; do
    "$simile" run "configs/mnist/$model.toml" "${files[@]}" --out "$out/$model" --resume \
        --set "validation.thresholds='validation/thresholds/$(gates "$model").toml'" "$@"
    # A failed gate (1) is a result, an error (2) is not.
    status=$?
    [ $status -le 1 ] || exit $status
    runs+=("$out/$model")
done
rm -rf "$out/comparison"
# The VAE is not told the digit, and so is judged without it.
"$simile" compare --force "${runs[@]}" -o "$out/comparison" || exit 2
