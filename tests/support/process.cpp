#include "tests/support/process.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace carillon::test {

bool eventually(const std::function<bool()>& holds, std::chrono::seconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline)
      return false;
    ::poll(nullptr, 0, 20);
  }
  return true;
}

process::process(std::vector<std::string> command, std::map<std::string, std::string> environment,
                 std::filesystem::path log)
  : log_(std::move(log)) {
  pid_ = ::fork();
  if (pid_ < 0)
    throw std::runtime_error{"cannot fork"};
  if (pid_ > 0)
    return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  // Nobody answers what it asks.
  ::dup2(::open("/dev/null", O_RDONLY), 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  for (const auto& [name, value] : environment)
    ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (auto& word : command)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

process::~process() {
  if (is_running()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void process::signal(int number) const {
  if (!status_)
    ::kill(pid_, number);
}

bool process::is_running() {
  if (status_)
    return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_)
    status_ = status;
  return !status_;
}

std::optional<int> process::wait(std::chrono::seconds within) {
  eventually([this] { return !is_running(); }, within);
  return status_;
}

bool process::died_of(int status, int number) {
  return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

std::string process::output() const {
  std::ifstream in{log_};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace carillon::test
