// Before a benchmark measures a server that was made for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include <pqxx/pqxx>

namespace carillon::bench {

/// A server that has been up for a while writes its log over old segments. A
/// new one fills each with zeros first and syncs it, and all its sessions wait.
/// Writes about `bytes` of log (64 MB to 1 GB) and makes a checkpoint, which
/// leaves so many segments to write over.
inline void warm_log(pqxx::connection& session, std::int64_t bytes) {
  constexpr std::int64_t message = 1'000'000;
  const auto messages = std::clamp<std::int64_t>(bytes / message, 64, 1'000);
  pqxx::nontransaction tx{session};
  tx.exec("SELECT count(pg_logical_emit_message(false, 'warm-up', repeat('x', " + std::to_string(message)
          + "))) FROM generate_series(1, " + std::to_string(messages) + ")");
  tx.exec("CHECKPOINT");
}

} // namespace carillon::bench
