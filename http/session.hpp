// One connection: bytes in, requests out, answers back in request order.
// Private to http/server.cpp: it brings Asio and Beast with it.
#pragma once

#include "http/answer_body.hpp"
#include "http/server.hpp"
#include "http/takeover.hpp"
#include "http/wire.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>

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

/// The bytes of a body: those that have come, not taken out yet. Unlike
/// Beast's string_body it makes no room for what a client only announces.
struct arriving_body {
  using value_type = std::string;

  class reader {
  public:
    template <bool IsRequest, class Fields>
    reader(boost::beast::http::header<IsRequest, Fields>&, std::string& bytes) : bytes_(bytes) {
    }
    void init(const boost::optional<std::uint64_t>&, boost::beast::error_code& ec) {
      ec = {};
    }
    template <class Buffers>
    std::size_t put(const Buffers& more, boost::beast::error_code& ec) {
      ec = {};
      std::size_t count = 0;
      for (auto i = boost::asio::buffer_sequence_begin(more); i != boost::asio::buffer_sequence_end(more); ++i) {
        const boost::asio::const_buffer one{*i};
        bytes_.append(static_cast<const char*>(one.data()), one.size());
        count += one.size();
      }
      return count;
    }
    void finish(boost::beast::error_code& ec) {
      ec = {};
    }

  private:
    std::string& bytes_;
  };
};

/// Shared by the sessions of one server, which outlives them all.
struct session_host {
  boost::asio::io_context& io;
  const server_options& options;
  const server::dispatch& dispatch;
  const server::stream_finder& streams;
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
    = boost::beast::http::request_parser<arriving_body>;
  using error_code = boost::beast::error_code;

  struct slot {
    answer_form form;
    std::string bytes;
    bool ready = false;
    bool drop = false; ///< Close instead of answering.
    std::shared_ptr<takeover> next_owner;
    std::shared_ptr<answer_body> streamed; ///< Follows `bytes`.
  };

  // -- reading ----------------------------------------------------------------

  void begin_request();
  void read_more();
  void on_read(error_code ec, std::size_t count);
  void advance();
  void on_header();
  bool begin_stream();
  void on_request();
  std::optional<request> read_head(const boost::beast::http::request_header<>& head);
  void refuse(int status, std::string_view message);
  void on_parse_error(error_code ec);
  answer_form form_of_current() const;

  // -- a body that is taken while it arrives -----------------------------------

  body_sink::ready ask_for_more();
  void on_sink_ready();
  void feed_sink();
  void drop_stream();
  void settle_continue(bool send);

  // -- answering --------------------------------------------------------------

  bool waits_for_lone() const noexcept;
  std::uint64_t add_slot(answer_form form);
  void settle(slot& s, const reply& r, std::string_view payload);
  void write_ready();
  void arm_write();
  void write_out();
  void on_written(error_code ec);
  void stream_on();
  void on_piece(std::optional<std::string> piece);
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
  /// Goes out now; nothing else is written before its end.
  std::shared_ptr<answer_body> streamed_;
  std::uint64_t streamed_left_ = 0;
  std::chrono::steady_clock::time_point answer_ends_{}; ///< Of streamed_.
  std::optional<std::uint64_t> lone_number_; ///< Of the last lone request.
  std::shared_ptr<body_sink> sink_; ///< Until the body is whole.
  std::uint64_t stream_number_ = 0; ///< Its request's slot.
  std::optional<std::uint64_t> continue_number_; ///< Waits for the sink.
  std::uint64_t stream_generation_ = 0; ///< Who may still ask for more.
  std::chrono::steady_clock::time_point stream_ends_{};
  bool sink_busy_ = false; ///< It has not asked for more yet.
  /// Of a body that was refused: what may still come, and until when.
  std::uint64_t discardable_ = 0;
  std::chrono::steady_clock::time_point linger_ends_{};

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
