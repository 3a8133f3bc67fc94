# Sourced by sql/demo.sh and tests/run.sh: gets what is missing and builds. Expects to be in the project's root folder.

# Prints the Debian packages that are missing. The tools are asked for by what they do, so other systems work too.
missing_packages() {
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || echo gcc libc6-dev
    command -v meson >/dev/null 2>&1 || echo meson
    command -v ninja >/dev/null 2>&1 || echo ninja-build
    command -v python3 >/dev/null 2>&1 || echo python3
    command -v sqlite3 >/dev/null 2>&1 || echo sqlite3
    command -v valgrind >/dev/null 2>&1 || echo valgrind
    if command -v pkg-config >/dev/null 2>&1; then
        pkg-config --exists sqlite3 || echo libsqlite3-dev
        pkg-config --exists libxxhash || echo libxxhash-dev
        pkg-config --exists cmocka || echo libcmocka-dev
    else
        echo pkg-config libsqlite3-dev libxxhash-dev libcmocka-dev
    fi
}

# Installs what is missing where that is possible without asking, else says what to type and fails.
install_missing() {
    packages=$(missing_packages | tr '\n' ' ')
    [ -z "$packages" ] && return 0
    install="apt-get update && apt-get install -y --no-install-recommends $packages"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "Some packages are missing. On Debian or Ubuntu, type:" >&2
        echo "    sudo sh -c '$install'" >&2
        return 1
    fi
    echo "Installing: $packages"
    log=$(mktemp) || return 1
    if ! DEBIAN_FRONTEND=noninteractive sh -c "$install" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# build FOLDER [MESON OPTION …] [-- TARGET …]: configures the folder if need be and compiles. Quiet unless it fails.
build() {
    folder=$1
    shift
    options=
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    [ $# -gt 0 ] && shift
    log=$(mktemp) || return 1
    # shellcheck disable=SC2086
    if { [ -f "$folder/build.ninja" ] || meson setup "$folder" $options; } >"$log" 2>&1 &&
        ninja -C "$folder" "$@" >>"$log" 2>&1; then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    return 1
}
