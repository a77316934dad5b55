// Supervisors of each node, each below its parent, with what is declared and what is given up.
#include "cli/fields.hpp"
#include "cli/views.hpp"

#include <map>
#include <set>
#include <vector>

namespace orrery::cli {

namespace {

using nlohmann::json;

/// One node of the mesh: its supervisors by the path of the one above.
class node_tree {
 public:
  node_tree(const json& node, look how) : how_(how) {
    for (const auto& each : list_of(node, "supervisors")) {
      const auto path = path_of(each);
      const auto cut = path.rfind('/');
      below_[cut == std::string::npos ? "root" : path.substr(0, cut)].push_back(&each);
      paths_.insert(path);
    }
    // What cannot be: a supervisor whose parent is not told stands below the root.
    for (auto& [parent, all] : below_) {
      if (parent != "root" && !paths_.contains(parent)) lost_.insert(lost_.end(), all.begin(), all.end());
    }
  }

  [[nodiscard]] std::string show() {
    if (paths_.empty()) return "└─ (no supervisors: no class is defined here)\n";
    auto top = below_["root"];
    top.insert(top.end(), lost_.begin(), lost_.end());
    show_all(top, "", 0);
    return out_;
  }

 private:
  static constexpr int levels_max = 32;  ///< of what a sidecar may tell

  static std::string path_of(const json& supervisor) {
    const auto told = text_of(supervisor, "path");
    return told == "-" ? "root/" + text_of(supervisor, "class") : told;
  }

  void line(const std::string& indent, bool last, const std::string& text) {
    out_ += indent + (last ? "└─ " : "├─ ") + text + "\n";
  }

  std::string title(const json& of) const {
    auto text =
        fmt::format("{}  v{}, {}, {}, escalates to {}: {}, {}", text_of(of, "class"), text_of(of, "classVersion"),
                    text_of(of, "strategy"), budget_of(of), text_of(of, "escalate"),
                    count_of(of, "children", "process", "processes"), count_of(of, "restarts", "restart", "restarts"));
    const auto add = [&](const char* key, const char* said) {
      const auto count = number_of(of, key).value_or(0);
      if (count <= 0) return;
      const auto how_often = count == 1 ? "once" : text_of(of, key) + " times";
      text += painted(fmt::format(", {} {}", said, how_often), tone::bad, how_.colours);
    };
    add("gaveUp", "gave up");
    add("childrenGivenUp", "gave up single processes");
    const auto& mailboxes = part_of(of, "mailboxes");
    for (const auto* what : {"refused", "displaced", "waited"}) {
      if (number_of(mailboxes, what).value_or(0) <= 0) continue;
      text +=
          painted(fmt::format(", full mailboxes: {} {}", text_of(mailboxes, what), what), tone::warning, how_.colours);
    }
    if (of.is_object() && of.value("finished", json()) == true) text += ", finished";
    return text;
  }

  /// "3 in 5s (2 left)"
  static std::string budget_of(const json& supervisor) {
    auto out = intensity_of(supervisor);
    if (const auto left = number_of(supervisor, "budgetLeft")) out += fmt::format(" ({:.0f} left)", *left);
    return out;
  }

  std::string process_line(const json& process) const {
    const auto state = text_of(process, "state");
    auto out = painted(state, tone_of_state(state), how_.colours);
    if (number_of(process, "mailbox").value_or(0) > 0) out += ", " + text_of(process, "mailbox") + " waiting";
    if (number_of(process, "restarts").value_or(0) > 0) {
      out += ", " + count_of(process, "restarts", "restart", "restarts");
    }
    return how_.wide ? out + "  " + text_of(process, "pid") : out;
  }

  std::string given_up_line(const json& name) const {
    const auto left = number_of(name, "secondsLeft");
    return painted(fmt::format("given up for {} more: {}", left ? age(*left) : "-", text_of(name, "reason")), tone::bad,
                   how_.colours);
  }

  /// What stands below a supervisor beside other supervisors: what is declared, in its order, what else runs, as far as
  /// it was asked for, and what is given up.
  std::vector<std::string> leaves(const json& of) const {
    const auto by_key = [&](const char* list) {
      std::map<std::string, const json*> all;
      for (const auto& each : list_of(of, list))
        all.emplace(text_of(each, "key"), &each);
      return all;
    };
    auto given_up = by_key("givenUp");
    auto running = by_key("processes");
    const auto asked = running.size();
    std::vector<std::string> all;
    for (const auto& each : list_of(of, "declared")) {
      const auto key = text_of(each, "key");
      const auto state = text_of(each, "state");
      if (const auto out = given_up.extract(key); !out.empty()) {
        all.push_back(key + "  " + given_up_line(*out.mapped()));
      } else if (const auto here = running.extract(key); !here.empty()) {
        all.push_back(key + "  " + process_line(*here.mapped()));
      } else {
        const auto how = state == "running" ? tone::good : state == "restarting" ? tone::warning : tone::faint;
        all.push_back(key + "  " + painted(state, how, how_.colours));
      }
    }
    for (const auto& [key, each] : running)
      all.push_back(key + "  " + process_line(*each));
    const auto more = number_of(of, "children").value_or(0) - static_cast<double>(asked);
    if (asked > 0 && more > 0) all.push_back(fmt::format("and {:.0f} more", more));
    for (const auto& [key, each] : given_up)
      all.push_back(key + "  " + given_up_line(*each));
    return all;
  }

  void show_all(const std::vector<const json*>& supervisors, const std::string& indent, int level) {
    for (std::size_t i = 0; i < supervisors.size(); ++i) {
      const bool last = i + 1 == supervisors.size();
      const json& of = *supervisors[i];
      line(indent, last, title(of));
      const auto inner = indent + (last ? "   " : "│  ");
      const auto inside = leaves(of);
      const bool first = level < levels_max && visited_.insert(path_of(of)).second;
      const auto found = first ? below_.find(path_of(of)) : below_.end();
      const bool more = found != below_.end();
      for (std::size_t at = 0; at < inside.size(); ++at)
        line(inner, !more && at + 1 == inside.size(), inside[at]);
      if (more) show_all(found->second, inner, level + 1);
    }
  }

  look how_;
  std::map<std::string, std::vector<const json*>> below_;
  std::set<std::string> paths_;
  std::set<std::string> visited_{"root"};
  std::vector<const json*> lost_;
  std::string out_;
};

}  // namespace

std::string show_tree(const json& document, look how) {
  std::string out;
  for (const auto& node : list_of(document, "nodes"))
    out += painted(text_of(node, "node"), tone::strong, how.colours) + "\n" + node_tree(node, how).show();
  return out.empty() ? "No nodes.\n" : out;
}

}  // namespace orrery::cli
