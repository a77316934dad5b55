// A chat room: who has joined the group hears what is said there, in whichever pod. `room NAME`, and lines on stdin.
#include <iostream>
#include <orrery/app.hpp>
#include <string>
#include <thread>

int main(int argc, char** argv) {
  using namespace orrery::app;
  const std::string name = argc > 1 ? argv[1] : "somebody";
  client sidecar;
  auto self = sidecar.process();
  self.join("chat/room-1");
  const std::jthread listening([&](const std::stop_token& stop) {
    while (const auto came = self.next(stop)) {
      if (const auto* said = std::get_if<plain_message>(&*came); said != nullptr && said->word == "said")
        std::cout << said->argument.get<std::string>() << std::endl;
    }
  });
  for (std::string line; std::getline(std::cin, line);)
    self.publish("chat/room-1", "said", name + ": " + line);
  return 0;
}
