// What travels between nodes, whatever carries it (architecture page, "Fixed
// from the first migration"): a node passes over what it does not know, so
// that two releases can run side by side.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace carillon {

struct node_message {
  /// Of the body's form; a form that older nodes would misread gets a new one.
  int version = 1;
  std::string type; ///< Lower-case letters and `-`.
  std::string body; ///< Any bytes.
};

/// `<version> <type> <body>`.
std::string encode(const node_message& m);

/// Nothing when it is no such envelope.
std::optional<node_message> decode_node_message(std::string_view text);

} // namespace carillon
