#!/usr/bin/env bash
# Trains every kind of model on every toy density and compares them. A minute and a half a run at most on 2 cores.
#   workflows/toys/run.sh OUT [TOY...] [-- MODEL...]    TOY: ring moons checkerboard spiral, MODEL: the names below
# Writes OUT/TOY/MODEL and OUT/TOY/comparison. SIMILE names the program (default: simile).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

simile=${SIMILE:-simile}
out=${1:?usage: workflows/toys/run.sh OUT [TOY...] [-- MODEL...]}
shift
toys=() models=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do toys+=("$1"); shift; done
[ $# -gt 0 ] && shift && models=("$@")
[ ${#toys[@]} -gt 0 ] || toys=(ring moons checkerboard spiral)
[ ${#models[@]} -gt 0 ] || models=(
    flow maf cvae autoencoder denoising-autoencoder diffusion flow-matching wgan wgan-clipping gan gan-minimax
)

network='{ width = 128, hidden = 3 }'
critic='{ width = 128, hidden = 3, activation = "leaky_relu" }'
players="latents = 8, generator = $network, critic = $critic"
coder="encoder = $network, decoder = $network"

# The [model] and [training] tables of a model.
tables() {
    case $1 in
        flow) echo 'kind = "flow", couplings = 10, width = 64, bins = 16, tail_bound = 4.0' ; echo 'epochs = 80, learning_rate = 2e-3' ;;
        maf) echo 'kind = "maf", layers = 6, width = 64, bins = 16, tail_bound = 4.0' ; echo 'epochs = 80, learning_rate = 2e-3' ;;
        cvae) echo "kind = \"cvae\", latents = 2, $coder, variance = \"per_event\", prior = { couplings = 6, width = 64 }" ; echo 'epochs = 300, learning_rate = 2e-3' ;;
        autoencoder) echo "kind = \"autoencoder\", latents = 2, $coder, components = 64" ; echo 'epochs = 60, learning_rate = 2e-3' ;;
        denoising-autoencoder) echo "kind = \"denoising-autoencoder\", latents = 2, $coder, components = 64, corruption = { kind = \"gaussian\", sigma = 0.05 }" ; echo 'epochs = 60, learning_rate = 2e-3' ;;
        diffusion) echo "kind = \"diffusion\", network = $network" ; echo 'epochs = 800, learning_rate = 4e-3' ;;
        flow-matching) echo "kind = \"flow-matching\", network = $network" ; echo 'epochs = 800, learning_rate = 4e-3' ;;
        wgan) echo "kind = \"wgan\", $players, constraint = { kind = \"gradient_penalty\", weight = 0.1 }" ; echo 'epochs = 800, learning_rate = 4e-3' ;;
        wgan-clipping) echo "kind = \"wgan\", $players, constraint = { kind = \"clipping\" }" ; echo 'epochs = 400, learning_rate = 1e-3' ;;
        gan) echo "kind = \"gan\", $players" ; echo 'epochs = 200, learning_rate = 5e-4' ;;
        gan-minimax) echo "kind = \"gan\", $players, generator_loss = \"minimax\"" ; echo 'epochs = 200, learning_rate = 5e-4' ;;
        *) echo "no model $1" >&2; return 1 ;;
    esac
}

for toy in "${toys[@]}"; do
    runs=()
    for name in "${models[@]}"; do
        settings=$(tables "$name") || exit 2
        { read -r model; read -r training; } <<< "$settings"
        override=(--set "model={ $model }" --set "training={ batch_size = 256, $training }")
        "$simile" run "configs/toys/$toy.toml" "${override[@]}" --out "$out/$toy/$name"
        # A failed gate (1) is a result, an error (2) is not.
        [ $? -le 1 ] || exit 2
        runs+=("$out/$toy/$name")
    done
    "$simile" compare "${runs[@]}" -o "$out/$toy/comparison" || exit 2
done
