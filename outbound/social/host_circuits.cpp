#include "outbound/social/host_circuits.hpp"

#include <algorithm>
#include <atomic>
#include <string_view>
#include <utility>

namespace carillon::outbound {

namespace {

using std::chrono::milliseconds;

enum class evidence { server_answers, server_fails, none };

evidence evidence_of(const http_response& response) {
  switch (response.how) {
    case http_response::delivery::answered:
      return response.status >= 500 && response.status != 501 ? evidence::server_fails : evidence::server_answers;
    case http_response::delivery::no_answer:
      return evidence::server_fails;
    case http_response::delivery::not_sent:
      break;
  }
  return response.tried && response.why == errc::transient ? evidence::server_fails : evidence::none;
}

/// Everything before the path, in small letters.
std::string circuit_key(std::string_view url) {
  const auto scheme = url.find("://");
  const auto end = scheme == url.npos ? url.npos : url.find_first_of("/?#", scheme + 3);
  std::string out{url.substr(0, end)};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

failure held_back(milliseconds wait) {
  return {errc::cancelled, "not sent: the server does not answer at present", {}, wait};
}

} // namespace

std::optional<failure> host_circuits::refusal(const std::string& url, milliseconds timeout, time_point now) {
  std::lock_guard lock{mutex_};
  const auto found = by_host_.find(circuit_key(url));
  if (found == by_host_.end() || !found->second.is_open)
    return std::nullopt;
  auto& circuit = found->second;
  if (auto refused = hold_back(circuit, now))
    return refused;
  circuit.probe_ends = now + timeout;
  circuit.refused = 0;
  return std::nullopt;
}

std::optional<failure> host_circuits::standing_refusal(const std::string& url, time_point now) {
  std::lock_guard lock{mutex_};
  const auto found = by_host_.find(circuit_key(url));
  if (found == by_host_.end() || !found->second.is_open)
    return std::nullopt;
  return hold_back(found->second, now);
}

std::optional<failure> host_circuits::hold_back(circuit& c, time_point now) const {
  // The first to come back is the probe; the others follow over two seconds.
  const milliseconds spread{50 * (c.refused % 40)};
  if (now < c.open_until) {
    ++c.refused;
    return held_back(std::chrono::ceil<milliseconds>(c.open_until - now) + spread);
  }
  if (c.probe_ends && now < *c.probe_ends) {
    ++c.refused;
    return held_back(options_.shortest + spread);
  }
  return std::nullopt;
}

void host_circuits::learn(const std::string& url, const http_response& response, time_point now) {
  const auto what = evidence_of(response);
  if (what == evidence::none)
    return;
  const auto host = circuit_key(url);
  std::lock_guard lock{mutex_};
  if (what == evidence::server_fails)
    fail(host, now);
  else
    close(host, now);
}

void host_circuits::fail(const std::string& host, time_point now) {
  if (by_host_.size() >= most_hosts && !by_host_.contains(host))
    std::erase_if(by_host_, [](const auto& e) { return !e.second.is_open; });
  if (by_host_.size() >= most_hosts && !by_host_.contains(host))
    return;
  auto& circuit = by_host_[host];
  if (!circuit.is_open) {
    if (++circuit.failures < options_.failures_to_open)
      return;
    circuit.is_open = true;
    circuit.wait = options_.shortest;
    circuit.opened_at = now;
    circuit.open_until = now + circuit.wait;
    note(true, host, circuit.wait);
  } else if (circuit.probe_ends) {
    circuit.probe_ends.reset();
    circuit.wait = std::min(2 * circuit.wait, options_.longest);
    circuit.open_until = now + circuit.wait;
  }
}

void host_circuits::close(const std::string& host, time_point now) {
  const auto found = by_host_.find(host);
  if (found == by_host_.end())
    return;
  if (found->second.is_open)
    note(false, host, std::chrono::duration_cast<milliseconds>(now - found->second.opened_at));
  by_host_.erase(found);
}

void host_circuits::note(bool opened, const std::string& host, milliseconds time) const noexcept {
  if (measured_)
    measured_->host_circuit(opened);
  if (!log_)
    return;
  if (opened)
    log_->warn("host-circuit-opened", {{"host", host}, {"for_ms", std::to_string(time.count())}});
  else
    log_->info("host-circuit-closed", {{"host", host}, {"after_ms", std::to_string(time.count())}});
}

void social_http::send(http_request request, http_client::callback done) const {
  const bool has_file = request.file
                        || std::any_of(request.form.begin(), request.form.end(),
                                       [](const form_part& part) { return !part.path.empty(); });
  if (has_file && uploads_ != nullptr)
    return send_file(std::move(request), std::move(done));
  auto url = request.url;
  http_->send(std::move(request),
              [circuits = circuits_, url = std::move(url), done = std::move(done)](http_response response) {
                circuits->learn(url, response);
                done(std::move(response));
              });
}

void social_http::send_file(http_request request, http_client::callback done) const {
  struct once {
    std::atomic<bool> taken{false};
    http_client::callback done;

    void take(http_response response) {
      if (!taken.exchange(true))
        std::exchange(done, nullptr)(std::move(response));
    }
  };
  auto waiting = std::make_shared<once>();
  waiting->done = std::move(done);
  // A disk that hangs stops the thread that reads from it, and its clock.
  const auto time_is_over = request.timeout + milliseconds{100};
  auto url = request.url;
  uploads_->send(std::move(request),
                 [waiting, circuits = circuits_, url = std::move(url), &back = loop()](http_response response) {
                   // No answer may be the disk's fault: that says nothing of the server.
                   if (response.answered())
                     circuits->learn(url, response);
                   auto kept = std::make_shared<http_response>(std::move(response));
                   // When that loop has been stopped, the call's own timer has ended the call.
                   back.after(milliseconds{0}, [waiting, kept](bool runs) {
                     if (runs)
                       waiting->take(std::move(*kept));
                   });
                 });
  loop().after(time_is_over, [waiting](bool) {
    http_response silent;
    silent.how = http_response::delivery::no_answer;
    silent.why = errc::outcome_unknown;
    silent.detail = "the file was not read and sent in time";
    waiting->take(std::move(silent));
  });
}

} // namespace carillon::outbound
