// Work that is for one process, and ends with it: `linked cart/ada`.
#include <chrono>
#include <iostream>
#include <orrery/app.hpp>
#include <thread>

namespace {

void watch_prices(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::cout << "at work" << std::endl;  // what throws here ends the process too, reason `error`
    std::this_thread::sleep_for(std::chrono::seconds{1});
  }
}

}  // namespace

int main(int argc, char** argv) {
  using namespace orrery::app;
  const std::string name = argc > 1 ? argv[1] : "cart/ada";
  client sidecar;
  while (true) {
    try {
      sidecar.start(name);  // `link` starts nothing
      sidecar.link(name, watch_prices).get();
      return 0;
    } catch (const process_exit& why) {
      std::cout << why.what() << std::endl;  // process_exited: cart/ada exited, error: boom [unknown]
      const auto& kind = why.reason().kind;
      if (kind != "moved" && kind != "noproc" && kind != "noconnection") return 0;  // else it is linked anew
    } catch (const error& why) {                                                    // no connection, or no such class
      std::cerr << why.what() << std::endl;
      if (why.code() != "unavailable") return 1;
    } catch (const std::exception& why) {
      std::cerr << why.what() << std::endl;
      return 1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
  }
}
