#pragma once

namespace orrery {

/// Lambdas as one visitor: std::visit(overloaded{[](call_op&) {...}, [](cast_op&) {...}}, operation).
template <class... Handlers>
struct overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
overloaded(Handlers...) -> overloaded<Handlers...>;

}  // namespace orrery
