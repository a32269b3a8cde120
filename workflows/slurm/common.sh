# Shared by submit.sh and scan.sh: reads the settings, and defines `submit`.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SIMILE_SETTINGS=$(realpath "${SIMILE_SETTINGS:-$here/settings.sh}")
export SIMILE_SETTINGS
source "$SIMILE_SETTINGS"
mkdir -p "$LOG_DIR"

# submit STEP OPTION…: submits a step with these options of sbatch and prints the number of the job.
submit() {
    local step=$1 log=%x-%j
    shift
    case "$*" in *--array=*) log=%x-%A_%a ;; esac
    sbatch --parsable --kill-on-invalid-dep=yes --job-name="simile-$step" --output="$LOG_DIR/$log.log" \
        "${COMMON[@]}" "$@" "$here/job.sh" "$step"
}
