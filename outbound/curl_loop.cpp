#include "outbound/curl_loop.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <vector>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace carillon::outbound {

namespace {

using clock = std::chrono::steady_clock;

struct easy_closer {
  void operator()(CURL* handle) const noexcept {
    curl_easy_cleanup(handle);
  }
};
using easy_handle = std::unique_ptr<CURL, easy_closer>;

struct multi_closer {
  void operator()(CURLM* handle) const noexcept {
    curl_multi_cleanup(handle);
  }
};
using multi_handle = std::unique_ptr<CURLM, multi_closer>;

/// Closes what it holds.
class descriptor {
public:
  explicit descriptor(int fd) : fd_(fd) {
    if (fd < 0)
      throw std::runtime_error("no descriptor is left for a loop of transfers");
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    ::close(fd_);
  }
  int get() const noexcept {
    return fd_;
  }

private:
  int fd_;
};

/// A transfer that was given up may leave its connection to the next one: SMTP
/// does while the answer to a message is still to come, which would be taken
/// for the answer to something else. Its good-bye would wait for that as well,
/// for two minutes.
void hang_up(CURL* easy) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK && socket != CURL_SOCKET_BAD)
    ::shutdown(socket, SHUT_RDWR);
}

/// libcurl's process-wide state; initialised by the first loop.
void initialise_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK)
    throw std::runtime_error(std::string{"libcurl does not start: "}
                             + curl_easy_strerror(code));
}

} // namespace

struct curl_loop::impl {
  struct host;
  using deadlines = std::multimap<clock::time_point, ticket>;

  struct entry {
    ticket id = 0;
    std::unique_ptr<transfer> what;
    host* at = nullptr;
    easy_handle easy;
    deadlines::iterator waits_until;
    bool started = false;
    bool once = false;
    char error[CURL_ERROR_SIZE] = {};
  };

  using entry_map = std::unordered_map<ticket, std::unique_ptr<entry>>;

  struct host {
    std::string key;
    std::deque<ticket> waiting;
    std::size_t running = 0;
    bool in_turn = false;
  };

  struct arrival {
    ticket id = 0;
    std::unique_ptr<transfer> what;
    bool refused = false;
  };

  struct timer {
    clock::time_point at;
    std::function<void(bool)> task;
  };

  explicit impl(curl_loop_options given)
    : options(given), sockets(epoll_create1(EPOLL_CLOEXEC)), woken(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      multi(curl_multi_init()) {
    if (!multi)
      throw std::runtime_error("libcurl has no multi handle to give");
    if (!watch(EPOLL_CTL_ADD, woken.get(), EPOLLIN))
      throw std::runtime_error("a loop of transfers cannot be woken");
    curl_multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, &impl::on_socket);
    curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, &impl::on_timer);
    curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS,
                      static_cast<long>(options.max_idle_connections));
    // One request, one connection: see transfer::send_once.
    curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  }

  // -- any thread ------------------------------------------------------------

  void wake() {
    const std::uint64_t one = 1;
    // It fails only when the loop is to wake already.
    [[maybe_unused]] const auto written = ::write(woken.get(), &one, sizeof one);
  }

  // -- libcurl's callbacks ---------------------------------------------------

  static int on_start(void* data, char*, char*, int, int) {
    auto& e = *static_cast<entry*>(data);
    if (e.once && e.started)
      return CURL_PREREQFUNC_ABORT;
    e.started = true;
    return CURL_PREREQFUNC_OK;
  }

  /// A socket that cannot be watched ends its transfer by the time limit.
  static int on_socket(CURL*, curl_socket_t socket, int what, void* data, void*) {
    auto& self = *static_cast<impl*>(data);
    if (what == CURL_POLL_REMOVE) {
      self.watch(EPOLL_CTL_DEL, socket, 0);
      return 0;
    }
    const auto events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
    if (!self.watch(EPOLL_CTL_MOD, socket, events))
      self.watch(EPOLL_CTL_ADD, socket, events);
    return 0;
  }

  static int on_timer(CURLM*, long milliseconds, void* data) {
    auto& self = *static_cast<impl*>(data);
    self.act_at.reset();
    if (milliseconds >= 0)
      self.act_at = clock::now() + std::chrono::milliseconds{milliseconds};
    return 0;
  }

  bool watch(int how, curl_socket_t socket, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = socket;
    return epoll_ctl(sockets.get(), how, socket, &event) == 0;
  }

  // -- the loop's thread -----------------------------------------------------

  void run() {
    // Signals belong to the main thread, and CURLOPT_NOSIGNAL leaves SIGPIPE
    // to the program.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    for (;;) {
      const bool ends = take_inbox();
      if (ends)
        abandon_all();
      fire_timers(ends);
      expire_waiting();
      admit();
      if (act_at && *act_at <= clock::now())
        act_in_time();
      const bool any_ended = collect();
      if (ends && all_gone())
        return;
      if (!any_ended) {
        act_on_sockets();
        // Before anything is cancelled: what has ended has ended.
        collect();
      }
    }
  }

  void act_in_time() {
    act_at.reset();
    int left = 0;
    curl_multi_socket_action(multi.get(), CURL_SOCKET_TIMEOUT, 0, &left);
    // A time that it has told once it does not tell again.
    long wait = -1;
    if (!act_at && curl_multi_timeout(multi.get(), &wait) == CURLM_OK)
      on_timer(multi.get(), wait, this);
  }

  void act_on_sockets() {
    std::array<epoll_event, 64> events;
    const auto count = epoll_wait(sockets.get(), events.data(), static_cast<int>(events.size()), poll_time());
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd == woken.get()) {
        std::uint64_t times = 0;
        [[maybe_unused]] const auto taken = ::read(woken.get(), &times, sizeof times);
        continue;
      }
      // An error alone: libcurl looks for itself.
      const int what = (event.events & EPOLLIN ? CURL_CSELECT_IN : 0) | (event.events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
      int left = 0;
      curl_multi_socket_action(multi.get(), event.data.fd, what, &left);
    }
  }

  /// True once the loop is to stop.
  bool take_inbox() {
    std::vector<arrival> arrivals;
    std::vector<ticket> cancels;
    std::vector<timer> timers;
    bool ends = false;
    {
      std::lock_guard lock{mutex};
      arrivals.swap(inbox);
      cancels.swap(cancel_inbox);
      timers.swap(timer_inbox);
      ends = stopping;
    }
    for (auto& t : timers)
      pending_timers.emplace(t.at, std::move(t.task));
    for (auto& a : arrivals)
      accept(std::move(a));
    for (auto id : cancels)
      cancel_now(id);
    return ends;
  }

  void accept(arrival a) {
    if (a.refused) {
      a.what->finish({transfer_report::end::refused, CURLE_OK, false,
                      "too many transfers wait", nullptr});
      return;
    }
    auto e = std::make_unique<entry>();
    e->id = a.id;
    e->what = std::move(a.what);
    auto& h = hosts[e->what->host_key()];
    if (h.key.empty())
      h.key = e->what->host_key();
    e->at = &h;
    e->waits_until = waiting.emplace(e->what->deadline(), e->id);
    h.waiting.push_back(e->id);
    take_turn(h);
    entries.emplace(e->id, std::move(e));
  }

  void take_turn(host& h) {
    if (!h.in_turn && !h.waiting.empty()) {
      h.in_turn = true;
      turn.push_back(&h);
    }
  }

  void cancel_now(ticket id) {
    auto i = entries.find(id);
    if (i == entries.end())
      return;
    if (i->second->easy)
      end_running(i, CURLE_ABORTED_BY_CALLBACK, "cancelled");
    else
      end_waiting(id, transfer_report::end::cancelled, "cancelled");
  }

  void end_waiting(ticket id, transfer_report::end how, std::string why) {
    auto i = entries.find(id);
    auto e = std::move(i->second);
    entries.erase(i);
    waiting.erase(e->waits_until);
    auto& queue = e->at->waiting;
    queue.erase(std::find(queue.begin(), queue.end(), id));
    finish(std::move(e), {how, CURLE_OK, false, std::move(why), nullptr});
  }

  void abandon_all() {
    while (!waiting.empty())
      end_waiting(waiting.begin()->second, transfer_report::end::cancelled,
                  "the program stops");
    while (!entries.empty())
      end_running(entries.begin(), CURLE_ABORTED_BY_CALLBACK, "the program stops");
  }

  void expire_waiting() {
    const auto now = clock::now();
    while (!waiting.empty() && waiting.begin()->first <= now)
      end_waiting(waiting.begin()->second, transfer_report::end::expired,
                  "its time passed while it waited for a free connection");
  }

  void fire_timers(bool ends) {
    const auto now = clock::now();
    while (!pending_timers.empty()
           && (ends || pending_timers.begin()->first <= now)) {
      auto task = std::move(pending_timers.begin()->second);
      pending_timers.erase(pending_timers.begin());
      task(!ends);
    }
  }

  /// Hosts take turns, so that a busy one does not hold up the others.
  void admit() {
    for (std::size_t idle = 0; idle < turn.size();) {
      if (running >= options.max_running)
        return;
      auto* h = turn.front();
      turn.pop_front();
      h->in_turn = false;
      if (h->waiting.empty()) {
        forget(h);
        continue;
      }
      if (h->running >= options.max_running_per_host) {
        take_turn(*h);
        ++idle;
        continue;
      }
      idle = 0;
      const auto id = h->waiting.front();
      h->waiting.pop_front();
      take_turn(*h);
      launch(id);
    }
  }

  void launch(ticket id) {
    auto i = entries.find(id);
    auto& e = *i->second;
    waiting.erase(e.waits_until);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      e.what->deadline() - clock::now());
    e.easy.reset(curl_easy_init());
    if (!e.easy) {
      give_back(i, transfer_report::end::refused, "libcurl has no handle to give");
      return;
    }
    e.once = e.what->send_once();
    auto* easy = e.easy.get();
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // Else a time-out waits for a name server that does not answer.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, e.error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &e);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &impl::on_start);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, &e);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, e.once ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, e.once ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     std::max<long>(1, static_cast<long>(left.count())));
    auto ready = e.what->prepare(easy);
    if (!ready) {
      give_back(i, transfer_report::end::rejected, std::move(ready).error().detail);
      return;
    }
    if (auto code = curl_multi_add_handle(multi.get(), easy);
        code != CURLM_OK) {
      give_back(i, transfer_report::end::refused, curl_multi_strerror(code));
      return;
    }
    ++running;
    ++e.at->running;
  }

  /// A transfer that was not begun.
  void give_back(entry_map::iterator i, transfer_report::end how, std::string why) {
    auto e = std::move(i->second);
    entries.erase(i);
    finish(std::move(e), {how, CURLE_OK, false, std::move(why), nullptr});
  }

  /// True when at least one transfer ended.
  bool collect() {
    bool any = false;
    int left = 0;
    while (auto* message = curl_multi_info_read(multi.get(), &left)) {
      if (message->msg != CURLMSG_DONE)
        continue;
      any = true;
      const auto code = message->data.result;
      char* owner = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
      end_running(entries.find(reinterpret_cast<entry*>(owner)->id), code, {});
    }
    return any;
  }

  /// `why`: it was cancelled, and `code` is ours.
  void end_running(entry_map::iterator i, CURLcode code, std::string why) {
    auto e = std::move(i->second);
    entries.erase(i);
    auto* easy = e->easy.get();
    if (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_ABORTED_BY_CALLBACK)
      hang_up(easy);
    curl_multi_remove_handle(multi.get(), easy);
    --running;
    --e->at->running;
    transfer_report report;
    report.how = !why.empty()       ? transfer_report::end::cancelled
                 : code == CURLE_OK ? transfer_report::end::completed
                                    : transfer_report::end::failed;
    report.code = code;
    report.started = e->started;
    report.easy = easy;
    report.detail = std::move(why);
    if (report.detail.empty() && code != CURLE_OK)
      report.detail = e->error[0] ? e->error : curl_easy_strerror(code);
    finish(std::move(e), report);
  }

  void finish(std::unique_ptr<entry> e, const transfer_report& report) {
    auto* h = e->at;
    {
      std::lock_guard lock{mutex};
      --unfinished;
    }
    e->what->finish(report);
    e.reset();
    forget(h);
  }

  /// Drops a host that nothing needs any more.
  void forget(host* h) {
    if (h->running > 0 || !h->waiting.empty() || h->in_turn)
      return;
    const auto key = h->key;
    hosts.erase(key);
  }

  bool all_gone() {
    std::lock_guard lock{mutex};
    return entries.empty() && pending_timers.empty() && inbox.empty()
           && timer_inbox.empty();
  }

  int poll_time() {
    auto until = clock::now() + std::chrono::milliseconds{60'000};
    if (act_at)
      until = std::min(until, *act_at);
    if (!waiting.empty())
      until = std::min(until, waiting.begin()->first);
    if (!pending_timers.empty())
      until = std::min(until, pending_timers.begin()->first);
    const auto left
      = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
    return static_cast<int>(std::max<std::int64_t>(0, left.count()));
  }

  const curl_loop_options options;
  /// libcurl's sockets, and `woken`.
  const descriptor sockets;
  const descriptor woken;
  multi_handle multi;

  std::mutex mutex;
  bool stopping = false;
  ticket last_ticket = 0;
  std::size_t unfinished = 0;
  std::vector<arrival> inbox;
  std::vector<ticket> cancel_inbox;
  std::vector<timer> timer_inbox;

  // The loop's thread only.
  entry_map entries;
  std::map<std::string, host> hosts;
  std::deque<host*> turn;
  deadlines waiting;
  std::multimap<clock::time_point, std::function<void(bool)>> pending_timers;
  std::size_t running = 0;
  /// When libcurl wants to act whatever its sockets do.
  std::optional<clock::time_point> act_at;

  std::mutex stop_mutex;
  std::thread thread;
};

curl_loop::curl_loop(curl_loop_options options) {
  initialise_curl();
  impl_ = std::make_unique<impl>(options);
  impl_->thread = std::thread{[i = impl_.get()] { i->run(); }};
}

curl_loop::~curl_loop() {
  stop();
}

curl_loop::ticket curl_loop::start(std::unique_ptr<transfer> what) {
  auto& i = *impl_;
  ticket id = 0;
  {
    std::lock_guard lock{i.mutex};
    if (!i.stopping) {
      id = ++i.last_ticket;
      const bool refused = i.unfinished >= i.options.max_unfinished;
      if (!refused)
        ++i.unfinished;
      i.inbox.push_back({id, std::move(what), refused});
    }
  }
  if (id == 0)
    what->finish({transfer_report::end::refused, CURLE_OK, false,
                  "the program stops", nullptr});
  else
    i.wake();
  return id;
}

void curl_loop::cancel(ticket id) {
  {
    std::lock_guard lock{impl_->mutex};
    if (impl_->stopping)
      return;
    impl_->cancel_inbox.push_back(id);
  }
  impl_->wake();
}

void curl_loop::after(std::chrono::milliseconds delay,
                      std::function<void(bool)> task) {
  {
    std::lock_guard lock{impl_->mutex};
    if (!impl_->stopping) {
      impl_->timer_inbox.push_back({clock::now() + delay, std::move(task)});
      task = nullptr;
    }
  }
  if (task)
    task(false);
  else
    impl_->wake();
}

void curl_loop::stop() {
  std::lock_guard once{impl_->stop_mutex};
  {
    std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
  }
  impl_->wake();
  if (impl_->thread.joinable())
    impl_->thread.join();
}

} // namespace carillon::outbound
