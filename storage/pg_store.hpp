// Everything a database worker offers, on one connection.
#pragma once

#include <memory>

#include "domain/ports/store.hpp"
#include "storage/connection.hpp"
#include "storage/token_cipher.hpp"

namespace carillon::storage {

/// Connects on first use. `tokens` and `log` outlive it. Used by one thread.
std::unique_ptr<store> make_pg_store(session_options options, const token_cipher& tokens,
                                     logger& log);

} // namespace carillon::storage
