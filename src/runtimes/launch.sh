#!/bin/sh
# From the host's process to bubblewrap in a chain of exec, so that all of it is one pid.
#
#   launch.sh PARENT OPEN_FILES JOINS STAGE UID FOLDERS FILES TABLE  bwrap …
#
# JOINS    cgroup.procs files, separated by spaces (names of ours: they contain none)
# STAGE    as root: an empty folder that any uid may traverse; else empty, and nothing is staged
# FOLDERS  numbers of the mount points below STAGE that are folders; FILES: those that are files
# TABLE    the mounts, as lines of an fstab
#
# As root it runs in a private mount namespace. The staging mounts make sources below a 0700 folder reachable after the
# uid is dropped, expose nothing else, and vanish with the namespace. bubblewrap itself never runs as root.
set -eu
exec 2>&1

# bubblewrap's second process asks for its parent's death only at the end of its set-up: killed before that, the first
# one leaves it behind. Until the sandbox has started, this watcher ends the group when the host closes descriptor 6.
(
  exec >/dev/null 2>&1 3<&- 4>&- 5>&-
  read -r word <&6 && [ "$word" = started ] || kill -KILL "-$$"
) &
exec 6>&-

parent=$1 open_files=$2 joins=$3 stage=$4 uid=$5 folders=$6 files=$7 table=$8
shift 8

for join in $joins; do echo $$ >"$join"; done
ulimit -c 0
ulimit -n "$open_files"

drop=
if [ -n "$stage" ]; then
  mount -t tmpfs -o mode=0711,nosuid,nodev,size=1m glass-stage "$stage"
  cd "$stage"
  mkdir $folders
  for file in $files; do : >"$file"; done
  printf '%s' "$table" >.table
  mount --all --fstab "$stage/.table"
  drop="--reuid=$uid --regid=$uid --clear-groups --inh-caps=-all"
fi
cd /
# A change of uid clears the parent-death signal, so it is set after it; and a parent that died before that is not
# signalled at all, so its pid is compared once more.
exec setpriv $drop --pdeathsig KILL -- /bin/sh -c '[ "$PPID" = "$0" ] || exit 1; exec "$@"' "$parent" "$@"
