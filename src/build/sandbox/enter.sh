#!/bin/sh
# First process of a sandbox; sandbox.ts starts it in new mount, PID, IPC and UTS namespaces, so that every mount
# made here and every process started below ends with it, also when it is killed.
#
#   enter.sh CHANGES LAYERS LOWER UPPER WORK DEVICES SECRETS AT COMMAND [ARG...]
#
# CHANGES  none: the tree is read-only | scratch: changes are thrown away | keep: changes go to UPPER
# LAYERS   folder to which the names in LOWER are relative (mount options hold at most 4096 bytes)
# LOWER    layers, the topmost first, separated by ":"
# DEVICES  yes: /proc, /sys, /dev, /run and /tmp as programs expect them | no: the bare tree
# SECRETS  yes: lines "NAME BASE64" on standard input become files in the folder secrets, in memory alone | no
# AT       tree: the command runs inside the tree | host: it runs outside and finds the tree at /mnt
set -eu
changes=$1 layers=$2 lower=$3 upper=$4 work=$5 devices=$6 secrets=$7 at=$8
shift 8
tree=/mnt start=$(pwd)
options=metacopy=off,redirect_dir=off,index=off,xino=off,uuid=off

hostname netkiln
mount -t proc proc /proc
cd "$layers"
case $changes in
  none) mount -t overlay -o "ro,lowerdir=$lower,$options" overlay "$tree" ;;
  keep) mount -t overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work,$options" overlay "$tree" ;;
  scratch)
    mount -t tmpfs -o mode=0755 tmpfs "$work"
    mkdir -m 0755 "$work/upper" "$work/work"
    mount -t overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work,$options" overlay "$tree"
    ;;
esac
cd "$start"

if [ "$devices" = yes ]; then
  mount -t proc -o nosuid,nodev,noexec proc "$tree/proc"
  # Kernel settings belong to the host: a play that writes them fails here instead of changing this machine.
  mount --bind "$tree/proc/sys" "$tree/proc/sys"
  mount -o remount,bind,ro "$tree/proc/sys"
  [ ! -e "$tree/proc/sysrq-trigger" ] || mount --bind /dev/null "$tree/proc/sysrq-trigger"
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$tree/sys"
  mount -t tmpfs -o mode=0755,nosuid tmpfs "$tree/dev"
  mknod -m 666 "$tree/dev/null" c 1 3
  mknod -m 666 "$tree/dev/zero" c 1 5
  mknod -m 666 "$tree/dev/full" c 1 7
  mknod -m 666 "$tree/dev/random" c 1 8
  mknod -m 666 "$tree/dev/urandom" c 1 9
  mknod -m 666 "$tree/dev/tty" c 5 0
  ln -s /proc/self/fd "$tree/dev/fd"
  ln -s /proc/self/fd/0 "$tree/dev/stdin"
  ln -s /proc/self/fd/1 "$tree/dev/stdout"
  ln -s /proc/self/fd/2 "$tree/dev/stderr"
  mkdir "$tree/dev/pts" "$tree/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$tree/dev/pts"
  ln -s pts/ptmx "$tree/dev/ptmx"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$tree/dev/shm"
  mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$tree/run"
  mkdir -m 1777 "$tree/run/lock"
  # Files come out of the tree through this folder.
  if [ -d exchange ]; then
    mkdir "$tree/run/netkiln"
    mount --bind exchange "$tree/run/netkiln"
  fi
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$tree/tmp"
fi

if [ "$secrets" = yes ]; then
  # Not as arguments and not in the environment, which others can read, and on no disk.
  mkdir -p secrets
  mount -t tmpfs -o mode=0700,nosuid,nodev tmpfs secrets
  while read -r name content; do
    (umask 077 && printf %s "$content" | base64 -d >"secrets/$name")
  done
  exec </dev/null
fi

# Not exec: this shell stays as PID 1 and reaps what the command leaves behind.
case $at in
  tree) chroot "$tree" "$@" ;;
  host) "$@" ;;
esac
