#pragma once
// What those who speak for clients ask of the node: of node_loop, and in tests of a stand-in.
#include "mesh/node/node.hpp"

#include <functional>

namespace orrery::sidecar {

/// Used on the io_context's thread.
class node_access {
 public:
  using answer_handler = std::function<void(result<value>)>;

  node_access() = default;
  node_access(const node_access&) = delete;
  node_access& operator=(const node_access&) = delete;
  virtual ~node_access() = default;

  /// Takes an event and performs what follows from it. From within what follows from another, it is queued.
  virtual void deliver(node::event happened) = 0;
  /// Asks the node; `told` is called exactly once, perhaps before this returns, unless it is abandoned.
  virtual node::request_id ask(node::operation asked, answer_handler told) = 0;
  /// The client of this request has gone. Nothing if it was answered.
  virtual void abandon(node::request_id id) = 0;
  /// A call is wanted no more: `told` is called with `cancelled`, or with what came of it before.
  virtual void cancel(node::request_id id) = 0;
  [[nodiscard]] virtual bool waits(node::request_id id) const = 0;
};

}  // namespace orrery::sidecar
