// tests/support/mail_server.py as a process: a real SMTP server, writing a
// maildir.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/process.hpp"

namespace carillon::test {

class mail_server {
public:
  /// Waits until it listens. Options: see the script.
  explicit mail_server(const std::filesystem::path& folder, const std::vector<std::string>& options = {});

  std::uint16_t port() const noexcept {
    return port_;
  }
  /// Each with the X- headers of its envelope in front, oldest first.
  std::vector<std::string> mails() const;

private:
  std::filesystem::path maildir_;
  process process_;
  std::uint16_t port_ = 0;
};

/// The value of a mail's header; empty when it has none of that name.
std::string header_of(const std::string& mail, const std::string& name);

} // namespace carillon::test
