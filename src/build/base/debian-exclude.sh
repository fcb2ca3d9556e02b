#!/bin/sh
# mmdebstrap's extract hook: takes the excluded paths out of what it has unpacked of the essential packages, as its own
# filter does, which starts a Python for each of them. dpkg leaves them out by itself.
#
#   debian-exclude.sh TREE
set -eu
cd "$1"
while read -r pattern; do
  find . -xdev -depth -path ".$pattern" -delete
done < /mnt/excludes
