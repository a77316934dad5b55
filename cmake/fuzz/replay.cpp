// Every preset's half of a fuzz target: runs it on the inputs that are kept of it, so that what a fuzzer found once is
// found again without one. cmake/fuzz/fuzz.py tells the form of the file.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using input = std::vector<std::uint8_t>;

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// One line: bytes as they are, but \\, \n and \xHH.
std::optional<input> parse(std::string_view line) {
  input out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out.push_back(static_cast<std::uint8_t>(line[i]));
      continue;
    }
    const char what = ++i < line.size() ? line[i] : '\0';
    if (what == '\\' || what == 'n') {
      out.push_back(static_cast<std::uint8_t>(what == 'n' ? '\n' : '\\'));
      continue;
    }
    const int high = what == 'x' && i + 2 < line.size() ? hex(line[i + 1]) : -1;
    const int low = high >= 0 ? hex(line[i + 2]) : -1;
    if (low < 0) return {};
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
    i += 2;
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::ifstream corpus(argc == 2 ? argv[1] : "");
  if (!corpus) {
    std::fprintf(stderr, "takes one argument, a corpus file that can be read\n");
    return 2;
  }
  std::size_t inputs = 0;
  std::size_t number = 0;
  for (std::string line; std::getline(corpus, line);) {
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    const auto data = parse(line);
    if (!data) {
      std::fprintf(stderr, "%s:%zu: only \\\\, \\n and \\xHH may follow a backslash\n", argv[1], number);
      return 2;
    }
    std::fprintf(stderr, "%s:%zu\n", argv[1], number);  // the last one is that which failed
    static_cast<void>(LLVMFuzzerTestOneInput(data->data(), data->size()));
    ++inputs;
  }
  std::printf("%zu inputs of %s\n", inputs, argv[1]);
  return inputs > 0 ? 0 : 1;
}
