#include "outbound/delivery/mail/mail_lanes.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace carillon::outbound {

namespace {

constexpr std::size_t most_waiting_mails = 10'000;

/// Whose server stalls, as far as a relay shows it.
std::string recipient_domain(const mail_message& mail) {
  auto out = mail.to_address.substr(mail.to_address.rfind('@') + 1);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

} // namespace

struct mail_lanes::impl {
  struct waiting_mail {
    mail_message message;
    callback done;
    std::string domain;
  };

  struct lane {
    explicit lane(const smtp_options& options) : transport(loop, options) {
    }
    curl_loop loop;
    smtp_transport transport;
  };

  impl(std::size_t count, const smtp_options& options) : most_of_a_domain(std::max<std::size_t>(1, count / 2)) {
    for (std::size_t i = 0; i < std::max<std::size_t>(1, count); ++i)
      lanes.push_back(std::make_unique<lane>(options));
    for (auto& one : lanes)
      free.push_back(one.get());
  }

  /// The first that may go. The lock is held.
  std::optional<waiting_mail> next() {
    const auto i = std::find_if(waiting.begin(), waiting.end(), [this](const waiting_mail& mail) {
      const auto busy = under_way.find(mail.domain);
      return busy == under_way.end() || busy->second < most_of_a_domain;
    });
    if (i == waiting.end())
      return std::nullopt;
    auto out = std::move(*i);
    waiting.erase(i);
    return out;
  }

  void give_out() {
    for (;;) {
      std::unique_lock lock{mutex};
      if (stopping || free.empty())
        return;
      auto mail = next();
      if (!mail)
        return;
      auto* const on = free.back();
      free.pop_back();
      ++under_way[mail->domain];
      lock.unlock();
      on->transport.send(std::move(mail->message),
                         [this, on, domain = std::move(mail->domain),
                          done = std::move(mail->done)](result<carillon::done> sent) {
                           done(std::move(sent));
                           {
                             std::lock_guard again{mutex};
                             free.push_back(on);
                             if (const auto i = under_way.find(domain); --i->second == 0)
                               under_way.erase(i);
                           }
                           give_out();
                         });
    }
  }

  const std::size_t most_of_a_domain;
  std::vector<std::unique_ptr<lane>> lanes;

  std::mutex mutex;
  bool stopping = false;
  std::vector<lane*> free;
  std::deque<waiting_mail> waiting;
  std::map<std::string, std::size_t> under_way; ///< By domain.

  std::mutex stop_mutex;
};

mail_lanes::mail_lanes(std::size_t lanes, smtp_options options) : impl_(std::make_unique<impl>(lanes, options)) {
}

mail_lanes::~mail_lanes() {
  stop();
}

void mail_lanes::send(mail_message message, callback done) {
  const char* why = nullptr;
  {
    std::lock_guard lock{impl_->mutex};
    if (impl_->stopping)
      why = "the program stops";
    else if (impl_->waiting.size() >= most_waiting_mails)
      why = "too many mails wait";
    else {
      auto domain = recipient_domain(message);
      impl_->waiting.push_back({std::move(message), std::move(done), std::move(domain)});
    }
  }
  if (why)
    done(failure{errc::transient, why, {}, {}});
  else
    impl_->give_out();
}

void mail_lanes::stop() {
  std::lock_guard once{impl_->stop_mutex};
  std::deque<impl::waiting_mail> left;
  {
    std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
    left.swap(impl_->waiting);
  }
  for (auto& mail : left)
    mail.done(failure{errc::transient, "the program stops", {}, {}});
  // Each may wait a second for libcurl to look up.
  std::vector<std::thread> all;
  for (auto& one : impl_->lanes)
    all.emplace_back([&one] { one->loop.stop(); });
  for (auto& thread : all)
    thread.join();
}

} // namespace carillon::outbound
