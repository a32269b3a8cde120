#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, for tests: cluster.sh start DIR | cluster.sh stop DIR
# Needs root and the Debian packages slurm-wlm and munge. Commands find it by SLURM_CONF=DIR/slurm.conf; those of programs
# that hide this variable by a link in /etc/slurm, which is made if there is no configuration.
set -euo pipefail
action=$1
dir=$2
export SLURM_CONF=$dir/slurm.conf
system_conf=/etc/slurm/slurm.conf

start() {
    mkdir -p "$dir"/{state,spool,log} /run/munge
    chown munge: /run/munge
    pgrep -x munged >/dev/null || runuser -u munge -- /usr/sbin/munged
    local host cpus port
    host=$(hostname -s)
    # Of its own: another test may run, whose jobs this one must not see.
    port=$((20000 + 2 * (RANDOM % 5000)))
    cpus=$(nproc)
    cat > "$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=10
NodeName=$host CPUs=$cpus RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    mkdir -p "$(dirname "$system_conf")"
    [ -e "$system_conf" ] || ln -sf "$SLURM_CONF" "$system_conf"
    slurmctld
    slurmd
    local second
    for second in $(seq 30); do
        [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && return
        sleep 1
    done
    echo "no idle node after $second s; see $dir/log" >&2
    exit 1
}

stop() {
    local daemon pid attempt
    [ "$(readlink "$system_conf")" != "$SLURM_CONF" ] || rm "$system_conf"
    for daemon in slurmd slurmctld; do
        [ -s "$dir/$daemon.pid" ] || continue
        pid=$(cat "$dir/$daemon.pid")
        kill "$pid" || continue
        # They write their state at the end.
        for attempt in $(seq 100); do
            grep -qs '^State:[[:space:]]*[^Z]' "/proc/$pid/status" || break
            sleep 0.1
        done
    done
}

case $action in
    start) start ;;
    stop) stop ;;
    *) echo "usage: cluster.sh start|stop DIR" >&2; exit 2 ;;
esac
