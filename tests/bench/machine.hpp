// What the processes of a benchmark used, from /proc.
#pragma once

#include <chrono>
#include <optional>

#include <sys/types.h>

namespace carillon::bench {

/// User and system time so far, all threads; nothing once it is gone.
std::optional<std::chrono::duration<double>> cpu_time(pid_t process);

/// The same of a process, its living children and those that it has waited
/// for: a PostgreSQL server is one process a session.
std::optional<std::chrono::duration<double>> cpu_time_of_family(pid_t parent);

/// The most memory that it ever held, in MiB (VmHWM).
std::optional<double> peak_memory(pid_t process);

/// The server behind a session whose backend is `backend`; nothing when that
/// is no process of this machine.
std::optional<pid_t> postmaster_of(pid_t backend);

} // namespace carillon::bench
