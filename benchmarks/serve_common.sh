# Functions of benchmarks/serve.sh and benchmarks/serve_eole.sh, which source this file.
PYTHON=${PYTHON:-python} PORT=${PORT:-5077}
export PYTHONPATH=$PWD OMP_NUM_THREADS=1
work=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2> /dev/null || true
    server=
}
trap 'stop; rm -rf "$work"' EXIT

# start URL COMMAND...: start a server in the background, and wait until it answers at URL.
start() {
    "${@:2}" &
    server=$!
    until $PYTHON -c "import urllib.request as u; u.urlopen('$1')" 2> /dev/null; do
        kill -0 "$server"
    done
}

# send MODE SENTENCES EXPECTED OPTION...: send requests to the server and print the measurements.
send() {
    $PYTHON benchmarks/serve.py "$1" "127.0.0.1:$PORT" "${@:2}"
}
