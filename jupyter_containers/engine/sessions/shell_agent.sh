# The shell agent of a session: an interactive shell, so that an interrupt or an error ends the cell
# and not the shell. POSIX; bash, dash and busybox run it. @MARK@ is replaced before it is sent.
# Protocol: docs/extensions/session-protocol.md ("marked").
PS1= PS2=
set +o history 2>/dev/null
exec 7<&0 8>&1 9>&2
__session_mark=$(printf '\036@MARK@')

__session_send() { printf '%s%s\n' "$__session_mark" "$1" >&8; }

__session_done() {
  __session_busy=
  printf '%s{"type":"done","status":%d,"count":%d,"number":%d}\n' "$__session_mark" "$1" "$3" "$2" >&8
  printf '%s{"type":"sync","number":%d}\n' "$__session_mark" "$2" >&9
}

# The engine is gone: end the container, if this user may.
trap '[ -n "$__session_busy" ] || kill -TERM 1' EXIT

# Bash allows another "exit": one that ends the cell, and in a subshell the subshell.
if [ -n "$BASH_VERSION" ]; then
  eval 'exit() {
    [ "$BASHPID" = $$ ] || builtin exit "$@"
    __session_done "${1:-$?}" "$__session_busy" "$__session_count"
    kill -INT $$
  }'
fi

# Give the cells' own "read" a line of the notebook, unless its input is a file or a pipe.
read() {
  [ /proc/self/fd/0 -ef /dev/null ] || { command read "$@"; return; }
  __session_prompt= __session_last= __session_hidden=false
  for __session_word in "$@"; do
    [ "$__session_last" != -p ] || __session_prompt=$__session_word
    [ "$__session_word" != -s ] || __session_hidden=true
    __session_last=$__session_word
  done
  __session_send "{\"type\":\"input_request\",\"password\":$__session_hidden,\"body\":true}"
  printf %s "$__session_prompt" >&8
  __session_send '{"type":"end"}'
  IFS= command read -r __session_word <&7
  case $__session_word in -*) return 1 ;; esac
  command read "$@" <<__SESSION_END
${__session_word#=}
__SESSION_END
}

__session_pull() {
  if ! eval "[ \"\${$1+set}\" ]"; then
    __session_send "{\"type\":\"error\",\"name\":\"NameError\",\"value\":\"$1 is not set\"}"
    return
  fi
  case ${BASH_VERSION:+$(declare -p "$1" 2>/dev/null)} in
  'declare -a'*)
    __session_send '{"type":"value","file":"value.list","body":true}'
    eval "[ \${#$1[@]} = 0 ] || printf '%s\\0' \"\${$1[@]}\"" >&8
    ;;
  *)
    __session_send '{"type":"value","file":"value.txt","body":true}'
    eval "printf %s \"\$$1\"" >&8
    ;;
  esac
  __session_send '{"type":"end"}'
}

# Completions of the word $1: variables after "$", else commands (if $2 is 1) and files.
__session_complete() {
  __session_word=${1##*[\$\{]}
  if [ "$__session_word" != "$1" ]; then
    __session_first=${1%"$__session_word"}
    set | while IFS== command read -r __session_name __session_last; do
      case $__session_name in
      __session_* | *[!A-Za-z0-9_]*) ;;
      "$__session_word"*) printf '%s%s\n' "$__session_first" "$__session_name" ;;
      esac
    done
    return
  fi
  if [ "$2" = 1 ] && [ -n "$BASH_VERSION" ]; then
    compgen -c -- "$1" | grep -v '^__session_'
  elif [ "$2" = 1 ]; then
    __session_ifs=$IFS IFS=:
    for __session_name in $PATH; do
      for __session_last in "$__session_name/$1"*; do
        [ ! -x "$__session_last" ] || printf '%s\n' "${__session_last##*/}"
      done
    done
    IFS=$__session_ifs
  fi
  for __session_name in "$1"*; do
    [ ! -e "$__session_name" ] || printf '%s\n' "$__session_name"
  done
}

if [ -n "$BASH_VERSION" ]; then __session_word=bash; else __session_word=sh; fi
__session_send "{\"type\":\"ready\",\"language\":\"$__session_word\",\"version\":\"${BASH_VERSION%%(*}\",\"pid\":$$}"
