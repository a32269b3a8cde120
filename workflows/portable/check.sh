#!/usr/bin/env bash
# Says what a binary needs of the system it runs on: check.sh PROGRAM [GLIBC]
# Fails if it needs a library that is not part of every Linux system, or a glibc newer than GLIBC (such as 2.17).
# Needs objdump (Debian: binutils).
set -euo pipefail
program=$1
limit=${2:-}

# First releases with a glibc, oldest first.
distributions='2.17 RHEL 7
2.27 Ubuntu 18.04
2.28 RHEL 8, Debian 10
2.31 Ubuntu 20.04, Debian 11, SLES 15 SP3
2.34 RHEL 9
2.35 Ubuntu 22.04
2.36 Debian 12
2.39 Ubuntu 24.04, RHEL 10
2.41 Debian 13'

# newest A B: the later of two versions.
newest() { printf '%s\n' "$@" | sort -V | tail -n 1; }

headers=$(objdump -p "$program")
libraries=$(awk '$1 == "NEEDED" { print $2 }' <<< "$headers")
foreign=$(grep -vE '^(libc|libm|libgcc_s|libpthread|libdl|librt|libutil|ld-linux-.*)\.so' <<< "$libraries" || true)
glibc=$(grep -oE 'GLIBC_[0-9.]+' <<< "$headers" | sed 's/GLIBC_//' | sort -V | tail -n 1 || true)
oldest=''
while read -r version names; do
    [ "$(newest "$version" "${glibc:-0}")" = "$version" ] && { oldest=$names; break; }
done <<< "$distributions"

libraries=${libraries:-none}
echo "libraries  ${libraries//$'\n'/ }"
echo "glibc      ${glibc:-none}"
echo "runs on    ${oldest:-releases that this script does not know} and newer"
[ -z "$foreign" ] || { echo "FAILED: not part of every system: ${foreign//$'\n'/ }" >&2; exit 1; }
if [ -n "$limit" ] && [ "$(newest "$limit" "${glibc:-0}")" != "$limit" ]; then
    echo "FAILED: needs glibc $glibc, wanted is $limit" >&2
    exit 1
fi
