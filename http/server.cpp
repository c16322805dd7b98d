#include "http/server.hpp"

#include "http/envelope.hpp"
#include "http/session.hpp"
#include "http/wire.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

#include <system_error>
#include <thread>

namespace carillon::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

namespace {

/// After accept failed for want of file descriptors or memory.
constexpr std::chrono::milliseconds accept_pause{100};

std::system_error as_system_error(const error_code& ec,
                                  const std::string& what) {
  return std::system_error{ec.value(), std::system_category(), what};
}

} // namespace

struct server::impl {
  impl(server_options o, dispatch d, logger& l, stream_finder f)
    : options(std::move(o)), handler(std::move(d)), streams(std::move(f)), log(l),
      acceptor(asio::make_strand(io)), pause(acceptor.get_executor()),
      host{io, options, handler, streams, log, std::make_shared<reply_gate>(),
           {}, {},      {}, {}, false} {}

  void accept() {
    acceptor.async_accept(
      asio::make_strand(io), [this](error_code ec, tcp::socket socket) {
        if (!acceptor.is_open())
          return;
        if (ec == asio::error::operation_aborted)
          return;
        if (ec) {
          log.warn("http-accept-failed", {{"error", ec.message()}});
          pause.expires_after(accept_pause);
          pause.async_wait([this](error_code stopped) {
            if (!stopped && acceptor.is_open())
              accept();
          });
          return;
        }
        welcome(std::move(socket));
        accept();
      });
  }

  void welcome(tcp::socket socket) {
    std::shared_ptr<session> fresh;
    {
      std::lock_guard lock{host.mutex};
      if (host.sessions.size() < options.max_connections) {
        fresh = std::make_shared<session>(host, std::move(socket));
        host.sessions.insert(fresh);
      }
    }
    if (fresh)
      fresh->launch();
    else
      turn_away(std::move(socket));
  }

  /// One small write that fits into the socket's buffer, or none.
  void turn_away(tcp::socket socket) {
    auto r = error_reply(503, "Too many connections. Please try again.");
    r.headers.emplace_back("Retry-After", "1");
    answer_form form;
    form.keep_alive = false;
    const auto bytes = render_answer(r, render_payload(r), form, {});
    error_code ec;
    socket.non_blocking(true, ec);
    socket.write_some(asio::buffer(bytes), ec);
    socket.shutdown(tcp::socket::shutdown_send, ec);
    log.warn("http-connection-refused",
             {{"limit", std::to_string(options.max_connections)}});
  }

  void run() {
    for (;;) {
      try {
        io.run();
        return;
      } catch (const std::exception& e) {
        log.error("http-io-failed", {{"error", e.what()}});
      }
    }
  }

  template <class F>
  void for_each_connection(F f) {
    std::lock_guard lock{host.mutex};
    for (const auto& s : host.sessions)
      f(*s);
    for (const auto& c : host.taken_over)
      f(*c);
  }

  server_options options;
  dispatch handler;
  stream_finder streams;
  logger& log;
  asio::io_context io;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  session_host host;
  std::vector<std::thread> threads;
  std::uint16_t bound_port = 0;
  std::mutex stop_mutex;
  bool running = false;
};

server::server(server_options options, dispatch handler, logger& log, stream_finder streams)
  : impl_(std::make_unique<impl>(std::move(options), std::move(handler), log, std::move(streams))) {
}

server::~server() {
  stop(std::chrono::milliseconds{0});
  std::lock_guard lock{impl_->host.gate->mutex};
  impl_->host.gate->open = false;
}

void server::start() {
  auto& s = *impl_;
  const auto where = s.options.address + ":" + std::to_string(s.options.port);
  error_code ec;
  const auto check = [&](const char* what) {
    if (ec)
      throw as_system_error(ec, std::string{what} + " " + where);
  };
  const auto address = asio::ip::make_address(s.options.address, ec);
  check("cannot read the address");
  const tcp::endpoint endpoint{address, s.options.port};
  s.acceptor.open(endpoint.protocol(), ec);
  check("cannot open a socket for");
  s.acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  check("cannot set up");
  s.acceptor.bind(endpoint, ec);
  check("cannot bind");
  s.acceptor.listen(asio::socket_base::max_listen_connections, ec);
  check("cannot listen on");
  s.bound_port = s.acceptor.local_endpoint(ec).port();
  check("cannot listen on");
  asio::post(s.acceptor.get_executor(), [&s] { s.accept(); });
  s.running = true;
  for (int i = 0; i < std::max(1, s.options.io_threads); ++i)
    s.threads.emplace_back([&s] { s.run(); });
}

std::uint16_t server::port() const noexcept {
  return impl_->bound_port;
}

void server::stop(std::chrono::milliseconds grace) {
  auto& s = *impl_;
  std::lock_guard one_at_a_time{s.stop_mutex};
  if (!std::exchange(s.running, false))
    return;
  asio::post(s.acceptor.get_executor(), [&s] {
    error_code ec;
    s.acceptor.close(ec);
    s.pause.cancel();
    {
      std::lock_guard lock{s.host.mutex};
      s.host.stopping = true;
    }
    // After the last accept, so that none slips in behind it.
    s.for_each_connection([](auto& one) { one.wind_down(); });
  });
  {
    std::unique_lock lock{s.host.mutex};
    s.host.emptied.wait_for(lock, grace,
                            [&s] { return s.host.is_empty(); });
  }
  // Whoever is left is cut off; the io threads end when nothing is pending.
  asio::post(s.acceptor.get_executor(),
             [&s] { s.for_each_connection([](auto& one) { one.abort(); }); });
  for (auto& t : s.threads)
    t.join();
  s.threads.clear();
}

} // namespace carillon::http
