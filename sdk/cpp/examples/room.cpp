// A chat room: who has joined the group hears what is said there, in whichever pod. `room NAME`, and lines on stdin.
#include <chrono>
#include <iostream>
#include <orrery/app.hpp>
#include <string>
#include <thread>

namespace {

using namespace orrery::app;

/// Shows what is said, until its process has ended, as with the connection.
void listen_once(client& sidecar, const std::stop_token& stop) {
  auto self = sidecar.process();
  self.join("chat/room-1");
  while (const auto came = self.next(stop)) {
    const auto* said = std::get_if<plain_message>(&*came);
    if (said != nullptr && said->word == "said" && said->argument.is_string())  // anybody may publish anything
      std::cout << said->argument.get<std::string>() << std::endl;
    if (const auto* lost = std::get_if<dropped_message>(&*came))  // they came faster than they were read
      std::cout << "(" << lost->count << " messages are missing)" << std::endl;
  }
}

void listen(client& sidecar, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    try {
      listen_once(sidecar, stop);          // and again: with a new connection it takes a new process
    } catch (const std::exception& why) {  // what leaves a thread would end the program
      std::cerr << why.what() << std::endl;
    }
    if (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds{200});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "somebody";
  client sidecar;
  const std::jthread listening([&](const std::stop_token& stop) { listen(sidecar, stop); });
  for (std::string line; std::getline(std::cin, line);) {
    try {
      sidecar.publish("chat/room-1", "said", name + ": " + line);
    } catch (const error& why) {
      std::cerr << "not said: " << why.what() << std::endl;
    }
  }
  return 0;
}
