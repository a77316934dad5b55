// Hosts the class `cart`: kubectl apply a ProcessClass of this name with `behaviour: {app: {}}`, and run this in the
// mesh's pods. Then, from any pod: orrery call cart/ada add '{"item": "pen", "count": 2}'
#include <csignal>
#include <orrery/app.hpp>

int main() {
  orrery::app::process_class cart("cart");
  cart.on_init([](const auto&) {
        return orrery::app::json{{"items", orrery::app::json::object()}};
      })
      .on_call("add",
               [](auto& self, const auto&) {
                 const auto count = self.template argument<int>("count", 1);
                 if (count < 1) throw orrery::app::refusal("count must be 1 or more", "invalid_argument");
                 auto& held = self.change()["items"][self.template argument<std::string>("item")];
                 held = (held.is_null() ? 0 : held.template get<int>()) + count;
                 self.set_timer("forget", std::chrono::hours{1});
                 return held;
               })
      .on_call("items", [](auto& self, const auto&) { return self.state().at("items"); })
      .on_info("forget", [](auto& self, const auto&) { self.stop("shutdown", "nobody wanted it for an hour"); });

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before the client's threads begin

  orrery::app::client sidecar;
  sidecar.host(std::move(cart));
  int number = 0;
  sigwait(&ends, &number);
  return sidecar.drain(std::chrono::seconds{10}) ? 0 : 1;
}
