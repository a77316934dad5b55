// One leads, of as many as run: who holds the key. When it ends, with its pod or its node too, another takes it.
#include <iostream>
#include <orrery/app.hpp>

int main() {
  using namespace orrery::app;
  client sidecar;
  auto self = sidecar.process();
  while (!self.ended()) {
    try {
      self.claim("leader");
      std::cout << "leading" << std::endl;  // work is begun here, and ends below
      while (const auto came = self.next()) {
        if (const auto* lost = std::get_if<plain_message>(&*came); lost != nullptr && lost->word == "key_lost") break;
      }
      std::cout << "not leading any more" << std::endl;
    } catch (const error& why) {
      if (why.code() != "already_exists") throw;
      const auto holders = sidecar.lookup("leader").at("entries");
      if (!holders.empty()) sidecar.monitor(holders[0].at("pid").get<std::string>()).wait();
    }
  }
  return 1;  // the connection was lost: begin again
}
