#include "cli/completion.hpp"

#include <fmt/format.h>

#include <array>
#include <string>

namespace orrery::cli {

namespace {

struct command {
  std::string_view name;
  std::string_view about;
  std::string_view options;  ///< its own; those of every command are added
};

constexpr std::array<command, 24> commands{{
    {"nodes", "Nodes of the mesh", ""},
    {"processes", "Processes of the mesh", "--class --limit --local"},
    {"classes", "Classes, and what is wrong with them", ""},
    {"tree", "Supervisors of each node, and their processes", "--depth --class --limit --local"},
    {"top", "The greatest processes of the mesh", "--by --limit --interval --once --local"},
    {"crashes", "Processes that crashed", "--class --limit --local"},
    {"trace", "Follow what a process receives and answers", "--limit --seconds"},
    {"groups", "Groups of processes, or the members of one", "--prefix --limit"},
    {"registry", "Keys that processes hold in the mesh", "--limit"},
    {"publish", "Send a message to every member of a group", ""},
    {"call", "Call a process and print its reply", ""},
    {"cast", "Send a message without waiting", ""},
    {"inspect", "One process in detail", ""},
    {"kill", "Exit a process, as a crash would", "--reason"},
    {"stop", "Stop a process in good order", ""},
    {"state", "Get or set the state of a process", "--if-version"},
    {"suspend", "Let messages of a process wait", ""},
    {"resume", "Let a suspended process go on", ""},
    {"release", "Let a process that was given up start again", ""},
    {"events", "Follow what happens, until Ctrl-C", ""},
    {"attach", "Reach the mesh from this machine", "--port"},
    {"app", "A small app for demonstrations", "--class --keys --interval-ms"},
    {"completion", "A script for your shell", ""},
    {"version", "The version", ""},
}};

constexpr std::string_view global_options =
    "--sidecar --mesh -n --namespace --kubeconfig --context -o --output --timeout -h --help";

std::string names() {
  std::string out;
  for (const auto& each : commands)
    out += fmt::format("{}{}", out.empty() ? "" : " ", each.name);
  return out;
}

std::string options_by_command() {
  std::string out;
  for (const auto& each : commands) {
    if (!each.options.empty()) out += fmt::format("    {}) own='{}';;\n", each.name, each.options);
  }
  return out;
}

// What bash and zsh have in common, as both run it: candidates from the mesh and from the cluster, asked for at most a
// second. $given holds the options that say where to ask: --sidecar, --mesh, -n, --kubeconfig and --context.
constexpr std::string_view candidates = R"~(
# Candidates come from the mesh and the cluster that the words typed so far name, and are waited for a second.
_orrery_processes() { orrery "${given[@]}" processes --timeout 1s 2>/dev/null | awk 'NR > 1 && $1 ~ /\// {print $1}'; }
_orrery_classes() { orrery "${given[@]}" classes --timeout 1s 2>/dev/null | awk 'NR > 1 && $1 ~ /^[a-z0-9]/ {print $1}'; }
_orrery_kubectl() { kubectl "${reach[@]}" --request-timeout=1s "$@" 2>/dev/null; }
_orrery_meshes() { _orrery_kubectl "${space[@]}" get processmeshes -o name | sed 's|.*/||'; }
_orrery_namespaces() { _orrery_kubectl get namespaces -o name | sed 's|.*/||'; }
_orrery_contexts() { kubectl "${reach[@]}" config get-contexts -o name 2>/dev/null; }
# Sorts the words before the present one: the command, and where to ask.
_orrery_read() {
  command='' given=() reach=() space=()
  while (( $# )); do
    case $1 in
      --sidecar=*|--mesh=*) given+=("$1");;
      --kubeconfig=*|--context=*) given+=("$1"); reach+=("$1");;
      --namespace=*|-n?*) given+=("$1"); space=("$1");;
      --sidecar|--mesh) (( $# > 1 )) && given+=("$1" "$2") && shift;;
      --kubeconfig|--context) (( $# > 1 )) && given+=("$1" "$2") && reach+=("$1" "$2") && shift;;
      -n|--namespace) (( $# > 1 )) && given+=("$1" "$2") && space=("$1" "$2") && shift;;
      -o|--output|--timeout|--class|--limit|--reason|--if-version|--by|--depth|--seconds|--interval|--keys|--interval-ms|--port) (( $# > 1 )) && shift;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$1; else operands=$((operands + 1)); fi;;
    esac
    shift
  done
}
# Prints the candidates for a word that follows $1, in the command line that _orrery_read has read.
_orrery_candidates() {
  case $1 in
    -o|--output) echo table wide json; return;;
    --mesh) _orrery_meshes; return;;
    -n|--namespace) _orrery_namespaces; return;;
    --context) _orrery_contexts; return;;
    --timeout) echo 500ms 1s 5s 30s; return;;
    --class) _orrery_classes; return;;
    --by) echo mailbox age memory reductions messages; return;;
    --depth) echo 0 1 2; return;;
    --sidecar|--limit|--reason|--if-version|--seconds|--interval|--keys|--interval-ms|--port) return;;
  esac
  local own=''
  case $command in
@options@  esac
  if [[ $2 == -* ]]; then
    echo "@flags@ $own"
    [[ -n $command ]] || echo --version
    return
  fi
  case $command in
    '') echo "@names@";;
    completion) (( operands )) || echo bash zsh fish;;
    call|cast|inspect|kill|stop|release|suspend|resume|trace|crashes) (( operands )) || _orrery_processes;;
    state) case $operands in 0) echo get set;; 1) _orrery_processes;; esac;;
  esac
}
)~";

std::string filled(std::string text) {
  const auto put = [&](std::string_view mark, const std::string& with) {
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark))
      text.replace(at, mark.size(), with);
  };
  put("@options@", options_by_command());
  put("@flags@", std::string(global_options));
  put("@names@", names());
  return text;
}

std::string bash() {
  return "# orrery completion bash: put  source <(orrery completion bash)  into ~/.bashrc" +
         filled(std::string(candidates)) + R"~(
_orrery() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command operands=0
  local -a given reach space
  # bash takes --mesh=demo for three words, and class/key for one.
  [[ $word == = ]] && word='' || { [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}; }
  [[ ${COMP_WORDS[COMP_CWORD]} == = ]] && before=${COMP_WORDS[COMP_CWORD-1]}
  local -a typed=()
  local each
  for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $each == = ]] || typed+=("$each"); done
  _orrery_read "${typed[@]}"
  COMPREPLY=($(compgen -W "$(_orrery_candidates "$before" "$word")" -- "$word"))
  case $before in --kubeconfig) compopt -o default 2>/dev/null;; esac
}
complete -F _orrery orrery kubectl-orrery
)~";
}

std::string zsh() {
  std::string described;
  for (const auto& each : commands)
    described += fmt::format("    '{}:{}'\n", each.name, each.about);
  return "#compdef orrery kubectl-orrery\n# orrery completion zsh > \"${fpath[1]}/_orrery\"" +
         filled(std::string(candidates)) + R"~(
_orrery() {
  local command operands=0
  local -a given reach space about
  about=(
)~" + described +
         R"~(  )
  _orrery_read "${(@)words[2,CURRENT-1]}"
  local before=$words[CURRENT-1] word=$words[CURRENT]
  case $word in --*=*) before=${word%%=*} word=${word#*=}; compset -P '*=';; esac
  case $before in --kubeconfig) _files; return;; esac
  if [[ -z $command && $word != -* && $before != -[on] && $before != --[a-z]* ]]; then _describe command about; return; fi
  compadd -- ${=$(_orrery_candidates "$before" "$word")}
}
compdef _orrery orrery kubectl-orrery
)~";
}

// fish knows by itself which options were typed; what they say of where to ask is read from the command line.
std::string fish() {
  std::string out = R"~(# orrery completion fish > ~/.config/fish/completions/orrery.fish
function __orrery_options --description 'The options among the typed words that are named, with their values'
  set -l words (commandline -opc)
  set -l i 2
  while test $i -le (count $words)
    for name in $argv
      if string match -q -- "$name=*" $words[$i]
        printf '%s\n' $words[$i]
      else if test "$name" = "$words[$i]"; and test $i -lt (count $words)
        printf '%s\n' $words[$i]
        printf '%s\n' $words[(math $i + 1)]
      end
    end
    set i (math $i + 1)
  end
end
function __orrery_processes
  orrery (__orrery_options --sidecar --mesh -n --namespace --kubeconfig --context) processes --timeout 1s 2>/dev/null | awk 'NR > 1 && $1 ~ /\// {print $1}'
end
function __orrery_classes
  orrery (__orrery_options --sidecar --mesh -n --namespace --kubeconfig --context) classes --timeout 1s 2>/dev/null | awk 'NR > 1 && $1 ~ /^[a-z0-9]/ {print $1}'
end
function __orrery_meshes
  kubectl (__orrery_options -n --namespace --kubeconfig --context) --request-timeout=1s get processmeshes -o name 2>/dev/null | string replace -r '.*/' ''
end
function __orrery_namespaces
  kubectl (__orrery_options --kubeconfig --context) --request-timeout=1s get namespaces -o name 2>/dev/null | string replace -r '.*/' ''
end
complete -c orrery -f
complete -c orrery -l sidecar -x -d 'URL of the sidecar'
complete -c orrery -l mesh -x -a '(__orrery_meshes)' -d 'Through the Kubernetes API'
complete -c orrery -s n -l namespace -x -a '(__orrery_namespaces)' -d 'Namespace of the mesh'
complete -c orrery -l kubeconfig -r -F -d 'Kubernetes access'
complete -c orrery -l context -x -a '(kubectl (__orrery_options --kubeconfig) config get-contexts -o name 2>/dev/null)' -d 'Context of the kubeconfig'
complete -c orrery -s o -l output -x -a 'table wide json' -d 'How to print'
complete -c orrery -l timeout -x -a '500ms 1s 5s 30s' -d 'Give up after this'
complete -c orrery -s h -l help -d 'Help'
complete -c orrery -n __orrery_no_command -l version -d 'The version'
complete -c orrery -n '__fish_seen_subcommand_from state; and not __fish_seen_subcommand_from get set' -a 'get set'
complete -c orrery -n '__fish_seen_subcommand_from call cast inspect kill stop release suspend resume trace crashes get set; and not string match -q -- "*/*" (commandline -opc)' -a '(__orrery_processes)'
complete -c orrery -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
complete -c orrery -n '__fish_seen_subcommand_from processes tree crashes app' -l class -x -a '(__orrery_classes)' -d 'Only of this class'
complete -c orrery -n '__fish_seen_subcommand_from processes tree top crashes trace groups registry' -l limit -x -d 'At most so many'
complete -c orrery -n '__fish_seen_subcommand_from processes tree top crashes' -l local -d 'Only of the own node'
complete -c orrery -n '__fish_seen_subcommand_from tree' -l depth -x -a '0 1 2' -d 'Nodes, supervisors, processes'
complete -c orrery -n '__fish_seen_subcommand_from top' -l by -x -a 'mailbox age memory reductions messages' -d 'How to sort'
complete -c orrery -n '__fish_seen_subcommand_from top' -l interval -x -d 'Seconds between two looks'
complete -c orrery -n '__fish_seen_subcommand_from top' -l once -d 'A table, once'
complete -c orrery -n '__fish_seen_subcommand_from trace' -l seconds -x -d 'For so long'
complete -c orrery -n '__fish_seen_subcommand_from groups' -l prefix -x -d 'Only what begins with this'
complete -c orrery -n '__fish_seen_subcommand_from kill' -l reason -x -d 'What its exit reason says'
complete -c orrery -n '__fish_seen_subcommand_from set' -l if-version -x -d 'Only at this version'
complete -c orrery -n '__fish_seen_subcommand_from attach' -l port -x -d 'Local port'
complete -c orrery -n '__fish_seen_subcommand_from app' -l keys -x -d 'How many processes'
complete -c orrery -n '__fish_seen_subcommand_from app' -l interval-ms -x -d 'Pause between calls'
)~";
  for (const auto& each : commands)
    out += fmt::format("complete -c orrery -n __orrery_no_command -a {} -d '{}'\n", each.name, each.about);
  // fish's own __fish_use_subcommand takes the value of an option for a command.
  out += fmt::format("function __orrery_no_command\n  not __fish_seen_subcommand_from {}\nend\n", names());
  return out + "complete -c kubectl-orrery -w orrery\n";
}

}  // namespace

std::optional<std::string> completion(std::string_view shell) {
  if (shell == "bash") return bash();
  if (shell == "zsh") return zsh();
  if (shell == "fish") return fish();
  return std::nullopt;
}

}  // namespace orrery::cli
