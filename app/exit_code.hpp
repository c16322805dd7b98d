// What the shell gets to see.
#pragma once

namespace carillon::app {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failure = 1;
inline constexpr int exit_usage = 2;         ///< The command line is wrong.
inline constexpr int exit_configuration = 3; ///< The configuration is wrong.

} // namespace carillon::app
