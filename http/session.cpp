#include "http/session.hpp"

#include "domain/text.hpp"
#include "http/envelope.hpp"
#include "http/target.hpp"
#include "http/trace.hpp"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace carillon::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;

namespace {

constexpr std::size_t read_chunk_bytes = 16 * 1024;
/// Requests of one connection that may wait for their answers.
constexpr std::size_t most_pipelined = 16;

std::string lower_case(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

bool is_host(std::string_view text) noexcept {
  return text.size() <= 255
         && std::all_of(text.begin(), text.end(), [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                     || (c >= '0' && c <= '9')
                     || std::string_view{".-_:[]"}.find(c)
                          != std::string_view::npos;
            });
}

/// Answers once; an answer that never comes is a 503 when the last copy goes.
class answer_slot {
public:
  answer_slot(std::shared_ptr<reply_gate> gate, std::weak_ptr<session> target,
              std::uint64_t number)
    : gate_(std::move(gate)), target_(std::move(target)), number_(number) {}
  answer_slot(const answer_slot&) = delete;
  answer_slot& operator=(const answer_slot&) = delete;

  ~answer_slot() {
    send(problem({errc::outcome_unknown, "the request was dropped", {}, {}}));
  }

  void send(reply r) {
    if (answered_.exchange(true))
      return;
    gate_->in_flight.fetch_sub(1);
    // Rendering here keeps it off the io threads.
    auto payload = take_payload(r);
    std::lock_guard lock{gate_->mutex};
    if (!gate_->open)
      return;
    if (auto s = target_.lock())
      s->take_answer(number_, std::move(r), std::move(payload));
  }

private:
  std::shared_ptr<reply_gate> gate_;
  std::weak_ptr<session> target_;
  std::uint64_t number_;
  std::atomic<bool> answered_{false};
};

reply overloaded() {
  auto out = error_reply(503, "The server is busy. Please try again.");
  out.headers.emplace_back("Retry-After", "1");
  return out;
}

} // namespace

session::session(session_host& host, asio::ip::tcp::socket socket)
  : host_(host), socket_(std::move(socket)),
    read_timer_(socket_.get_executor()), write_timer_(socket_.get_executor()),
    buffer_(std::max(host.options.max_header_bytes, read_chunk_bytes)
            + read_chunk_bytes) {
  error_code ec;
  auto address = socket_.remote_endpoint(ec).address();
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  remote_address_ = address.to_string();
  socket_.set_option(asio::ip::tcp::no_delay{true}, ec);
}

void session::launch() {
  asio::dispatch(socket_.get_executor(), [self = shared_from_this()] {
    self->begin_request();
    self->advance();
  });
}

void session::wind_down() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->closed_)
      return;
    self->no_more_requests_ = true;
    self->disarm_read();
    self->drop_stream();
    self->discardable_ = 0;
    if (self->slots_.empty() && !self->writing_)
      self->close();
    else if (!self->slots_.empty())
      self->slots_.back().form.keep_alive = false;
  });
}

void session::abort() {
  asio::post(socket_.get_executor(),
             [self = shared_from_this()] { self->close(); });
}

// -- reading ------------------------------------------------------------------

void session::begin_request() {
  parser_.emplace();
  // The header comes alone, as it says how much body may follow.
  parser_->eager(false);
  parser_->header_limit(
    static_cast<std::uint32_t>(host_.options.max_header_bytes));
  parser_->body_limit(boost::none);
  in_request_ = false;
  header_seen_ = false;
}

void session::read_more() {
  if (reading_ || closed_)
    return;
  // Only a chunk extension without end gets here.
  if (buffer_.size() + read_chunk_bytes > buffer_.max_size())
    return refuse(400, "The request is malformed.");
  if (!in_request_ && slots_.empty() && !writing_ && !lingering_)
    arm_read(wait::idle);
  reading_ = true;
  socket_.async_read_some(
    buffer_.prepare(read_chunk_bytes),
    [self = shared_from_this()](error_code ec, std::size_t count) {
      self->on_read(ec, count);
    });
}

void session::on_read(error_code ec, std::size_t count) {
  reading_ = false;
  if (closed_)
    return;
  if (handing_over_)
    return hand_over();
  if (ec == asio::error::eof) {
    // The client may have closed its side only: what it asked is answered.
    no_more_requests_ = true;
    disarm_read();
    drop_stream();
    if (lingering_ || (slots_.empty() && !writing_))
      return close();
    if (!slots_.empty())
      slots_.back().form.keep_alive = false;
    return;
  }
  if (ec)
    return close();
  buffer_.commit(count);
  if (lingering_)
    return drain();
  advance();
}

void session::advance() {
  while (!closed_ && !no_more_requests_) {
    if (sink_busy_)
      return; // on_sink_ready comes back here.
    if ((slots_.size() >= most_pipelined || waits_for_lone()) && !sink_)
      return; // on_written comes back here.
    if (buffer_.size() == 0) {
      if (sink_)
        arm_read(wait::request);
      return read_more();
    }
    if (!in_request_) {
      in_request_ = true;
      arm_read(wait::request);
    }
    error_code ec;
    const auto consumed = parser_->put(buffer_.data(), ec);
    buffer_.consume(consumed);
    if (ec && ec != bhttp::error::need_more)
      return on_parse_error(ec);
    if (!header_seen_ && parser_->is_header_done()) {
      header_seen_ = true;
      on_header();
      if (no_more_requests_)
        return;
    }
    if (sink_) {
      feed_sink();
      if (sink_ && !sink_busy_ && (ec == bhttp::error::need_more || consumed == 0)) {
        arm_read(wait::request);
        return read_more();
      }
    } else if (parser_->is_done()) {
      disarm_read();
      on_request();
    } else if (ec == bhttp::error::need_more || consumed == 0) {
      return read_more();
    }
  }
}

void session::on_header() {
  const auto& head = parser_->get();
  if (const auto coding = head[bhttp::field::transfer_encoding];
      !coding.empty() && !beast::iequals(coding, "chunked"))
    return refuse(501, "This transfer coding is not supported.");
  if (head.version() >= 11 && head.count(bhttp::field::host) != 1)
    return refuse(400, "A request needs exactly one Host header.");
  const auto expectation = head[bhttp::field::expect];
  const bool expects = !expectation.empty() && head.version() >= 11;
  if (expects && !beast::iequals(expectation, "100-continue"))
    return refuse(417, "This expectation is not supported.");
  if (!parser_->is_done() && begin_stream())
    return;
  if (const auto length = parser_->content_length(); length && *length > host_.options.max_body_bytes)
    return on_parse_error(bhttp::error::body_limit);
  parser_->body_limit(host_.options.max_body_bytes);
  parser_->eager(true);
  if (!expects || parser_->is_done())
    return;
  add_slot({});
  slots_.back().bytes = "HTTP/1.1 100 Continue\r\n\r\n";
  slots_.back().ready = true;
  write_ready();
}

/// True when the body is not this connection's to read: it goes to a sink, or
/// the request was answered without it.
bool session::begin_stream() {
  if (!host_.streams)
    return false;
  auto req = read_head(parser_->get());
  if (!req)
    return false; // on_request refuses it.
  auto found = host_.streams(*req);
  if (!found)
    return false;
  if (const auto length = parser_->content_length(); length && *length > found->most_bytes) {
    on_parse_error(bhttp::error::body_limit);
    return true;
  }
  parser_->body_limit(found->most_bytes);
  parser_->eager(true);
  discardable_ = found->most_bytes;
  stream_ends_ = std::chrono::steady_clock::now() + host_.options.stream_timeout;
  auto form = form_of_current();
  form.keep_alive = parser_->keep_alive();
  req->correlation_id = form.correlation_id;
  auto& in_flight = host_.gate->in_flight;
  if (in_flight.fetch_add(1) >= host_.options.max_in_flight) {
    in_flight.fetch_sub(1);
    no_more_requests_ = true;
    disarm_read();
    add_slot(std::move(form));
    const auto r = overloaded();
    settle(slots_.back(), r, render_payload(r));
    write_ready();
    return true;
  }
  continue_number_.reset();
  if (parser_->get().count(bhttp::field::expect) > 0 && parser_->get().version() >= 11)
    continue_number_ = add_slot({});
  stream_number_ = add_slot(std::move(form));
  // While the sink has not asked, the wait is not the client's.
  disarm_read();
  auto answer
    = std::make_shared<answer_slot>(host_.gate, weak_from_this(), stream_number_);
  try {
    sink_ = found->open(std::move(*req), [answer](reply r) { answer->send(std::move(r)); });
    sink_busy_ = true;
    sink_->begin(ask_for_more());
  } catch (const std::exception& e) {
    host_.log.error("http-dispatch-failed", {{"error", e.what()}});
    no_more_requests_ = true;
    drop_stream();
    settle_continue(false);
    answer->send(problem({errc::permanent, e.what(), {}, {}}));
  }
  return true;
}

body_sink::ready session::ask_for_more() {
  return [gate = host_.gate, target = weak_from_this(), generation = ++stream_generation_] {
    std::lock_guard lock{gate->mutex};
    if (!gate->open)
      return;
    if (auto s = target.lock())
      asio::post(s->socket_.get_executor(), [s, generation] {
        if (generation == s->stream_generation_)
          s->on_sink_ready();
      });
  };
}

void session::on_sink_ready() {
  if (closed_ || !sink_)
    return;
  sink_busy_ = false;
  ++stream_generation_; // Each `ready` counts once.
  if (std::chrono::steady_clock::now() > stream_ends_)
    return refuse(408, "The request took too long to arrive.");
  settle_continue(true);
  advance();
}

/// After the parser has taken a step.
void session::feed_sink() {
  auto bytes = std::move(parser_->get().body());
  parser_->get().body().clear();
  const bool whole = parser_->is_done();
  if (sink_busy_)
    return; // Only the header has come.
  if (whole)
    disarm_read();
  if (!bytes.empty()) {
    disarm_read();
    sink_busy_ = true;
    sink_->take(std::move(bytes), ask_for_more());
  }
  if (!whole)
    return;
  discardable_ = 0;
  sink_->finish();
  const bool last = !slots_.back().form.keep_alive;
  drop_stream();
  begin_request();
  if (last)
    no_more_requests_ = true;
}

void session::drop_stream() {
  if (!sink_)
    return;
  ++stream_generation_;
  sink_busy_ = false;
  settle_continue(false);
  // May end an upload, which answers: not before this is consistent.
  auto gone = std::move(sink_);
  sink_.reset();
}

/// The interim answer has its place in front of the request's own.
void session::settle_continue(bool send) {
  if (!continue_number_)
    return;
  const auto number = *std::exchange(continue_number_, std::nullopt);
  if (number < first_number_)
    return;
  auto& place = slots_[number - first_number_];
  if (send)
    place.bytes = "HTTP/1.1 100 Continue\r\n\r\n";
  place.ready = true;
  write_ready();
}

answer_form session::form_of_current() const {
  answer_form out;
  const auto& head = parser_->get();
  out.head = head.method() == bhttp::verb::head;
  out.origin = std::string{view(head[bhttp::field::origin])};
  out.http_1_0 = parser_->got_some() && head.version() < 11;
  auto trace = parse_trace_id(view(head["traceparent"]));
  out.correlation_id = trace ? std::move(*trace) : make_trace_id();
  return out;
}

void session::on_parse_error(error_code ec) {
  using e = bhttp::error;
  if (ec == e::body_limit)
    return refuse(413, "The body is larger than the server accepts.");
  if (ec == e::header_limit || ec == e::buffer_overflow) {
    const auto bytes = buffer_.cdata();
    const std::string_view seen{static_cast<const char*>(bytes.data()),
                                bytes.size()};
    // The request line is parsed alone, before the fields are.
    if (parser_->get().target().empty()
        && seen.find('\n') == std::string_view::npos)
      return refuse(414, "The request line is longer than the server accepts.");
    return refuse(431, "The headers are larger than the server accepts.");
  }
  if (ec == e::bad_version)
    return refuse(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
  refuse(400, "The request is malformed.");
}

void session::refuse(int status, std::string_view message) {
  auto form = form_of_current();
  form.keep_alive = false;
  no_more_requests_ = true;
  disarm_read();
  host_.log.debug("http-request-refused",
                  {{"status", std::to_string(status)},
                   {"client", remote_address_},
                   {"correlation", form.correlation_id}});
  // A request whose body was being taken has its place already.
  if (sink_)
    drop_stream();
  else
    add_slot(std::move(form));
  const auto r = error_reply(status, message);
  if (!slots_.back().ready)
    settle(slots_.back(), r, render_payload(r));
  write_ready();
}

/// Everything but the body and the correlation; nothing when malformed.
std::optional<request> session::read_head(const bhttp::request_header<>& head) {
  request req;
  req.method = std::string{view(head.method_string())};
  req.remote_address = remote_address_;
  for (const auto& field : head) {
    const auto value = view(field.value());
    if (!is_valid_utf8(value))
      return std::nullopt;
    auto& stored = req.headers[lower_case(view(field.name_string()))];
    if (!stored.empty())
      stored += ", ";
    stored += value;
  }
  auto where = parse_target(view(head.target()));
  const auto host = req.header("host");
  if (!where || !is_host(host))
    return std::nullopt;
  req.path = std::move(where->path);
  req.query = std::move(where->query);
  req.base_url = !host_.options.public_url.empty() ? host_.options.public_url
                 : host.empty()                    ? std::string{}
                                                   : "http://" + host;
  return req;
}

void session::on_request() {
  auto form = form_of_current();
  auto message = parser_->release();
  form.keep_alive = message.keep_alive();
  begin_request();

  auto head = read_head(message);
  if (!head) {
    form.keep_alive = false;
    no_more_requests_ = true;
    add_slot(std::move(form));
    const auto r = error_reply(400, "The request is malformed.");
    settle(slots_.back(), r, render_payload(r));
    return write_ready();
  }
  auto& req = *head;
  req.correlation_id = form.correlation_id;
  req.body = std::move(message.body());

  // Nothing is read behind the wish for another protocol.
  if (!form.keep_alive || message.count(bhttp::field::upgrade) > 0)
    no_more_requests_ = true;
  const auto number = add_slot(std::move(form));
  if (!host_.options.cors_origins.empty()) {
    if (auto answer = preflight_answer(req)) {
      settle(slots_.back(), *answer, {});
      return write_ready();
    }
  }
  auto& in_flight = host_.gate->in_flight;
  if (in_flight.fetch_add(1) >= host_.options.max_in_flight) {
    in_flight.fetch_sub(1);
    const auto r = overloaded();
    settle(slots_.back(), r, render_payload(r));
    return write_ready();
  }
  if (const auto& lone = host_.options.one_at_a_time; !lone.empty() && req.path.starts_with(lone))
    lone_number_ = number;
  auto answer
    = std::make_shared<answer_slot>(host_.gate, weak_from_this(), number);
  try {
    host_.dispatch(std::move(req),
                   [answer](reply r) { answer->send(std::move(r)); });
  } catch (const std::exception& e) {
    host_.log.error("http-dispatch-failed", {{"error", e.what()}});
    answer->send(problem({errc::permanent, e.what(), {}, {}}));
  }
}

// -- answering ----------------------------------------------------------------

bool session::waits_for_lone() const noexcept {
  return lone_number_ && (*lone_number_ >= first_number_ || streamed_);
}

std::uint64_t session::add_slot(answer_form form) {
  slots_.push_back({std::move(form), {}, false, false, nullptr, nullptr});
  return first_number_ + slots_.size() - 1;
}

void session::take_answer(std::uint64_t number, reply r, std::string payload) {
  asio::post(socket_.get_executor(),
             [self = shared_from_this(), number, r = std::move(r),
              payload = std::move(payload)] {
               if (self->closed_ || number < self->first_number_)
                 return;
               const auto index = number - self->first_number_;
               if (index >= self->slots_.size() || self->slots_[index].ready)
                 return;
               // The body was refused, or is not needed: the rest is not
               // read, so nothing can follow on this connection.
               if (self->sink_ && number == self->stream_number_) {
                 self->no_more_requests_ = true;
                 self->disarm_read();
                 self->drop_stream();
               }
               // Its index may be another now.
               self->settle(self->slots_[number - self->first_number_], r, payload);
               self->write_ready();
             });
}

void session::settle(slot& s, const reply& r, std::string_view payload) {
  s.ready = true;
  s.drop = r.drop;
  if (r.next_owner && !s.form.head) {
    s.next_owner = r.next_owner;
    s.form.keep_alive = false;
    no_more_requests_ = true;
  }
  if (!s.form.head)
    s.streamed = r.streamed;
  // Asked to stop: the last answer of this connection says so.
  if (no_more_requests_ && &s == &slots_.back())
    s.form.keep_alive = false;
  if (!s.drop)
    s.bytes = render_answer(r, payload, s.form, host_.options.cors_origins);
}

void session::write_ready() {
  if (writing_ || closed_ || close_after_write_)
    return;
  out_.clear();
  while (!slots_.empty() && slots_.front().ready && !close_after_write_) {
    auto& next = slots_.front();
    if (next.drop) {
      if (out_.empty())
        return close();
      // What was asked before it is answered first.
      close_after_write_ = true;
      break;
    }
    if (next.next_owner) {
      if (out_.empty())
        return hand_over();
      break; // on_written comes back here.
    }
    if (out_.empty())
      out_ = std::move(next.bytes);
    else
      out_ += next.bytes;
    close_after_write_ = !next.form.keep_alive;
    streamed_ = std::move(next.streamed);
    slots_.pop_front();
    ++first_number_;
    if (streamed_) {
      streamed_left_ = streamed_->size();
      answer_ends_ = std::chrono::steady_clock::now() + host_.options.answer_timeout
                     + std::chrono::seconds{streamed_left_ / host_.options.slowest_answer};
      break; // on_written comes back here, behind its end.
    }
  }
  if (out_.empty())
    return;
  writing_ = true;
  arm_write();
  write_out();
}

void session::arm_write() {
  auto ends = std::chrono::steady_clock::now() + host_.options.write_timeout;
  if (streamed_)
    ends = std::min(ends, answer_ends_);
  write_timer_.expires_at(ends);
  write_timer_.async_wait([self = shared_from_this(),
                           generation = ++write_generation_](error_code ec) {
    if (!ec && generation == self->write_generation_)
      self->close();
  });
}

void session::write_out() {
  asio::async_write(socket_, asio::buffer(out_),
                    [self = shared_from_this()](error_code ec, std::size_t) {
                      self->on_written(ec);
                    });
}

void session::on_written(error_code ec) {
  if (closed_)
    return;
  if (ec)
    return close();
  if (streamed_left_ > 0)
    return stream_on();
  streamed_.reset();
  writing_ = false;
  ++write_generation_;
  write_timer_.cancel();
  if (close_after_write_)
    return linger();
  write_ready();
  if (writing_ || closed_)
    return;
  if (no_more_requests_) {
    if (slots_.empty())
      linger();
    return;
  }
  if (!reading_)
    advance();
  else if (!in_request_ && slots_.empty())
    arm_read(wait::idle);
}

/// The client's time for a piece begins with it; a disk that hangs has as much.
void session::stream_on() {
  arm_write();
  streamed_->next([gate = host_.gate, target = weak_from_this()](std::optional<std::string> piece) {
    std::lock_guard lock{gate->mutex};
    if (!gate->open)
      return;
    if (auto s = target.lock())
      asio::post(s->socket_.get_executor(), [s, piece = std::move(piece)]() mutable { s->on_piece(std::move(piece)); });
  });
}

void session::on_piece(std::optional<std::string> piece) {
  if (closed_)
    return;
  // The length has been said: only the end of the connection can take it back.
  if (!piece || piece->empty() || piece->size() > streamed_left_)
    return close();
  streamed_left_ -= piece->size();
  out_ = std::move(*piece);
  arm_write();
  write_out();
}

/// The front slot's answer is a new owner of the connection.
void session::hand_over() {
  handing_over_ = true;
  disarm_read();
  error_code ec;
  if (reading_) {
    socket_.cancel(ec); // on_read comes back here.
    return;
  }
  closed_ = true;
  ++write_generation_;
  write_timer_.cancel();
  auto owner = std::move(slots_.front().next_owner);
  auto head = std::move(slots_.front().bytes);
  slots_.clear();
  const auto me = std::make_shared<std::weak_ptr<long_connection>>();
  auto next = owner->take({std::move(socket_), std::move(head), host_.gate, [host = &host_, me] {
                             std::lock_guard lock{host->mutex};
                             if (auto one = me->lock())
                               host->taken_over.erase(one);
                             if (host->is_empty())
                               host->emptied.notify_all();
                           }});
  *me = next;
  bool stopping = false;
  {
    std::lock_guard lock{host_.mutex};
    host_.sessions.erase(shared_from_this());
    host_.taken_over.insert(next);
    stopping = host_.stopping;
  }
  next->launch();
  if (stopping)
    next->wind_down();
}

/// Closing with unread bytes would reset the connection and could destroy
/// the answer before the client has read it. Browsers read it only when they
/// have sent their whole body.
void session::linger() {
  error_code ec;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ec);
  if (ec)
    return close();
  lingering_ = true;
  linger_ends_ = std::chrono::steady_clock::now() + host_.options.linger_timeout;
  if (discardable_ > 0)
    linger_ends_ = std::max(linger_ends_, stream_ends_);
  arm_read(wait::linger);
  drain();
}

void session::drain() {
  const std::uint64_t count = buffer_.size();
  buffer_.consume(buffer_.size());
  if (discardable_ > 0 && count > 0) {
    if (count >= discardable_ || std::chrono::steady_clock::now() >= linger_ends_)
      return close();
    discardable_ -= count;
    arm_read(wait::linger);
  }
  read_more();
}

void session::close() {
  if (std::exchange(closed_, true))
    return;
  disarm_read();
  drop_stream();
  ++write_generation_;
  write_timer_.cancel();
  slots_.clear();
  streamed_.reset();
  error_code ec;
  socket_.close(ec);
  std::lock_guard lock{host_.mutex};
  host_.sessions.erase(shared_from_this());
  if (host_.is_empty())
    host_.emptied.notify_all();
}

// -- deadlines ----------------------------------------------------------------

void session::arm_read(wait what) {
  const auto& o = host_.options;
  auto time = o.idle_timeout;
  if (what == wait::request)
    time = o.read_timeout;
  else if (what == wait::linger)
    time = discardable_ > 0 ? o.refused_body_timeout : o.linger_timeout;
  auto ends = std::chrono::steady_clock::now() + time;
  if (what == wait::linger)
    ends = std::min(ends, linger_ends_);
  read_timer_.expires_at(ends);
  read_timer_.async_wait([self = shared_from_this(), what,
                          generation = ++read_generation_](error_code ec) {
    if (!ec)
      self->on_read_deadline(generation, what);
  });
}

void session::disarm_read() {
  ++read_generation_;
  read_timer_.cancel();
}

void session::on_read_deadline(std::uint64_t generation, wait what) {
  if (closed_ || generation != read_generation_)
    return;
  if (what == wait::request) {
    discardable_ = 0; // Nothing more comes.
    return refuse(408, "The request took too long to arrive.");
  }
  close();
}

} // namespace carillon::http
