#include "http/live/websocket.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket.hpp>

#include "http/live/outlet.hpp"
#include "http/live/pusher.hpp"
#include "http/takeover.hpp"

namespace carillon::http::live {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using clock = std::chrono::steady_clock;

namespace {

/// Beyond it the client has to read before it is read again.
constexpr std::size_t most_replies = 16;
/// The kernel would else keep megabytes for a client that does not read.
constexpr int kernel_send_buffer = 64 * 1024;
/// A client that does not answer the closing handshake.
constexpr std::chrono::seconds close_patience{5};
/// A write buffer that grew beyond is given back.
constexpr std::size_t kept_capacity = 2'048;

bool holds_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    auto one = list.substr(0, comma);
    while (one.starts_with(' ') || one.starts_with('\t'))
      one.remove_prefix(1);
    while (one.ends_with(' ') || one.ends_with('\t'))
      one.remove_suffix(1);
    if (beast::iequals(beast::string_view{one.data(), one.size()}, beast::string_view{token.data(), token.size()}))
      return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

using handshake = bhttp::request<bhttp::empty_body>;

class connection final : public long_connection {
public:
  connection(service_ptr owner, std::shared_ptr<const handshake> opening, welcome how, handover taken)
    : me_(std::move(owner), registration::kind::socket), opening_(std::move(opening)), welcome_(std::move(how)),
      stream_(std::move(taken.socket)), timer_(stream_.get_executor()), in_(options().max_frame_bytes),
      gate_(std::move(taken.gate)), closed_callback_(std::move(taken.closed)),
      outlet_(std::make_shared<outlet>(options().max_queued_bytes)) {
  }

  void launch() override {
    boost::system::error_code ec;
    stream_.next_layer().set_option(asio::socket_base::send_buffer_size{kernel_send_buffer}, ec);
    websocket::stream_base::timeout limits{close_patience, websocket::stream_base::none(), false};
    stream_.set_option(limits);
    stream_.read_message_max(options().max_frame_bytes);
    stream_.auto_fragment(false);
    stream_.write_buffer_bytes(1'024);
    stream_.control_callback([this](websocket::frame_type, beast::string_view) { last_seen_ = clock::now(); });
    last_seen_ = clock::now();
    allowance_at_ = last_seen_;
    allowance_ = most_at_once();
    stream_.async_accept(*opening_, [self = shared()](beast::error_code failed) { self->on_accepted(failed); });
  }

  void wind_down() override {
    asio::post(stream_.get_executor(), [self = shared()] {
      if (self->is_open_)
        self->say_goodbye(close_code::reconnect, "The server is going down.");
      else
        self->finish();
    });
  }

  void abort() override {
    asio::post(stream_.get_executor(), [self = shared()] { self->finish(); });
  }

private:
  std::shared_ptr<connection> shared() {
    return std::static_pointer_cast<connection>(shared_from_this());
  }
  const service_options& options() const {
    return me_.owner().options();
  }

  // -- opening ------------------------------------------------------------------

  void on_accepted(beast::error_code failed) {
    opening_.reset();
    if (finished_)
      return;
    if (failed)
      return finish();
    is_open_ = true;
    stream_.text(true);
    if (!welcome_.refusal.empty()) {
      say_goodbye(static_cast<close_code>(welcome_.code), welcome_.refusal);
    } else {
      outlet_->attach([gate = gate_, weak = std::weak_ptr<connection>{shared()}] {
        std::lock_guard lock{gate->mutex};
        if (!gate->open)
          return;
        if (auto self = weak.lock())
          asio::post(self->stream_.get_executor(), [self] { self->flush(); });
      });
      answer(established_frame(me_.socket_id(), options().activity_timeout));
    }
    idle_since_ = clock::now();
    read();
    arm(next_deadline());
  }

  // -- reading ------------------------------------------------------------------

  void read() {
    if (reading_ || finished_ || replies_.size() >= most_replies)
      return;
    reading_ = true;
    stream_.async_read(in_, [self = shared()](beast::error_code failed, std::size_t) { self->on_read(failed); });
  }

  void on_read(beast::error_code failed) {
    reading_ = false;
    if (finished_)
      return;
    // Beast has answered what is not allowed: 1002, 1007, 1009.
    if (failed)
      return finish();
    last_seen_ = clock::now();
    asked_ = false;
    if (!closing_) {
      const auto bytes = in_.cdata();
      hear({static_cast<const char*>(bytes.data()), bytes.size()});
    }
    in_.clear();
    in_.shrink_to_fit();
    read();
  }

  double most_at_once() const {
    return 2.0 * options().max_messages_per_second;
  }

  bool is_too_fast() {
    const auto rate = static_cast<double>(options().max_messages_per_second);
    const std::chrono::duration<double> passed = last_seen_ - allowance_at_;
    allowance_at_ = last_seen_;
    allowance_ = std::min(most_at_once(), allowance_ + passed.count() * rate);
    if (allowance_ < 1)
      return true;
    allowance_ -= 1;
    return false;
  }

  void hear(std::string_view message) {
    if (is_too_fast())
      return say_goodbye(close_code::too_many_messages, "Too many messages.");
    if (!stream_.got_text())
      return answer(error_frame(close_code::bad_message, "Only text messages are understood."));
    const auto frame = parse_client_frame(message);
    if (!frame)
      return answer(error_frame(close_code::bad_message, "This message is malformed."));
    switch (frame->what) {
    case client_frame::kind::ping:
      return answer(std::string{pong_frame});
    case client_frame::kind::pong:
      return;
    case client_frame::kind::subscribe:
      return subscribe(*frame);
    case client_frame::kind::unsubscribe:
      if (std::erase(channels_, frame->channel) > 0) {
        me_.owner().link().tell(atom::leave_v, me_.socket_id(), frame->channel);
        idle_since_ = clock::now();
      }
      return;
    case client_frame::kind::client_event:
      return answer(error_frame(close_code::bad_message, "Clients cannot send events here."));
    case client_frame::kind::unknown:
      break;
    }
    answer(error_frame(close_code::bad_message, "This event is not known."));
  }

  void subscribe(const client_frame& frame) {
    if (!parse_live_channel(frame.channel) || !me_.owner().is_signed(me_.socket_id(), frame.channel, frame.auth))
      return answer(error_frame(close_code::not_authorised, "The signature of the subscription is not valid."));
    if (std::find(channels_.begin(), channels_.end(), frame.channel) == channels_.end()) {
      if (channels_.size() >= options().max_channels)
        return answer(error_frame(close_code::bad_message, "Too many channels on one connection."));
      const auto hub = me_.owner().link().hub();
      if (!hub)
        return say_goodbye(close_code::reconnect, "The server is restarting.");
      channels_.push_back(frame.channel);
      // Before the client is told, so that it misses nothing from then on.
      caf::anon_send(hub, atom::subscribe_v, live_subscription{me_.socket_id(), frame.channel, outlet_});
    }
    answer(succeeded_frame(frame.channel));
  }

  // -- writing ------------------------------------------------------------------

  void answer(std::string frame) {
    replies_.push_back(std::move(frame));
    flush();
  }

  void say_goodbye(close_code code, std::string_view text) {
    if (closing_ || finished_)
      return;
    closing_ = true;
    outlet_->close();
    replies_.clear();
    reason_ = websocket::close_reason{static_cast<websocket::close_code>(static_cast<std::uint16_t>(code)),
                                      beast::string_view{text.data(), text.size()}};
    answer(error_frame(code, text));
  }

  void flush() {
    if (!finished_ && outlet_->is_overflown())
      return cut_off("queue");
    if (writing_ || finished_ || !is_open_ || close_sent_)
      return;
    if (!replies_.empty()) {
      out_ = std::move(replies_.front());
      replies_.erase(replies_.begin());
    } else if (closing_) {
      return close();
    } else {
      const auto next = outlet_->take();
      if (next.event) {
        out_ = event_frame(*next.event);
      } else {
        if (!next.end)
          return;
        if (*next.end == live_end::over_quota)
          return say_goodbye(close_code::over_quota, "Too many connections of one user.");
        return say_goodbye(close_code::reconnect, "Please connect again.");
      }
    }
    writing_ = true;
    write_until_ = clock::now() + options().write_timeout;
    if (armed_for_ > write_until_)
      arm(write_until_);
    stream_.async_write(asio::buffer(out_),
                        [self = shared()](beast::error_code failed, std::size_t) { self->on_written(failed); });
  }

  void on_written(beast::error_code failed) {
    writing_ = false;
    if (finished_)
      return;
    if (failed)
      return finish();
    if (out_.capacity() > kept_capacity)
      std::string{}.swap(out_);
    flush();
    read();
  }

  void close() {
    close_sent_ = true;
    write_until_ = clock::now() + close_patience;
    arm(write_until_);
    stream_.async_close(reason_, [self = shared()](beast::error_code) { self->finish(); });
  }

  void cut_off(const char* why) {
    ++me_.owner().link().cut_off;
    me_.owner().log().info("live-client-cut-off", {{"socket", me_.socket_id()}, {"reason", why}});
    finish();
  }

  // -- time ---------------------------------------------------------------------

  clock::time_point next_deadline() const {
    if (close_sent_)
      return write_until_;
    auto next = last_seen_ + options().activity_timeout * (asked_ ? 2 : 1);
    if (is_idle())
      next = std::min(next, idle_until());
    return writing_ ? std::min(next, write_until_) : next;
  }

  /// Connecting needs no token, listening does: who listens to nothing holds
  /// the place of somebody who would.
  bool is_idle() const {
    return channels_.empty() && !closing_;
  }
  clock::time_point idle_until() const {
    return idle_since_ + 2 * options().activity_timeout;
  }

  void arm(clock::time_point when) {
    armed_for_ = when;
    timer_.expires_at(when);
    timer_.async_wait([self = shared()](beast::error_code failed) {
      if (!failed && !self->finished_)
        self->on_time();
    });
  }

  void on_time() {
    const auto now = clock::now();
    if (close_sent_) {
      // Armed for something earlier: its answer to the goodbye has time.
      if (now >= write_until_)
        finish();
      return;
    }
    if (writing_ && now >= write_until_)
      return cut_off("write");
    if (is_idle() && now >= idle_until()) {
      say_goodbye(close_code::reconnect, "Nothing was subscribed to.");
    } else if (now >= next_deadline()) {
      if (asked_) {
        // It may be asleep or gone; either way it will not answer a goodbye
        // for long.
        say_goodbye(close_code::silent, "No sign of life.");
      } else {
        asked_ = true;
        answer(std::string{ping_frame});
      }
    }
    if (!finished_ && !close_sent_)
      arm(std::max(next_deadline(), now + std::chrono::milliseconds{1}));
  }

  // -- the end --------------------------------------------------------------------

  void finish() {
    if (std::exchange(finished_, true))
      return;
    timer_.cancel();
    outlet_->close();
    boost::system::error_code ec;
    stream_.next_layer().close(ec);
    if (auto closed = std::exchange(closed_callback_, nullptr))
      closed();
  }

  registration me_;
  std::shared_ptr<const handshake> opening_;
  welcome welcome_;
  websocket::stream<tcp::socket, false> stream_;
  asio::steady_timer timer_;
  beast::flat_buffer in_;
  std::shared_ptr<reply_gate> gate_;
  std::function<void()> closed_callback_;
  std::shared_ptr<outlet> outlet_;

  std::vector<std::string> channels_;
  std::vector<std::string> replies_;
  std::string out_;
  websocket::close_reason reason_;
  clock::time_point last_seen_;
  clock::time_point idle_since_;
  clock::time_point write_until_;
  clock::time_point armed_for_;
  clock::time_point allowance_at_;
  double allowance_ = 0;
  bool is_open_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool asked_ = false; ///< For a sign of life.
  bool closing_ = false;
  bool close_sent_ = false;
  bool finished_ = false;
};

class acceptor final : public takeover {
public:
  acceptor(service_ptr owner, std::shared_ptr<const handshake> opening, welcome how)
    : owner_(std::move(owner)), opening_(std::move(opening)), welcome_(std::move(how)) {
  }

  std::shared_ptr<long_connection> take(handover taken) override {
    return std::make_shared<connection>(owner_, opening_, welcome_, std::move(taken));
  }

private:
  service_ptr owner_;
  std::shared_ptr<const handshake> opening_;
  welcome welcome_;
};

} // namespace

bool is_upgrade(const request& req) {
  return req.method == "GET" && holds_token(req.header("connection"), "upgrade")
         && holds_token(req.header("upgrade"), "websocket") && req.header("sec-websocket-version") == "13"
         && req.header("sec-websocket-key").size() == 24;
}

std::shared_ptr<takeover> make_websocket(service_ptr owner, const request& req, welcome how) {
  auto opening = std::make_shared<handshake>(bhttp::verb::get, "/", 11);
  opening->set(bhttp::field::host, req.header("host"));
  opening->set(bhttp::field::connection, "upgrade");
  opening->set(bhttp::field::upgrade, "websocket");
  opening->set(bhttp::field::sec_websocket_version, "13");
  opening->set(bhttp::field::sec_websocket_key, req.header("sec-websocket-key"));
  return std::make_shared<acceptor>(std::move(owner), std::move(opening), std::move(how));
}

} // namespace carillon::http::live
