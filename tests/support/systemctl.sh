#!/bin/sh
# systemctl(1) on a standby of the lab, where systemd is not process 1. What is enabled is the real one's doing, below a root of the lab's
# own (--root); starting is done here, by what the unit file says, and waits until the service says that it is ready (Type=notify). What it
# does not know it refuses, so that nobody is told what the real one would not tell.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
S=@STAGE@

offline() {
    said=$(@REAL@/systemctl --root="$S" "$@" 2>&1)
    status=$?
    [ -z "$said" ] || printf '%s\n' "$said" | sed "s#$S##g"
    return $status
}

full() {
    case $1 in
    *.service | *.timer) echo "$1" ;;
    *) echo "$1.service" ;;
    esac
}

setting() { sed -n "s/^$2=//p" "$S/usr/lib/systemd/system/$1"; }

active() {
    if [ -e "$S/active/$1" ]; then
        echo active
    elif [ -e "$S/pids/$1" ] && kill -0 "$(cat "$S/pids/$1")" 2> /dev/null; then
        if [ -e "$S/ready" ]; then echo active; else echo activating; fi
    else
        echo inactive
    fi
}

start() {
    [ "$(active "$1")" = inactive ] || return 0
    user=$(setting "$1" User) group=$(setting "$1" Group)
    caps=$(setting "$1" AmbientCapabilities | tr '[:upper:]' '[:lower:]' | sed 's/^cap_//')
    runtime=/run/$(setting "$1" RuntimeDirectory)
    install -d -m "$(setting "$1" RuntimeDirectoryMode)" -o "$user" -g "$group" "$runtime"
    rm -f "$S/ready"
    (
        umask "$(setting "$1" UMask)"
        # shellcheck disable=SC2046 # words of ExecStart
        exec env -i PATH="$PATH" LANG=C.UTF-8 USER="$user" LOGNAME="$user" HOME=/var/lib/natwatch SHELL=/usr/sbin/nologin \
            NOTIFY_SOCKET="$S/notify" RUNTIME_DIRECTORY="$runtime" STATE_DIRECTORY=/var/lib/natwatch \
            setsid setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
            --bounding-set "-all,+$caps" --inh-caps "+$caps" --ambient-caps "+$caps" -- $(setting "$1" ExecStart)
    ) > "$S/journal" 2>&1 < /dev/null &
    echo $! > "$S/pids/$1"
    tenths=$(($(setting "$1" TimeoutStartSec) * 10))
    until [ -e "$S/ready" ]; do
        tenths=$((tenths - 1))
        if [ $tenths -lt 0 ] || [ "$(active "$1")" = inactive ]; then
            echo "Job for $1 failed." >&2
            cat "$S/journal" >&2
            return 1
        fi
        sleep 0.1
    done
}

stop() {
    [ -e "$S/pids/$1" ] || return 0
    pid=$(cat "$S/pids/$1")
    kill "$pid" 2> /dev/null
    tenths=$(($(setting "$1" TimeoutStopSec) * 10))
    while kill -0 "$pid" 2> /dev/null; do
        tenths=$((tenths - 1))
        [ $tenths -ge 0 ] || kill -KILL "$pid"
        sleep 0.1
    done
    rm -f "$S/pids/$1" "$S/ready"
}

show() {
    properties=
    apart=
    for word; do
        case $word in
        --property=*)
            properties=${word#--property=}
            continue
            ;;
        -*) refuse show "$word" ;;
        esac
        printf '%b' "$apart"
        apart='\n'
        # In its own order, whatever is asked for.
        for property in Id MainPID LoadState ActiveState UnitFileState; do
            case ",$properties," in
            *",$property,"*) ;;
            *) continue ;;
            esac
            case $property in
            Id) value=$word ;;
            MainPID) value=$(cat "$S/pids/$word" 2> /dev/null || echo 0) ;;
            LoadState) if offline cat "$word" > /dev/null; then value=loaded; else value=not-found; fi ;;
            ActiveState) value=$(active "$word") ;;
            # Where there is no such unit, the state is empty.
            UnitFileState) value=$(@REAL@/systemctl --root="$S" is-enabled "$word" 2> /dev/null) ;;
            esac
            echo "$property=$value"
        done
        for property in $(echo "$properties" | tr , ' '); do
            case $property in
            Id | MainPID | LoadState | ActiveState | UnitFileState) ;;
            *) refuse show "$property" ;;
            esac
        done
    done
}

refuse() {
    echo "systemctl $*: not known here" >&2
    exit 1
}

verb=$1
shift
now=
[ "$1" != --now ] || { now=1 && shift; }
case $verb in
show) show "$@" ;;
start | stop) for unit; do "$verb" "$(full "$unit")" || exit; done ;;
enable | disable)
    for unit; do
        unit=$(full "$unit")
        offline "$verb" "$unit" || exit
        case $verb$now in
        enable1) start "$unit" || exit ;;
        disable1) stop "$unit" || exit ;;
        esac
    done
    ;;
*) refuse "$verb" "$@" ;;
esac
