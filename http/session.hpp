// One connection: bytes in, requests out, answers back in request order.
// Private to http/server.cpp: it brings Asio and Beast with it.
#pragma once

#include "http/server.hpp"
#include "http/takeover.hpp"
#include "http/wire.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace carillon::http {

class session;

/// Shared by the sessions of one server, which outlives them all.
struct session_host {
  boost::asio::io_context& io;
  const server_options& options;
  const server::dispatch& dispatch;
  logger& log;
  std::shared_ptr<reply_gate> gate;

  std::mutex mutex;
  std::condition_variable emptied;
  std::unordered_set<std::shared_ptr<session>> sessions;
  /// What sessions have become.
  std::unordered_set<std::shared_ptr<long_connection>> taken_over;
  bool stopping = false;

  bool is_empty() const noexcept {
    return sessions.empty() && taken_over.empty();
  }
};

/// Everything runs on the socket's strand but `launch`, `wind_down` and
/// `abort`, which any thread may call.
class session : public std::enable_shared_from_this<session> {
public:
  session(session_host& host, boost::asio::ip::tcp::socket socket);

  /// Starts reading.
  void launch();

  /// Answers what is in flight, reads no more, closes.
  void wind_down();

  /// Closes at once.
  void abort();

  /// Takes the answer of request `number`; ignored when it has one already.
  void take_answer(std::uint64_t number, reply r, std::string payload);

private:
  using parser
    = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using error_code = boost::beast::error_code;

  struct slot {
    answer_form form;
    std::string bytes;
    bool ready = false;
    bool drop = false; ///< Close instead of answering.
    std::shared_ptr<takeover> next_owner;
  };

  // -- reading ----------------------------------------------------------------

  void begin_request();
  void read_more();
  void on_read(error_code ec, std::size_t count);
  void advance();
  void on_header();
  void on_request();
  void refuse(int status, std::string_view message);
  void on_parse_error(error_code ec);
  answer_form form_of_current() const;

  // -- answering --------------------------------------------------------------

  std::uint64_t add_slot(answer_form form);
  void settle(slot& s, const reply& r, std::string_view payload);
  void write_ready();
  void on_written(error_code ec);
  void hand_over();
  void linger();
  void drain();
  void close();

  // -- deadlines --------------------------------------------------------------

  enum class wait { idle, request, linger };
  void arm_read(wait what);
  void on_read_deadline(std::uint64_t generation, wait what);
  void disarm_read();

  session_host& host_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer read_timer_;
  boost::asio::steady_timer write_timer_;
  std::uint64_t read_generation_ = 0;
  std::uint64_t write_generation_ = 0;
  boost::beast::flat_buffer buffer_;
  std::optional<parser> parser_;
  std::string remote_address_;

  std::deque<slot> slots_;
  std::uint64_t first_number_ = 0; ///< Of slots_.front().
  std::string out_;
  bool reading_ = false;    ///< A read is under way.
  bool writing_ = false;    ///< A write is under way.
  bool in_request_ = false; ///< Its first byte has come, its last has not.
  bool header_seen_ = false;
  bool no_more_requests_ = false;
  bool close_after_write_ = false;
  bool lingering_ = false;
  bool handing_over_ = false; ///< As soon as the read under way has ended.
  bool closed_ = false;
};

} // namespace carillon::http
