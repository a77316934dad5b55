#pragma once
#include "kube/local/http.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <functional>
#include <utility>  // before Asio: Boost 1.74 forgets it

namespace orrery::local {

/// Accepts the upgrade in `request` and relays between its WebSocket channels and the ports of the pod until either
/// side ends or `stopping`. Only http_server.cpp includes this: it is the one other place that knows Beast.
void relay_port_forward(boost::beast::ssl_stream<boost::beast::tcp_stream>& stream, boost::asio::io_context& io,
                        const boost::beast::http::request<boost::beast::http::string_body>& request,
                        const port_forward& wanted, const std::function<bool()>& stopping);

}  // namespace orrery::local
