#include "operator/admin_server.hpp"

#include <boost/asio/io_context.hpp>

#include "shell/admin.hpp"
#include <thread>
#include <utility>  // before Asio: Boost 1.74 forgets it

namespace orrery::op {

struct admin_server::state {
  boost::asio::io_context io{1};
  std::unique_ptr<shell::http_server> server;
  std::uint16_t port = 0;
  std::thread thread;
};

admin_server::admin_server(std::unique_ptr<state> made) : state_(std::move(made)) {}

result<std::unique_ptr<admin_server>> admin_server::start(const std::string& address, admin_handlers handlers) {
  auto made = std::make_unique<state>();
  shell::admin_handlers with{
      .healthy = std::move(handlers.healthy),
      .ready = std::move(handlers.ready),
      .metrics = [text = std::move(handlers.metrics)](const auto& told) { told(text()); },
  };
  auto opened = shell::http_server::open(made->io, shell::admin_options(address),
                                         [with = std::move(with)](const auto& request, const auto& exchange) {
                                           shell::serve_admin(with, request, exchange);
                                         });
  if (!opened) return fail(opened.error());
  made->server = *std::move(opened);
  made->port = made->server->port();
  made->thread = std::thread([&io = made->io] { io.run(); });
  return std::unique_ptr<admin_server>(new admin_server(std::move(made)));  // NOLINT: the constructor is private
}

admin_server::~admin_server() {
  state_->io.stop();
  state_->thread.join();
}

std::uint16_t admin_server::port() const { return state_->port; }

}  // namespace orrery::op
