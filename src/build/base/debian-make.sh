#!/bin/sh
# Runs mmdebstrap in namespaces of its own (debian-make.ts), so that every mount made here ends with it.
#
#   debian-make.sh REPOSITORY TREE EMULATED COMMAND [ARG...]
#
# REPOSITORY  the folder that apt finds at file:/mnt
# TREE        where the tree is made
# EMULATED    yes: its programs run in qemu | no
set -eu
repository=$1 tree=$2 emulated=$3
shift 3
mount --bind "$repository" /mnt
# /proc is new here; mmdebstrap looks there whether it has to copy qemu into the tree.
[ "$emulated" = no ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc

# dpkg syncs its database some twenty times for each package, also with force-unsafe-io, and all for nothing: a tree
# that is not finished is thrown away. So the database is in memory meanwhile.
mkdir -p "$tree/var/lib/dpkg"
mount -t tmpfs -o mode=0755 tmpfs "$tree/var/lib/dpkg"
"$@"
cp -a "$tree/var/lib/dpkg" "$tree/var/lib/dpkg.finished"
umount "$tree/var/lib/dpkg"
rmdir "$tree/var/lib/dpkg"
mv "$tree/var/lib/dpkg.finished" "$tree/var/lib/dpkg"
