#include "tests/support/mail_server.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace carillon::test {

namespace {

std::vector<std::string> command(const std::filesystem::path& maildir, const std::vector<std::string>& options) {
  std::vector<std::string> out{"/usr/bin/python3", std::string{CARILLON_SOURCE_DIR} + "/tests/support/mail_server.py",
                               maildir.string()};
  out.insert(out.end(), options.begin(), options.end());
  return out;
}

} // namespace

mail_server::mail_server(const std::filesystem::path& folder, const std::vector<std::string>& options)
  : maildir_{folder / "maildir"}, process_{command(maildir_, options), {}, folder / "mail_server.log"} {
  eventually([this] {
    const auto output = process_.output();
    const auto begin = output.find("port ");
    if (begin != output.npos && output.find('\n', begin) != output.npos)
      port_ = static_cast<std::uint16_t>(std::stoi(output.substr(begin + 5)));
    return port_ != 0 || !process_.is_running();
  });
  if (port_ == 0)
    throw std::runtime_error{"the mail server did not start: " + process_.output()};
}

std::vector<std::string> mail_server::mails() const {
  std::vector<std::filesystem::path> files;
  std::error_code missing;
  for (const auto& file : std::filesystem::directory_iterator{maildir_ / "new", missing})
    files.push_back(file.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> out;
  for (const auto& file : files) {
    std::ifstream in{file, std::ios::binary};
    std::ostringstream text;
    text << in.rdbuf();
    out.push_back(text.str());
  }
  return out;
}

std::string header_of(const std::string& mail, const std::string& name) {
  const auto head = "\r\n" + mail.substr(0, mail.find("\r\n\r\n") + 2);
  const auto begin = head.find("\r\n" + name + ": ");
  if (begin == head.npos)
    return {};
  const auto from = begin + name.size() + 4;
  return head.substr(from, head.find("\r\n", from) - from);
}

} // namespace carillon::test
