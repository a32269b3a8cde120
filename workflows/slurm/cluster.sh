#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, for tests: cluster.sh start DIR | cluster.sh stop DIR
# Needs root and the Debian packages slurm-wlm and munge. Commands find it by SLURM_CONF=DIR/slurm.conf.
set -euo pipefail
action=$1
dir=$2
export SLURM_CONF=$dir/slurm.conf

start() {
    mkdir -p "$dir"/{state,spool,log} /run/munge
    chown munge: /run/munge
    pgrep -x munged >/dev/null || runuser -u munge -- /usr/sbin/munged
    local host cpus
    host=$(hostname -s)
    cpus=$(nproc)
    cat > "$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
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
    local daemon pid
    for daemon in slurmd slurmctld; do
        [ -s "$dir/$daemon.pid" ] || continue
        pid=$(cat "$dir/$daemon.pid")
        kill "$pid" || continue
        # They write their state at the end.
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    done
}

case $action in
    start) start ;;
    stop) stop ;;
    *) echo "usage: cluster.sh start|stop DIR" >&2; exit 2 ;;
esac
