// orrery-differential PROGRAMS: runs them on the kernel and prints what each process saw, as differential.erl does.
#include "bench/differential/interpreter.hpp"

#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr
        << "orrery-differential: takes one argument, the file with the programs (see bench/differential/README.md)\n";
    return 2;
  }
  std::ifstream in(argv[1]);
  if (!in) {
    std::cerr << "orrery-differential: cannot read " << argv[1] << '\n';
    return 2;
  }
  std::ios::sync_with_stdio(false);
  std::vector<std::string> steps;
  std::string title;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("program ")) {
      title = line;
      steps.clear();
    } else if (line == "end") {
      std::cout << title << '\n';
      for (const auto& seen : orrery::differential::run(steps))
        std::cout << seen << '\n';
    } else if (!line.empty()) {
      steps.push_back(line);
    }
  }
  return 0;
} catch (const std::exception& failed) {
  std::cerr << "orrery-differential: " << failed.what() << '\n';
  return 1;
}
