#!/bin/bash
# Runs what looks through an archive, in namespaces that sandbox.ts made. An own one for the network is added here:
# nothing that reads what others made needs one.
#
#   scan-archive.sh ARCHIVE OFFSET DECOMPRESS COMMAND [ARG...]
#
# OFFSET      bytes of ARCHIVE to leave out
# DECOMPRESS  program that unpacks standard input, called with -dc; "cat" for none
set -euo pipefail
archive=$1 offset=$2 decompress=$3
shift 3
unpacked() { if [ "$decompress" = cat ]; then cat; else "$decompress" -dc; fi }
tail -c "+$((offset + 1))" -- "$archive" | unpacked | "$@"
