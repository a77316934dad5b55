// orrery-bench WHAT: measurements of single rooms. `bench/run` measures the whole.
#include "bench/processes.hpp"

#include <cstdio>
#include <string_view>

int main(int count, char** arguments) {
  const std::string_view what = count == 2 ? arguments[1] : "";
  if (what == "processes") return orrery::bench::run_processes();
  std::fprintf(stderr, "usage: orrery-bench processes\n");
  return 2;
}
