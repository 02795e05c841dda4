#!/bin/sh
# Runs a command on a machine that can be a domain controller, and leaves no trace on this one: it has its own name, /etc, Samba's state
# and loopback interface, and the programs of a directory in /usr/local/bin. All that it starts ends with it.
# Usage: unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc sh namespaces.sh DIRECTORY COMMAND [ARGUMENT...]
set -eu
mount --bind "$1" /usr/local/bin
shift
ip link set lo up

for directory in /run /var/log /var/lib/samba /var/cache/samba; do
	mount -t tmpfs -o mode=755 tmpfs $directory
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir /run/etc /run/samba /var/log/samba
cp -a /etc/. /run/etc
mount --bind /run/etc /etc

hostname dc1
echo '127.0.0.1 dc1.example.com dc1 localhost ls1.example.com plain.example.com other.example.com legacy.example.com' >/etc/hosts
printf 'nameserver 127.0.0.1\nsearch example.com\n' >/etc/resolv.conf
rm -f /etc/samba/smb.conf # Debian's is none of a domain controller

# Not exec: this shell is the first process, and waits for those that lose their parents.
"$@"
