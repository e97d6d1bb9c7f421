# What the demos share: steps and their table, load, and looking at state. Sourced, not run.
# Needs $top; makes $scratch and removes it, and all that was started, at the end.

scratch=$(mktemp -d "${TMPDIR:-/tmp}/selfbuild-demo.XXXXXX")
steps=() ; records=() ; bad=0 ; began=$(date +%s%N) ; demo_began=$began ; code=0
total_sent=0 ; total_failed=0 ; load_pid= ; poll_pid=
clean_up() {
  local status=$?
  [ -z "$load_pid" ] || kill "$load_pid" 2>/dev/null || true
  [ -z "$poll_pid" ] || kill "$poll_pid" 2>/dev/null || true
  if command -v selfbuild >/dev/null && [ -n "${SELFBUILD_HOME:-}" ]; then
    selfbuild conductor stop --services >/dev/null 2>&1 || true
  fi
  [ "${SELFBUILD_DEMO_KEEP:-}" = 1 ] && echo "kept: $scratch" || { chmod -R u+w "$scratch"; rm -rf "$scratch"; }
  exit "$status"
}
trap clean_up EXIT

act() { printf '\n== %s\n' "$1"; }
begin() { began=$(date +%s%N); }
# Runs a command and keeps its exit code in $code.
run() {
  printf '\n$ selfbuild %s\n' "${*:2}"
  set +e; "$@" 2>&1 | tee "$scratch/last.log"; code=${PIPESTATUS[0]}; set -e
}
wait_code() { code=0; wait "$1" || code=$?; }

# step NAME EXPECTED OUTCOME [NOTE]: one line of the table; seconds since begin.
step() {
  local ms=$((($(date +%s%N) - began) / 1000000)) ok=true
  [ "$2" = "$3" ] || { ok=false; bad=$((bad + 1)); }
  local outcome="$3${4:+ ($4)}"
  steps+=("$(printf '%-47.47s %-5s %6s.%01d s  %s' "$1" "$([ $ok = true ] && echo ok || echo BAD)" $((ms / 1000)) $((ms % 1000 / 100)) "$outcome")")
  records+=("$(printf '{"step":"%s","expected":"%s","outcome":"%s","ok":%s,"seconds":%d.%03d}' "$1" "$2" "$outcome" $ok $((ms / 1000)) $((ms % 1000)))")
  [ $ok = true ] && printf -- '-- ok: %s: %s\n' "$1" "$outcome" || printf -- '-- BAD: %s: expected %s, found %s\n' "$1" "$2" "$outcome"
}
finish() {
  local seconds=$((($(date +%s%N) - demo_began) / 1000000000))
  printf '\n%-47s %-5s %9s  %s\n' step "" seconds outcome
  printf '%s\n' "${steps[@]}"
  printf '\n%d of %d as expected, %d seconds\n' $((${#steps[@]} - bad)) ${#steps[@]} $seconds
  if [ -n "$1" ]; then { printf '['; local comma=''; for r in "${records[@]}"; do printf '%s\n%s' "$comma" "$r"; comma=,; done; printf '\n]\n'; } >"$1"; fi
  [ "$bad" = 0 ]
}

# json PATH: the value at a path of the JSON on standard input. A word in a list picks the element of that "name";
# "length" counts.
json() {
  perl -MJSON::PP -e '
    my $value = decode_json(join "", <STDIN>);
    for my $key (split /\./, $ARGV[0]) {
      if (ref $value eq "ARRAY") {
        if ($key eq "length") { $value = @$value }
        elsif ($key =~ /^\d+$/) { $value = $value->[$key] }
        else { ($value) = grep { $_->{name} eq $key } @$value }
      } else { $value = $value->{$key} }
    }
    print defined $value ? $value : "", "\n"' "$1"
}
live() { local link; link=$(readlink "$SELFBUILD_HOME/state/projects/$1/current") && basename "$link" || echo none; }
conductor_pid() { selfbuild conductor status --json | json pid; }
worker_pid() { selfbuild conductor status --json | json services.worker.pid; }
last_edges() { sed -n 's/^built  *\([0-9]*\) of .*/\1/p' "$scratch/last.log" | tail -n 1 | grep . || echo 0; }
count_cycles() { "$1" history --json | json cycles.length; }
# edges NAME: what the last build ran; right when it is some, and far from all.
edges() {
  local run all
  run=$(last_edges); all=$(sed -n 's/^built  *[0-9]* of \([0-9]*\) edges.*/\1/p' "$scratch/last.log" | tail -n 1)
  step "$1" "fewer than a tenth" "$([ "$run" -gt 0 ] && [ $((run * 10)) -lt "${all:-0}" ] && echo "fewer than a tenth" || echo no)" "$run of $all"
}
# wait_for WHAT STEP: until the update in the background has reached a step of its journal.
wait_for() {
  local tries=0
  until grep -q "^$2" "$scratch/act5.log"; do
    tries=$((tries + 1)); [ $tries -lt 3000 ] || { echo "gave up waiting for $1"; return 1; }
    sleep 0.02
  done
}

# A client that asks the conductor over and over, and counts the answers that did not come.
start_poller() {
  ( sent=0 failed=0
    trap 'echo "$sent $failed" >"$scratch/poll"; exit 0' TERM
    while :; do sent=$((sent + 1)); selfbuild conductor status --json >/dev/null 2>&1 || failed=$((failed + 1)); done ) &
  poll_pid=$!
}
stop_poller() { kill "$poll_pid"; wait "$poll_pid" || true; poll_pid=; read -r poll_sent poll_failed <"$scratch/poll"; }
# Requests to the sample service, half on new and half on kept connections, for as long as a swap takes.
start_load() { load_client "$(selfbuild conductor status --json | json services.http-service.sockets.0)" >"$scratch/load.json" & load_pid=$!; }
stop_load() {
  kill "$load_pid"; wait "$load_pid" || true; load_pid=
  local sent failed; sent=$(json sent <"$scratch/load.json"); failed=$(json failed <"$scratch/load.json")
  total_sent=$((total_sent + sent)); total_failed=$((total_failed + failed))
  step "$1" "0 failed" "$failed failed" "$sent sent"
}

# patch_self NAME FILE SED, patch_hello NAME SED: a patch against HEAD, made by an edit in the work tree that is undone.
patch_of() {
  local repository=$1 name=$2 file=$3 edit=$4
  sed -i "$edit" "$repository/$file"
  git -C "$repository" diff >"$scratch/$name"
  git -C "$repository" checkout --quiet -- "$file"
  [ -s "$scratch/$name" ] || { echo "the edit of $name found nothing in $file"; exit 1; }
}
patch_self() { patch_of "$scratch/selfbuild" "$@"; }
patch_hello() { patch_of "$scratch/hello" "$1" version.h "$2"; }
# A patch that makes a symlink out of the tree, and then writes through it.
escape_patch() {
  cat <<EOF
diff --git a/notes b/notes
new file mode 120000
--- /dev/null
+++ b/notes
@@ -0,0 +1 @@
+$1
\ No newline at end of file
diff --git a/notes/escaped.txt b/notes/escaped.txt
new file mode 100644
--- /dev/null
+++ b/notes/escaped.txt
@@ -0,0 +1 @@
+written outside
EOF
}
