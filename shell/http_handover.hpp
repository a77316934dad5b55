#pragma once
// A connection that leaves http_server with a request that HTTP does not answer. Heavy: include in .cpp files only.
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

namespace orrery::shell {

struct http_handover {
  boost::asio::ip::tcp::socket socket;  ///< nothing was read of it but the request
  boost::beast::http::request<boost::beast::http::string_body> request;
};

}  // namespace orrery::shell
