// `carillon sandbox-network` as the shell sees it: each test is a process.
#include "app/command_line.hpp"
#include "app/exit_code.hpp"

#include <csignal>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace carillon::app {
namespace {

[[noreturn]] void run(std::vector<const char*> arguments) {
  // What it prints for people is not what is tested here.
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  arguments.insert(arguments.begin(), {"carillon", "sandbox-network"});
  std::_Exit(run_command_line(static_cast<int>(arguments.size()), arguments.data()));
}

/// The signal is there before the network is, so that nothing has to wait.
[[noreturn]] void run_until(int signal, std::vector<const char*> arguments) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::kill(::getpid(), signal);
  run(std::move(arguments));
}

/// Listens on a port of the loopback address.
class taken_port {
public:
  taken_port() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket_, generic, size), 0);
    EXPECT_EQ(::listen(socket_, 1), 0);
    EXPECT_EQ(::getsockname(socket_, generic, &size), 0);
    number_ = std::to_string(ntohs(address.sin_port));
  }
  ~taken_port() {
    ::close(socket_);
  }
  const char* number() const {
    return number_.c_str();
  }

private:
  int socket_;
  std::string number_;
};

TEST(SandboxNetworkCommandDeathTest, EndsCleanlyOnTermAndInt) {
  for (const int signal : {SIGTERM, SIGINT})
    EXPECT_EXIT(run_until(signal, {"--port", "0"}), testing::ExitedWithCode(exit_ok),
                "Timeline +http://127.0.0.1:[0-9]+/")
      << signal;
}

TEST(SandboxNetworkCommandDeathTest, SaysItselfThatNothingIsPublic) {
  EXPECT_EXIT(run_until(SIGTERM, {"--port", "0"}), testing::ExitedWithCode(exit_ok),
              "Nothing here is public: it lives in this process only");
}

TEST(SandboxNetworkCommandDeathTest, APortInUseIsAFailureThatSaysWhatToDo) {
  const taken_port taken;
  EXPECT_EXIT(run({"--port", taken.number()}), testing::ExitedWithCode(exit_failure),
              "choose another with --port");
}

TEST(SandboxNetworkCommandDeathTest, AnAddressOrAFileThatCannotBeHadIsAFailure) {
  EXPECT_EXIT(run({"--port", "0", "--address", "nonsense"}), testing::ExitedWithCode(exit_failure),
              "cannot start: .*nonsense");
  EXPECT_EXIT(run({"--port", "0", "--data", "/dev/null/timeline.jsonl"}),
              testing::ExitedWithCode(exit_failure), "cannot start: .*/dev/null");
}

TEST(SandboxNetworkCommandDeathTest, AWrongOptionIsAMistakeOfUsage) {
  EXPECT_EXIT(run({"--port", "70000"}), testing::ExitedWithCode(exit_usage), "port");
  EXPECT_EXIT(run({"--speed", "9"}), testing::ExitedWithCode(exit_usage), "speed");
}

} // namespace
} // namespace carillon::app
