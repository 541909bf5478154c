# shellcheck shell=bash
# The cluster's own processes: each is known by its pid and start time in $STATE/pids, and can be started again from
# the argument vector in $STATE/commands.

# A pid alone may have been reused. Field 22 of proc_pid_stat(5); a zombie counts as gone, since pid 1 of a container
# may take its time to reap.
start_time() { sed -n 's/.*) //; /^[^ZX]/p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# start NAME COMMAND...: in the background, in a session of its own, with a log in $STATE/log.
start() {
  local name=$1 pid; shift
  printf '%s\0' "$@" >"$STATE/commands/$name"
  rm -f "$STATE/pids/$name"
  # shellcheck disable=SC2016 # expanded by the inner shell
  setsid --fork bash -c 'echo $$ >"$1.new"; mv "$1.new" "$1.pid"; shift; exec "$@"' _ "$STATE/pids/.$name" "$@" \
    </dev/null >>"$STATE/log/$name.log" 2>&1
  until [ -s "$STATE/pids/.$name.pid" ]; do sleep 0.01; done
  pid=$(<"$STATE/pids/.$name.pid"); rm "$STATE/pids/.$name.pid"
  echo "$pid $(start_time "$pid")" >"$STATE/pids/$name"
}

# alive NAME: is the very process that we started still there?
alive() {
  local pid started
  [ -f "$STATE/pids/$1" ] || return 1
  read -r pid started <"$STATE/pids/$1"
  [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ]
}

# stop NAME [SECONDS]: TERM, after SECONDS (0: at once) KILL, that one process.
stop() {
  local pid i
  if alive "$1"; then
    read -r pid _ <"$STATE/pids/$1"
    [ "${2:-10}" = 0 ] || kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < ${2:-10} * 20; i++)); do alive "$1" || break; sleep 0.05; done
    while alive "$1"; do kill -KILL "$pid" 2>/dev/null || true; sleep 0.02; done
  fi
  rm -f "$STATE/pids/$1"
}

# die_with_log NAME MESSAGE: the end of NAME's log first, so that a CI log shows the cause.
die_with_log() {
  { echo "--- last lines of $STATE/log/$1.log"; tail -n 12 "$STATE/log/$1.log" | cut -c1-400; echo "---"; } >&2 || true
  die "$2"
}

# wait_for SECONDS COMPONENT WHAT COMMAND...: until COMMAND succeeds; says why if COMPONENT dies or time runs out.
# COMMAND must have a deadline of its own.
wait_for() {
  local seconds=$1 component=$2 what=$3 end; shift 3
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    alive "$component" || die_with_log "$component" "$component has died while starting"
    [ "$SECONDS" -lt "$end" ] || die_with_log "$component" "$what: not within $seconds s"
    sleep 0.1
  done
}
