#include "cli/completion.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace orrery::cli {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> commands{{
    {"nodes", "Nodes of the mesh"},
    {"processes", "Processes of the mesh"},
    {"classes", "Classes, and what is wrong with them"},
    {"tree", "Supervisors of each node"},
    {"call", "Call a process and print its reply"},
    {"cast", "Send a message without waiting"},
    {"inspect", "One process in detail"},
    {"kill", "Exit a process, as a crash would"},
    {"stop", "Stop a process in good order"},
    {"events", "Follow what one node sees and does"},
    {"completion", "A script for your shell"},
    {"version", "The version"},
}};

constexpr std::string_view flags =
    "--sidecar --mesh --namespace --kubeconfig --context --output --timeout --help --version";

std::string names() {
  std::string out;
  for (const auto& [name, about] : commands)
    out += fmt::format("{}{}", out.empty() ? "" : " ", name);
  return out;
}

// Names that take a process are completed from the mesh itself, within a second.
std::string bash() {
  return fmt::format(R"~(# orrery completion bash: put  source <(orrery completion bash)  into ~/.bashrc
_orrery() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  case $before in
    -o|--output) COMPREPLY=($(compgen -W "table wide json" -- "$word")); return;;
    completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$word")); return;;
    call|cast|inspect|kill|stop)
      COMPREPLY=($(compgen -W "$(orrery processes --timeout 1s 2>/dev/null | awk 'NR>1 && $1 ~ /\// {{print $1}}')" -- "$word")); return;;
  esac
  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "{flags}" -- "$word"))
  else COMPREPLY=($(compgen -W "{names}" -- "$word")); fi
}}
complete -o default -F _orrery orrery kubectl-orrery
)~",
                     fmt::arg("flags", flags), fmt::arg("names", names()));
}

std::string zsh() {
  std::string described;
  for (const auto& [name, about] : commands)
    described += fmt::format("    '{}:{}'\n", name, about);
  return fmt::format(R"~(#compdef orrery kubectl-orrery
# orrery completion zsh > "${{fpath[1]}}/_orrery"
_orrery() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then _describe command commands
  else
    case $words[CURRENT-1] in
      -o|--output) compadd table wide json;;
      completion) compadd bash zsh fish;;
      call|cast|inspect|kill|stop) compadd -- $(orrery processes --timeout 1s 2>/dev/null | awk 'NR>1 && $1 ~ /\// {{print $1}}');;
      *) compadd -- {};;
    esac
  fi
}}
compdef _orrery orrery kubectl-orrery
)~",
                     described, flags);
}

std::string fish() {
  std::string out = "# orrery completion fish > ~/.config/fish/completions/orrery.fish\n";
  for (const auto& [name, about] : commands) {
    out += fmt::format("complete -c orrery -n __fish_use_subcommand -f -a {} -d '{}'\n", name, about);
  }
  out +=
      "complete -c orrery -n '__fish_seen_subcommand_from call cast inspect kill stop' -f -a \"(orrery processes "
      "--timeout "
      "1s 2>/dev/null | awk 'NR>1 && \\$1 ~ /\\// {print \\$1}')\"\n"
      "complete -c orrery -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n"
      "complete -c orrery -s o -l output -x -a 'table wide json'\n"
      "complete -c orrery -l sidecar -x\ncomplete -c orrery -l mesh -x\ncomplete -c orrery -s n -l namespace -x\n"
      "complete -c orrery -l kubeconfig -r\ncomplete -c orrery -l context -x\ncomplete -c orrery -l timeout -x\n";
  return out;
}

}  // namespace

std::optional<std::string> completion(std::string_view shell) {
  if (shell == "bash") return bash();
  if (shell == "zsh") return zsh();
  if (shell == "fish") return fish();
  return std::nullopt;
}

}  // namespace orrery::cli
