#include "mesh/process/deadline_queue.hpp"

#include <algorithm>
#include <functional>

namespace orrery::process {

void deadline_queue::add(entry added) {
  heap_.push_back(added);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
}

void deadline_queue::rebuild() {
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>{});
  dead_ = 0;
}

void deadline_queue::pop() {
  std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
  heap_.pop_back();
}

}  // namespace orrery::process
