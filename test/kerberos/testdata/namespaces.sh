#!/bin/sh
# Runs a command on a machine that can be a KDC and a license server, and leaves no trace on this one: it has its own name, /etc, /tmp and
# loopback interface, and the programs of a directory in /usr/local/bin. All that it starts ends with it.
# Usage: unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc sh namespaces.sh DIRECTORY COMMAND [ARGUMENT...]
set -eu
mount --bind "$1" /usr/local/bin
shift
ip link set lo up

for directory in /run /var/log; do
	mount -t tmpfs -o mode=755 tmpfs $directory
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir /run/etc
cp -a /etc/. /run/etc
mount --bind /run/etc /etc

hostname ls1
echo '127.0.0.1 ls1.example.com ls1 localhost' >/etc/hosts
: >/etc/resolv.conf

# Not exec: this shell is the first process, and waits for those that lose their parents.
"$@"
