// Hosts the class `table`, whose processes ask a kitchen without waiting for it, and hear of its end.
#include <csignal>
#include <orrery/app.hpp>

orrery::app::process_class a_table() {
  using namespace orrery::app;
  process_class table("table");
  table.on_init([](const context&) {
         return json{{"dishes", json::array()}, {"open", true}};
       })
      .on_call("order",
               [](context& self, const json&) {
                 const auto dish = self.argument<std::string>("dish");
                 self.monitor("kitchen", "kitchen/main");
                 self.request("cooked/" + dish, "kitchen/main", "cook", dish);  // the answer comes to `on_reply`
                 return json("ordered");
               })
      .on_reply("cooked",  // of every name that begins with "cooked/"; the rest of it is in `message`
                [](context& self, const outcome& answer) {
                  self.change()["dishes"].push_back(answer.failure ? json(answer.failure->what()) : answer.reply);
                })
      .on_down("kitchen",
               [](context& self, const down& what) {
                 if (what.reason.kind == "moved") return self.monitor("kitchen", "kitchen/main");  // it lives on
                 self.change()["open"] = false;
               })
      .on_handoff([](context& self) {  // it has come from another node: its monitors stayed behind
        if (self.state().at("open").get<bool>()) self.monitor("kitchen", "kitchen/main");
      });
  return table;
}

int main() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before the client's threads begin

  orrery::app::client sidecar;
  sidecar.host(a_table());
  int number = 0;
  sigwait(&ends, &number);
  return sidecar.drain(std::chrono::seconds{10}) ? 0 : 1;
}
