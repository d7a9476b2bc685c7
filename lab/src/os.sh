#!/bin/sh
# Starts an operating system of its own in the network namespace that this runs in: this machine's files under an overlay in memory, with
# systemd as process 1. Ends with it, and leaves nothing.
#   $1 boot; it calls itself with join (a control group of its own) and enter (namespaces of its own)
#   $2 an empty folder
#   $3 a name that no other has
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
stage=$1 folder=$2 name=$3
cd "$folder"

case "$stage" in
boot)
    mount -t tmpfs -o mode=0755 os "$folder"
    cd "$folder"
    mkdir upper work os cgroup
    # Of this machine's root alone: what is mounted over it (/run with the labs, /tmp) is not there.
    mount -t overlay os -o lowerdir=/,upperdir="$folder/upper",workdir="$folder/work" os
    # Names as the lab has them; `ip netns exec` has put them over this machine's.
    cp --remove-destination /etc/hosts /etc/resolv.conf os/etc/
    # Nothing of this machine is started but systemd and its journal.
    rm -rf os/etc/systemd/system os/etc/systemd/system.conf.d os/usr/lib/systemd/system-generators \
        os/usr/lib/systemd/system/*.wants os/usr/sbin/policy-rc.d
    mkdir -p os/etc/systemd/system/sockets.target.wants
    ln -s /lib/systemd/system/systemd-journald.socket os/etc/systemd/system/sockets.target.wants/
    for place in run tmp var/tmp dev; do
        mount -t tmpfs -o mode=0755 os "os/$place"
    done
    chmod 1777 os/tmp os/var/tmp
    for node in null zero full random urandom tty; do
        touch "os/dev/$node"
        mount --bind "/dev/$node" "os/dev/$node"
    done
    mkdir os/dev/shm os/dev/pts os/run/old
    ln -s /proc/self/fd os/dev/fd
    # PrivateDevices= looks for it.
    ln -s pts/ptmx os/dev/ptmx
    mount --bind /sys os/sys
    mount -t cgroup2 os cgroup
    mkdir "cgroup/$name"
    sh "$0" join "$folder" "$name" || status=$?
    find "cgroup/$name" -depth -type d -exec rmdir {} +
    exit "${status:-0}"
    ;;
join)
    echo $$ > "cgroup/$name/cgroup.procs"
    exec unshare --cgroup --ipc --uts --pid --fork --kill-child --mount-proc="$folder/os/proc" sh "$0" enter "$folder" "$name"
    ;;
enter)
    cd os
    # Its own control group is the root of all that it sees.
    mount -t cgroup2 os sys/fs/cgroup
    pivot_root . run/old
    umount -l /run/old
    rmdir /run/old
    exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=basic.target --show-status=no \
        --log-level=warning
    ;;
esac
