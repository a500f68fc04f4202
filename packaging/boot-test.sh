#!/usr/bin/env bash
# Runs the packaged service under a real systemd: a virtual machine of Debian 12, with its kernel, boots, and
# boot-guest.sh is carried out in it. Prints what was seen, and ends with 0 when every claim there holds.
#   packaging/boot-test.sh DEB NEWER_DEB
# Needs root, debootstrap and about 3 GB in FERRYD_BOOT_DIR; qemu goes into a directory there and not onto this machine. The
# first run fetches Debian (about 3 minutes), later ones take about 3 minutes without KVM.
# FERRYD_BOOT_NOTIFY=no: for a ferryd that does not tell systemd when it is ready; the service is run as Type=exec.
set -euo pipefail

deb=$(realpath "$1")
newer=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
room=${FERRYD_BOOT_DIR:-/var/tmp/ferryd-boot}
# The mirror that this machine installs from.
# shellcheck disable=SC2016  # apt-get fills in the name.
mirror=${FERRYD_BOOT_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)}
tools=$room/tools
work=$tools/boot-test

# Both roots are Debian 12: one with qemu, which is only entered, and one with a kernel, which becomes the machine's disk.
make_room() {
  local guest=$room/guest packages=systemd,systemd-sysv,dbus,udev,kmod,sqlite3,ca-certificates,initramfs-tools
  rm -rf "$tools" "$guest"
  mkdir -p "$room"
  debootstrap --variant=minbase --include=qemu-system-x86,e2fsprogs bookworm "$tools" "$mirror"
  debootstrap --variant=minbase --include="$packages,linux-image-cloud-amd64" bookworm "$guest" "$mirror"
  cat >"$guest/etc/systemd/system/boot-test.service" <<'END'
[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/sh -c 'mount /dev/vdb /mnt && exec /bin/bash /mnt/boot-guest.sh'
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
[Install]
WantedBy=multi-user.target
END
  systemctl --root="$guest" --quiet enable boot-test.service
  echo ferryd-boot >"$guest/etc/hostname"
  echo "127.0.0.1 localhost api.test" >"$guest/etc/hosts"
  mkdir "$work"
  cp "$guest"/boot/vmlinuz-* "$work/vmlinuz"
  cp "$guest"/boot/initrd.img-* "$work/initrd"
  PATH=$PATH:/sbin mke2fs -q -t ext4 -d "$guest" "$work/disk.img" 2G
  rm -rf "$guest"
  touch "$work/made"
}

[[ -e $work/made ]] || make_room >"${room}.log" 2>&1 || {
  echo "Debian could not be fetched; see ${room}.log" >&2
  exit 1
}

payload=$(mktemp -d "$room/payload.XXXXXX")
trap 'rm -rf "$payload"' EXIT
cp "$deb" "$payload/ferryd.deb"
cp "$newer" "$payload/newer.deb"
cp "$here/boot-guest.sh" "$payload"
echo "${FERRYD_BOOT_NOTIFY:-yes}" >"$payload/notify"
rm -f "$work/payload.img" "$work/report" "$work/console"
PATH=$PATH:/sbin mke2fs -q -t ext4 -d "$payload" "$work/payload.img" 128M

# What the machine writes on its disk is gone at the end. There is no network in it.
timeout --kill-after=10 900 chroot "$tools" qemu-system-x86_64 -machine q35,accel=kvm:tcg -m 1024 -smp 2 -nic none \
  -display none -serial file:/boot-test/console -serial file:/boot-test/report \
  -kernel /boot-test/vmlinuz -initrd /boot-test/initrd -append "root=/dev/vda rw console=ttyS0 quiet" \
  -drive file=/boot-test/disk.img,format=raw,if=virtio,snapshot=on \
  -drive file=/boot-test/payload.img,format=raw,if=virtio </dev/null 2>"$work/qemu" || {
  cat "$work/qemu" "$work/console" "$work/report" >&2 || true
  echo "the machine did not come to its end within 15 minutes, or could not be started" >&2
  exit 1
}
tr -d '\r' <"$work/report"
grep -q '^boot test: all claims hold' "$work/report" && ! grep -q '^BROKEN' "$work/report"
