// The outside view: one blocking HTTP request, as curl would send it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace carillon::test {

struct web_answer {
  int status = 0; ///< 0: no answer.
  std::string body;
  std::string headers;

  /// The body; null when it is not JSON.
  nlohmann::json json() const;
};

class web_client {
public:
  explicit web_client(std::string base_url, std::string token = {})
    : base_url_(std::move(base_url)), token_(std::move(token)) {
  }

  web_answer get(const std::string& path) const;
  web_answer post(const std::string& path, const nlohmann::json& body = nlohmann::json::object()) const;
  web_answer put(const std::string& path, const nlohmann::json& body) const;
  web_answer send(const std::string& method, const std::string& path, const std::string& body,
                  const std::vector<std::string>& headers = {}) const;

  const std::string& base_url() const noexcept {
    return base_url_;
  }

private:
  std::string base_url_;
  std::string token_;
};

} // namespace carillon::test
