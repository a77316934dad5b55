// Work that is for one process, and ends with it: `linked cart/ada`.
#include <chrono>
#include <iostream>
#include <orrery/app.hpp>
#include <thread>

int main(int argc, char** argv) {
  using namespace orrery::app;
  const std::string name = argc > 1 ? argv[1] : "cart/ada";
  client sidecar;
  sidecar.start(name);
  auto task = sidecar.link(name, [](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::cout << "at work" << std::endl;  // what throws here ends the process too, reason `error`
      std::this_thread::sleep_for(std::chrono::seconds{1});
    }
  });
  try {
    task.get();
  } catch (const process_exit& why) {
    std::cout << why.what() << std::endl;  // process_exited: cart/ada exited, error: boom
  }
  return 0;
}
