// Keeps posts over a restart: one JSON object a line, appended when a post is
// accepted and before it is answered. Pictures are not kept, only that they
// were there.
#pragma once

#include "domain/ports/log.hpp"
#include "http/sandbox/network.hpp"

#include <filesystem>
#include <string>

namespace carillon::http::sandbox {

/// Single-threaded. One process has the file at a time.
class timeline_file {
public:
  /// Makes the file and its folders when they are missing. Throws
  /// std::system_error when that fails or another process has the file.
  timeline_file(std::filesystem::path path, logger& log);
  ~timeline_file();
  timeline_file(const timeline_file&) = delete;
  timeline_file& operator=(const timeline_file&) = delete;

  /// Puts the posts back. What cannot be read is skipped with a warning, and a
  /// last line that was cut off is cut away. A file that holds more than
  /// `net` keeps is written anew. Call it once, first.
  void read_into(network& net, instant now);

  /// What a file cannot take is logged, once until it works again.
  void append(const post& p);
  void append_removal(object_id id);
  void clear();

private:
  void write(std::string line);
  void rewrite(network& net, instant now);

  std::filesystem::path path_;
  logger& log_;
  int file_ = -1;
  bool failing_ = false;
};

} // namespace carillon::http::sandbox
