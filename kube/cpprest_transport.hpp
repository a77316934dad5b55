#pragma once
#include "kube/config.hpp"
#include "kube/transport.hpp"
#include "mesh/base/result.hpp"

#include <memory>
#include <string>

namespace orrery::kube {

/// A transport over cpprestsdk (HTTP/1.1 with kept-alive connections, one more per stream). What its library gets
/// wrong, and how it is designed out here, is told in cpprest_transport.cpp. Nothing is connected yet.
///
/// A transport should live as long as the program: the library's clients cannot be destroyed safely, so those of a
/// transport that is destroyed are kept, without connections, until the process ends. Errors: invalid_argument, what is
/// wrong with `config`.
[[nodiscard]] result<std::unique_ptr<transport>> make_cpprest_transport(const cluster_config& config,
                                                                        const std::string& user_agent);

}  // namespace orrery::kube
