#pragma once
// Tells the user's metrics, where there are any.
#include "orrery/app/metrics.hpp"
#include <exception>
#include <functional>
#include <memory>
#include <string>

namespace orrery::app {

/// What they throw is logged, and kept from what they count.
template <class Tell>
void count(const std::shared_ptr<metrics>& to, const std::function<void(const std::string&)>& log, Tell tell) {
  if (to == nullptr) return;
  try {
    tell(*to);
  } catch (const std::exception& thrown) {
    log(std::string("a metrics hook failed: ") + thrown.what());
  } catch (...) {
    log("a metrics hook failed: an exception that is no std::exception");
  }
}

}  // namespace orrery::app
