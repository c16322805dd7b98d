#include "http/live/event_stream.hpp"

#include <array>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "http/takeover.hpp"

namespace carillon::http::live {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

namespace {

constexpr int kernel_send_buffer = 64 * 1024;
constexpr std::string_view heartbeat = ":\n\n";
constexpr std::string_view come_back_later = "retry: 60000\n: too many connections of one user\n\n";
constexpr std::size_t kept_capacity = 2'048;

class connection final : public long_connection {
public:
  connection(std::unique_ptr<registration> me, std::shared_ptr<outlet> events, std::string first, handover taken)
    : me_(std::move(me)), outlet_(std::move(events)), socket_(std::move(taken.socket)),
      timer_(socket_.get_executor()), gate_(std::move(taken.gate)), closed_callback_(std::move(taken.closed)),
      out_(std::move(taken.head) + first) {
  }

  void launch() override {
    error_code ec;
    socket_.set_option(asio::socket_base::send_buffer_size{kernel_send_buffer}, ec);
    write();
    listen();
    outlet_->attach([gate = gate_, weak = std::weak_ptr<connection>{shared()}] {
      std::lock_guard lock{gate->mutex};
      if (!gate->open)
        return;
      if (auto self = weak.lock())
        asio::post(self->socket_.get_executor(), [self] { self->flush(); });
    });
  }

  void wind_down() override {
    asio::post(socket_.get_executor(), [self = shared()] {
      self->ending_ = true;
      self->flush();
    });
  }

  void abort() override {
    asio::post(socket_.get_executor(), [self = shared()] { self->finish(); });
  }

private:
  std::shared_ptr<connection> shared() {
    return std::static_pointer_cast<connection>(shared_from_this());
  }
  const service_options& options() const {
    return me_->owner().options();
  }

  /// The client has nothing to say; its end shows here.
  void listen() {
    socket_.async_read_some(asio::buffer(ignored_), [self = shared()](error_code failed, std::size_t) {
      if (failed)
        self->finish();
      else if (!self->finished_)
        self->listen();
    });
  }

  void flush() {
    if (!finished_ && outlet_->is_overflown())
      return cut_off("queue");
    if (writing_ || finished_)
      return;
    if (ending_)
      return finish();
    const auto next = outlet_->take();
    if (next.event) {
      out_ = stream_frame(*next.event);
    } else if (next.end) {
      ending_ = true;
      if (*next.end != live_end::over_quota)
        return finish();
      out_ = come_back_later;
    } else {
      return;
    }
    write();
  }

  void write() {
    writing_ = true;
    arm(options().write_timeout);
    asio::async_write(socket_, asio::buffer(out_),
                      [self = shared()](error_code failed, std::size_t) { self->on_written(failed); });
  }

  void on_written(error_code failed) {
    writing_ = false;
    if (failed || finished_)
      return finish();
    if (out_.capacity() > kept_capacity)
      std::string{}.swap(out_);
    arm(options().activity_timeout / 2);
    flush();
  }

  void arm(std::chrono::milliseconds delay) {
    timer_.expires_after(delay);
    timer_.async_wait([self = shared()](error_code failed) {
      // A tick that was queued when the timer was armed anew is not this one's.
      if (failed || self->finished_ || self->timer_.expiry() > asio::steady_timer::clock_type::now())
        return;
      if (self->writing_)
        return self->cut_off("write");
      self->out_ = heartbeat;
      self->write();
    });
  }

  void cut_off(const char* why) {
    ++me_->owner().link().cut_off;
    me_->owner().log().info("live-client-cut-off", {{"socket", me_->socket_id()}, {"reason", why}});
    finish();
  }

  void finish() {
    if (std::exchange(finished_, true))
      return;
    timer_.cancel();
    outlet_->close();
    error_code ec;
    // What was written last is read before the end is seen.
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    socket_.close(ec);
    if (auto closed = std::exchange(closed_callback_, nullptr))
      closed();
  }

  std::unique_ptr<registration> me_;
  std::shared_ptr<outlet> outlet_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::shared_ptr<reply_gate> gate_;
  std::function<void()> closed_callback_;
  std::string out_;
  std::array<char, 64> ignored_{};
  bool writing_ = false;
  bool ending_ = false;
  bool finished_ = false;
};

class opener final : public takeover {
public:
  opener(std::unique_ptr<registration> me, std::shared_ptr<outlet> events, std::string first)
    : me_(std::move(me)), events_(std::move(events)), first_(std::move(first)) {
  }

  std::shared_ptr<long_connection> take(handover taken) override {
    return std::make_shared<connection>(std::move(me_), std::move(events_), std::move(first_), std::move(taken));
  }

private:
  std::unique_ptr<registration> me_;
  std::shared_ptr<outlet> events_;
  std::string first_;
};

} // namespace

std::string stream_frame(const live_event& event) {
  return "id: " + event.id + "\nevent: " + event.name + "\ndata: " + event.data + "\n\n";
}

std::shared_ptr<takeover> make_event_stream(std::unique_ptr<registration> me, std::shared_ptr<outlet> events,
                                            std::string first) {
  return std::make_shared<opener>(std::move(me), std::move(events), std::move(first));
}

} // namespace carillon::http::live
