#!/bin/sh
# sshd for a tree that people come to; image-job/ssh-shell.ts starts it on the host side of a sandbox (enter.sh), with
# the tree at /mnt and in a folder of its own.
#
#   ssh-room.sh FILES SHELL LOG
#
# FILES  folder with what sshd reads: sshd_config, host_key, authorized_keys
# SHELL  root's shell
# LOG    a file that is shown as /mnt/image/log, or -
#
# sshd has a root of its own: programs of this host, read-only, the tree at /mnt/image/image-root, and nothing else of
# this host. Ends with 0 when somebody has touched `complete`, with 10 when it was `failed`.
set -eu
files=$1 shell=$2 log=$3
tree=/mnt room=$(pwd)/room
# Not needed to change an image, and able to reach beyond it: devices, mounts, other processes, the host's network.
drop=-sys_admin,-mknod,-sys_ptrace,-net_admin,-dac_read_search,-linux_immutable,-sys_pacct,-sys_resource
drop=$drop,-perfmon,-bpf,-checkpoint_restore,-net_raw,-sys_nice,-sys_tty_config,-mac_override,-audit_control,-audit_read,-wake_alarm,-block_suspend,-ipc_lock,-ipc_owner

mkdir -p "$room"
mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$room"
cd "$room"
mkdir -m 0755 usr etc etc/ssh run run/sshd mnt mnt/image mnt/image/image-root dev proc sys var
mkdir -m 0700 root
mkdir -m 1777 tmp
mount --rbind "$tree" mnt/image/image-root
# A layer may hold device nodes; those of /dev are on a file system of their own.
mount -o remount,bind,nodev mnt/image/image-root
for name in proc sys dev; do mount --rbind "$tree/$name" "$name"; done

show() { # a folder of this host, without what is mounted below it
  mount --bind "/$1" "$1"
  mount -o remount,bind,ro,nosuid,nodev "$1"
}
show usr
# What a site has put there itself is nobody's business here.
[ ! -d usr/local ] || mount -t tmpfs -o ro,mode=0755 tmpfs usr/local
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then
    cp -P "/$name" "$name"
  elif [ -d "/$name" ]; then
    mkdir "$name"
    show "$name"
  fi
done
for name in alternatives ld.so.cache ld.so.conf ld.so.conf.d ssl/certs ssl/openssl.cnf protocols services localtime \
  resolv.conf python3 perl terminfo; do
  [ -e "/etc/$name" ] || continue
  mkdir -p "$(dirname "etc/$name")"
  cp -aH "/etc/$name" "etc/$name"
done
printf 'root:*:0:0:root:/root:%s\nsshd:*:65533:65534::/run/sshd:/usr/sbin/nologin\n' "$shell" >etc/passwd
printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >etc/group
# Of systemd's accounts root is a locked one.
printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n' >etc/nsswitch.conf
cp "$files/sshd_config" "$files/host_key" "$files/authorized_keys" etc/ssh
chown 0:0 etc/ssh/*
chmod 0600 etc/ssh/*
[ "$log" = - ] || cp "$log" mnt/image/log

unshare --mount --propagation private /bin/sh -c '
  cd "$1" && mkdir .host && pivot_root . .host && cd / && umount -l /.host && rmdir /.host || exit 1
  exec setpriv --inh-caps=-all --bounding-set="$2" /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
' room "$room" "$drop" &
sshd=$!

ended() { # CODE: whoever said so shall hear that it was heard
  sleep 1
  exit "$1"
}
while kill -0 "$sshd" 2>/dev/null; do
  for place in "$tree/tmp" "$room/mnt/image"; do
    [ ! -e "$place/complete" ] || ended 0
    [ ! -e "$place/failed" ] || ended 10
  done
  sleep 0.2
done
wait "$sshd"
# sshd never ends by itself: with an exit code of 0 it was told to.
exit 1
