#include "outbound/delivery/mail/file_transport.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <system_error>

#include "outbound/delivery/mail/mime_writer.hpp"

namespace carillon::outbound {

namespace {

namespace fs = std::filesystem;
using carillon::done;

std::string file_name_of(const mail_message& message) {
  auto time = format_api_time(message.date).substr(0, 19);
  auto name = time + "-" + message.message_id;
  std::replace_if(
    name.begin(), name.end(),
    [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-'
             && c != '.' && c != '@' && c != '_';
    },
    '-');
  return name.substr(0, 200) + ".eml";
}

failure disk_trouble(const fs::path& file, const std::string& why) {
  return {errc::transient, file.string() + ": " + why, {}, {}};
}

result<done> write_file(const fs::path& directory,
                        const mail_message& message) {
  auto bytes = write_mime(message);
  if (!bytes)
    return std::move(bytes).error();
  const auto target = directory / file_name_of(message);
  const auto draft
    = directory / ("." + target.filename().string() + "." +
                   std::to_string(std::hash<const void*>{}(&message)));
  {
    std::ofstream out{draft, std::ios::binary | std::ios::trunc};
    out.write(bytes->data(), static_cast<std::streamsize>(bytes->size()));
    out.close();
    if (!out)
      return disk_trouble(draft, "cannot be written");
  }
  std::error_code error;
  fs::rename(draft, target, error);
  if (error) {
    std::error_code ignored;
    fs::remove(draft, ignored);
    return disk_trouble(target, error.message());
  }
  return done{};
}

} // namespace

file_transport::file_transport(curl_loop& loop, file_transport_options options)
  : loop_(loop), options_(std::move(options)) {
  fs::create_directories(options_.directory);
}

void file_transport::send(mail_message message, callback done) {
  loop_.after(std::chrono::milliseconds{0},
              [directory = options_.directory, message = std::move(message),
               done = std::move(done)](bool runs) {
                if (runs)
                  done(write_file(directory, message));
                else
                  done(failure{
                    errc::transient, "the program stops", {}, {}});
              });
}

} // namespace carillon::outbound
