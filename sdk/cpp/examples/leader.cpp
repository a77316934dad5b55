// One leads, of as many as run: who holds the key. When it ends, with its pod or its node too, another takes it.
#include <chrono>
#include <iostream>
#include <orrery/app.hpp>
#include <thread>

int main() {
  using namespace orrery::app;
  try {
    client sidecar;
    sidecar.lead("leader", [](const std::stop_token& stop) {  // begins anew each time that it leads
      std::cout << "leading" << std::endl;
      while (!stop.stop_requested())
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
      std::cout << "not leading any more" << std::endl;
    });
  } catch (const std::exception& why) {  // it can never lead, as this sidecar is too old
    std::cerr << why.what() << std::endl;
    return 1;
  }
}
