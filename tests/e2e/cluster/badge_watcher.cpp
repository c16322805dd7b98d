#include "tests/e2e/cluster/badge_watcher.hpp"

#include <sys/socket.h>

namespace carillon::test {

badge_watcher::badge_watcher(watched_node at, web_client sign, std::string token, user_id user)
  : at_(std::move(at)), sign_(std::move(sign)), fetch_("http://127.0.0.1:" + std::to_string(at_.port), token),
    token_(std::move(token)), channel_("private-user." + to_string(user)), thread_([this] { run(); }) {
}

badge_watcher::~badge_watcher() {
  {
    std::lock_guard lock{mutex_};
    ending_ = true;
    if (socket_)
      ::shutdown(socket_->handle(), SHUT_RDWR);
  }
  ends_.notify_all();
  thread_.join();
}

int badge_watcher::subscribed() const {
  std::lock_guard lock{mutex_};
  return subscribed_;
}

std::size_t badge_watcher::badge() const {
  std::lock_guard lock{mutex_};
  return unread_.size();
}

int badge_watcher::too_many() const {
  std::lock_guard lock{mutex_};
  return too_many_;
}

void badge_watcher::run() {
  at_.enter();
  std::unique_lock lock{mutex_};
  while (!ending_) {
    lock.unlock();
    raw_websocket socket{at_.port, "/app/carillon?protocol=7"};
    lock.lock();
    if (socket.status() == 101 && !ending_) {
      socket_ = &socket;
      lock.unlock();
      listen(socket);
      lock.lock();
      socket_ = nullptr;
    }
    // A client that is refused does not hammer.
    ends_.wait_for(lock, std::chrono::milliseconds{20}, [this] { return ending_; });
  }
}

void badge_watcher::listen(raw_websocket& socket) {
  const auto established = socket.receive_json();
  if (!established.is_object())
    return;
  const auto id = nlohmann::json::parse(established["data"].get<std::string>())["socket_id"].get<std::string>();
  const auto given = sign_.post("/broadcasting/auth", {{"socket_id", id}, {"channel_name", channel_}});
  if (given.status != 200)
    return;
  socket.send(nlohmann::json{{"event", "pusher:subscribe"}, {"data", {{"channel", channel_}, {"auth", given.json()["auth"]}}}});
  if (socket.receive_json().value("event", "") != "pusher_internal:subscription_succeeded")
    return;
  const auto listed = fetch_.get("/api/v1/notifications?per_page=100");
  if (listed.status != 200)
    return;
  {
    std::lock_guard lock{mutex_};
    unread_.clear();
    const auto body = listed.json();
    for (const auto& one : body["data"])
      if (one["read_at"].is_null())
        unread_.insert(one["id"].get<std::string>());
    ++subscribed_;
  }
  for (;;) {
    const auto frame = socket.receive_json();
    if (!frame.is_object())
      return;
    if (frame.value("event", "") != "notification.new")
      continue;
    const auto heard = nlohmann::json::parse(frame["data"].get<std::string>())["id"].get<std::string>();
    std::lock_guard lock{mutex_};
    if (!unread_.insert(heard).second)
      ++too_many_;
  }
}

} // namespace carillon::test
