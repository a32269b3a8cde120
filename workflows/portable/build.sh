#!/usr/bin/env bash
# Builds simile for systems older than this one: build.sh OUTPUT [GLIBC], by default for glibc 2.17
# Everything is compiled as in any release build; only the program is linked once more, by zig, which knows which symbols
# each glibc has. x86-64. Needs python3 with venv, and PyPI.
set -euo pipefail
output=$(realpath "$1")
glibc=${2:-2.17}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
cat > "$scratch/linker" <<LINKER
#!/bin/sh
export PATH="$scratch/venv/bin:\$PATH"
exec cargo-zigbuild zig cc -- -target x86_64-linux-gnu.$glibc "\$@"
LINKER
chmod +x "$scratch/linker"

cargo build --release --locked
target=$(cargo metadata --format-version 1 --no-deps --locked | grep -o '"target_directory":"[^"]*"' | cut -d'"' -f4)
# What is built with another linker replaces the program there.
cp "$target/release/simile" "$scratch/native"
cargo rustc --release --locked --bin simile -- -C linker="$scratch/linker"
cp "$target/release/simile" "$output"
rm "$target/release/simile"
cp "$scratch/native" "$target/release/simile"
"$here/check.sh" "$output" "$glibc"
