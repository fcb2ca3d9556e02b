#!/bin/bash
# The compute image as a plain shell script: what an administrator without netkiln would run.
# usage: script.sh RECIPE_DIR ANSIBLE_DIR OUTPUT_DIR      -> OUTPUT_DIR/{rootfs,kernel,initrd}
# ZSTD_LEVEL: of the squashfs; 15 is the default of mksquashfs
set -euo pipefail
[ $# -eq 3 ] || { sed -n 3p "$0" >&2; exit 2; }
recipe=$(realpath "$1") ansible=$(realpath "$2"); mkdir -p "$3"; out=$(realpath "$3")
node=$(realpath "$(dirname "$0")/../node")

yaml() { python3 -c 'import sys, yaml; v = yaml.safe_load(open(sys.argv[1]))
for k in sys.argv[2].split("."): v = v[k]
print(sys.argv[3].join(v) if isinstance(v, list) else v)' "$recipe/recipe.yaml" "$1" "${2:- }"; }

work=$(mktemp -d "$out/work.XXXXXX") root=$work/root
cleanup() {
    for m in dev/shm dev/pts dev run sys proc; do
        mountpoint -q "$root/$m" && umount -l "$root/$m"
    done
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

began=$(date +%s.%N) last=$began
phase() { local now; now=$(date +%s.%N); printf '%-12s %6.1f s\n' "$1" "$(echo "$now $last" | awk '{print $1-$2}')"; last=$now; }

export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
mmdebstrap --mode=root --variant="$(yaml variant)" --components="$(yaml components ,)" \
    --include="$(yaml packages ,)" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$(yaml suite)" "$root" /etc/apt/sources.list.d/debian.sources > "$out/mmdebstrap.log" 2>&1
phase packages

cp -rT --no-preserve=ownership "$recipe/files" "$root"
install -D -m 755 "$node/bin/report" "$root/usr/lib/netkiln/report"
install -m 644 "$node"/systemd/*.service "$root/usr/lib/systemd/system/"
cp -r --no-preserve=ownership "$node/dracut/90netkiln" "$root/usr/lib/dracut/modules.d/"
mkdir -p "$root/etc/netkiln"
printf 'NAME=%s\nBUILD_ID=script\n' "$(yaml name)" > "$root/etc/netkiln/image-release"
chroot "$root" systemctl -q enable netkiln-report-userspace.service netkiln-report-ready.service
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/resolv.conf" "$root/etc/hostname"
phase files

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"

printf '[Compute]\nnode ansible_host=%s ansible_connection=community.general.chroot\n' "$root" > "$work/inventory"
cd "$ansible"
for playbook in base.yml compute.yml slurm.yml; do
    ansible-playbook -i "$work/inventory" "$playbook" < /dev/null > "$out/${playbook%.yml}.log" 2>&1 \
        || { cat "$out/${playbook%.yml}.log"; exit 1; }
    phase "${playbook%.yml}"
done
cd "$out"

version=$(ls "$root/usr/lib/modules")
chroot "$root" dracut --force --no-hostonly --no-hostonly-cmdline \
    --add "network-legacy livenet netkiln" --omit "systemd-networkd systemd-resolved connman network-manager plymouth" \
    --add-drivers "$(yaml initrd.drivers)" --kver "$version" "/boot/initrd.img-$version" > "$out/dracut.log" 2>&1
phase dracut

for m in run dev sys proc; do umount -l "$root/$m"; done
cp "$root/boot/vmlinuz-$version" kernel
cp "$root/boot/initrd.img-$version" initrd
rm -rf "$root"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/tmp/*
mksquashfs "$root" rootfs -noappend -no-progress -quiet -comp zstd -Xcompression-level "${ZSTD_LEVEL:-15}" -xattrs > "$out/squashfs.log" 2>&1
phase squashfs

last=$began; phase total
